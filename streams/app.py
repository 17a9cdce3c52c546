"""The topology: captured topics -> score -> anomalies, clean events, dead letters; tables on the side.

    noc.public.<table> (11) --+                    +--> noc.anomalies     what operators see
                              +--> score (agent) --+--> noc.processed     scored and found clean
    noc.journal (re-runs) ----+        |           +--> noc.dead-letters  what could not be
                                  tables <--> noc.state-changelog

Everything is keyed by tenant, so a partition holds all of a tenant: its records, tables and messages.
"""

from collections.abc import AsyncIterable, Callable
from pathlib import Path

import faust

from contracts.envelope import ChangeDecoder
from contracts.feed import Fence, encode_record
from contracts.topics import CAPTURED_TABLES, TopicNames
from detectors.attendance import AttendancePolicy
from detectors.registry import ATTENDANCE_DETECTORS
from streams.engine.cycle import Application
from streams.engine.engine import Engine
from streams.engine.fetcher import Fetcher
from streams.engine.guarantee import appender_for
from streams.engine.membership import faust_app
from streams.engine.model import EngineTopics, MicroBatch, OutputRecord
from streams.fuse import Fuse
from streams.limiter import Limiter
from streams.metrics import WorkerMetrics
from streams.outbox import Outbox
from streams.reading import Reader
from streams.scoring import Scorer
from streams.tables import TenantTables, table_specs
from watchfloor.kafka import aiokafka_config
from watchfloor.settings import Settings

GROUP = "watchfloor-worker"


def build(
    settings: Settings, metrics: WorkerMetrics, epoch: str, data_dir: Path, clock: Callable[[], float]
) -> tuple[faust.App, Engine]:
    """The application and its engine, not started.

    Args:
        settings: of this process.
        metrics: where it counts.
        epoch: identity of the feed's log, see `watchfloor.kafka.feed_epoch`.
        data_dir: for Faust's small files.
        clock: Unix seconds.
    """
    worker, kafka, names = settings.worker, settings.kafka, TopicNames(settings.kafka.topic_prefix)
    sources = tuple(names.captured(table) for table in CAPTURED_TABLES)
    topics = EngineTopics(sources, names.anomalies, (names.processed, names.dead_letters), names.journal, names.state)

    group = f"{kafka.topic_prefix}-{GROUP}" if kafka.topic_prefix != "noc" else GROUP
    app = faust_app(group, kafka.bootstrap_servers, kafka.partitions, worker, data_dir)
    engine = Engine(
        app,
        Application(
            topics=topics,
            tables=table_specs(worker),
            decode=Reader(
                ChangeDecoder({name: mapping.columns for name, mapping in settings.source.tables.items()}),
                CAPTURED_TABLES,
                future_ms_max=worker.future_timestamp_ms_max,
                metrics=metrics,
            ).entry,
            identity=lambda entry: str(entry.change.row.id),
            make_fence=lambda generation: OutputRecord(
                None, encode_record(Fence(generation=generation, epoch=epoch)), ()
            ),
        ),
        Fetcher(
            aiokafka_config(kafka),
            fetch_bytes_max=worker.micro_batch_bytes_max,
            partition_bytes_max=worker.partition_fetch_bytes_max,
        ),
        appender_for(worker, aiokafka_config(kafka), f"{kafka.topic_prefix}-{GROUP}"),
        worker,
        metrics,
        clock,
    )
    outbox = Outbox(names, sources, epoch, clock, metrics)
    scorer = Scorer(
        CAPTURED_TABLES,
        ATTENDANCE_DETECTORS,
        AttendancePolicy(),
        limiter=Limiter(
            events_per_second_max=worker.max_events_per_second,
            window_ms=worker.rate_limit_window_ms,
            report_interval_ms=worker.burst_report_interval_s * 1000,
            outbox=outbox,
            metrics=metrics,
        ),
        shifts_per_person_max=worker.shifts_per_person_max,
        fuse=Fuse(
            run_max=worker.dead_letter_run_max,
            share_max=worker.dead_letter_share_max,
            window_records=worker.dead_letter_window_records,
            tenants_min=worker.dead_letter_tenants_min,
        ),
        outbox=outbox,
        metrics=metrics,
    )

    @app.agent(engine.batches)
    async def score(batches: AsyncIterable[MicroBatch]) -> None:
        """Score the micro-batches of the owned partitions.

        Reads: the captured topics, merged in commit order. Key: tenant. State: `streams.tables`.
        Writes: noc.anomalies, noc.processed, noc.dead-letters. Guarantee: each source change has its
        effect exactly once, for readers by `contracts.readers`. On failure: dead letter, see `Scorer`.
        """
        async for batch in batches:
            with batch:
                scorer.process(batch, batch.state.derived(TenantTables))

    @app.agent(app.topic(sources[0], key_serializer="raw", value_serializer="raw"))
    async def membership(records: AsyncIterable[bytes]) -> None:
        """Makes Faust join the group for the partitions; the engine reads, so no record comes here."""
        async for _ in records:
            raise RuntimeError("a record reached Faust's own consumer")

    return app, engine
