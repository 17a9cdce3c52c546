"""The topology: from the captured topics to anomalies, clean events and dead letters, with tables.

    noc.public.<table> (11) --+                    +--> noc.anomalies     what operators see
                              +--> score (agent) --+--> noc.processed     scored and found clean
    noc.journal (re-runs) ----+        |           +--> noc.dead-letters  what could not be processed
                                  tables <--> noc.state-changelog

Everything is keyed by tenant, so one partition has all records, tables and messages of a tenant.
"""

from collections.abc import AsyncIterable, Callable
from pathlib import Path

import faust

from common.kafka import aiokafka_config
from common.settings.load import Settings
from streams.engine.kafka.clients import EngineClients
from streams.engine.kafka.faust_app import faust_app
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.kafka.guarantee import appender_for
from streams.engine.loop.engine import Engine
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.takeover.standby import make_standby
from streams.metrics import WorkerMetrics
from streams.state.tables import TenantTables
from streams.wiring import make_breaker, make_engine_spec, make_processor

GROUP = "watchfloor-worker"


def build(
    settings: Settings, metrics: WorkerMetrics, epoch: str, data_dir: Path, clock: Callable[[], float]
) -> tuple[faust.App, Engine]:
    """The application and its engine, not started; `data_dir` is for Faust's files, `clock` returns Unix seconds."""
    worker, kafka = settings.worker, settings.kafka
    application = make_engine_spec(settings, metrics, epoch)

    group = f"{kafka.topic_prefix}-{GROUP}" if kafka.topic_prefix != "noc" else GROUP
    client_config = aiokafka_config(kafka)
    app = faust_app(group, client_config, kafka.partitions, worker.group, data_dir)
    engine = Engine(
        app,
        application,
        EngineClients(
            Fetcher(
                client_config,
                fetch_bytes_max=worker.fetch.bytes_max,
                partition_bytes_max=worker.fetch.partition_bytes_max,
            ),
            appender_for(worker, client_config, group),
        ),
        worker,
        metrics,
        clock,
        make_standby(application.topics.state, client_config, worker.standby, metrics, clock),
    )
    processor = make_processor(settings, metrics, epoch, clock, make_breaker(worker))

    @app.agent(engine.batches)
    async def score(batches: AsyncIterable[MicroBatch]) -> None:
        """Score the micro-batches of the owned partitions.

        Reads: the captured topics, merged in commit order. Key: tenant. State: `streams.state.tables`.
        Writes: noc.anomalies, noc.processed, noc.dead-letters. Guarantee: each source change has its effect exactly
        once, for readers that use `watchfloor_client.readers`. On failure: a dead letter, see `streams.processor`.
        """
        async for batch in batches:
            with batch:
                processor.process(batch, batch.state.derived(TenantTables))

    @app.agent(app.topic(application.topics.membership, key_serializer="raw", value_serializer="raw"))
    async def membership(records: AsyncIterable[bytes]) -> None:
        """Make Faust join the group that assigns the partitions; the engine reads the records, so none arrives here."""
        async for _ in records:
            raise RuntimeError("a record reached Faust's own consumer")

    return app, engine
