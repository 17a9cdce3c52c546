"""The work on Watchfloor's engine: a Faust agent over micro-batches, state and outputs exact.

With `--transactions` before the other arguments: `guarantee: transactions`.
"""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Literal

import uvloop
from meter import Meter, Run, settings_from_argv
from work import PersonTrack, TenantCount, admit, decode, finding, track
from world import key

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

import faust  # noqa: E402 - binds to the loop policy when it is imported
from prometheus_client import CollectorRegistry  # noqa: E402

from common.kafka import aiokafka_config  # noqa: E402
from common.settings.engine import EngineSettings, GroupSettings  # noqa: E402
from common.settings.kafka import KafkaSettings  # noqa: E402
from streams.engine.kafka.clients import EngineClients  # noqa: E402
from streams.engine.kafka.faust_app import faust_app  # noqa: E402
from streams.engine.kafka.fetcher import Fetcher  # noqa: E402
from streams.engine.kafka.guarantee import appender_for  # noqa: E402
from streams.engine.loop.engine import Engine  # noqa: E402
from streams.engine.model import Entry, OutputRecord, RawRecord  # noqa: E402
from streams.engine.partition.micro_batch import MicroBatch  # noqa: E402
from streams.engine.spec import EngineSpec, EngineTopics, SourceTopic  # noqa: E402
from streams.engine.state.partition_state import TableSpec  # noqa: E402
from streams.gc_tuning import calm_garbage_collector  # noqa: E402
from streams.metrics import WorkerMetrics  # noqa: E402

TRANSACTIONS = "--transactions"
FENCE = OutputRecord(None, b'{"type":"fence"}', ())
TENANTS_MAX = 1_000
KEYS = [key(tenant) for tenant in range(TENANTS_MAX)]
WATCH_S, IDLE_WATCH_S = 0.01, 1.0
PARTITIONS = 4


def entry(source_index: int, record: RawRecord) -> Entry:
    """Decode a record into an entry."""
    event = decode(record.value or b"")
    lsn = event.source.lsn
    return Entry(lsn, lsn, source_index, record.offset, event, record)


def make_engine(app: faust.App, run: Run, settings: EngineSettings) -> Engine:
    """The engine with this work's topics and tables, as `streams.worker` makes the product's."""
    names = EngineTopics(
        sources=(SourceTopic("events", run.source),),
        outputs={"findings": run.output},
        fenced_output="findings",
        journal=f"{run.group}-journal",
        state=f"{run.group}-state",
    )
    config = aiokafka_config(KafkaSettings(bootstrap_servers=run.broker))
    return Engine(
        app,
        EngineSpec(
            names,
            (TableSpec("tenant", int, TenantCount), TableSpec("person", int, PersonTrack)),
            entry,
            lambda each: str(each.change.after.id),
            lambda _: FENCE,
        ),
        EngineClients(
            Fetcher(
                config,
                fetch_bytes_max=settings.fetch.bytes_max,
                partition_bytes_max=settings.fetch.partition_bytes_max,
            ),
            appender_for(settings, config, run.group),
        ),
        settings,
        WorkerMetrics(CollectorRegistry()),
        time.time,
    )


async def main() -> None:
    """Run until SIGTERM, or until the engine fails."""
    run = settings_from_argv([each for each in sys.argv if each != TRANSACTIONS])
    meter = Meter(run)
    logging.getLogger().setLevel(logging.WARNING)
    guarantee: Literal["journal", "transactions"] = "transactions" if TRANSACTIONS in sys.argv else "journal"
    settings = EngineSettings(group=GroupSettings(instance_id=run.instance), guarantee=guarantee)
    config = aiokafka_config(KafkaSettings(bootstrap_servers=run.broker))
    app = faust_app(run.group, config, PARTITIONS, settings.group, Path(run.directory))
    calm_garbage_collector()
    engine = make_engine(app, run, settings)

    @app.agent(engine.batches)
    async def score(batches: AsyncIterable[MicroBatch]) -> None:
        async for batch in batches:
            with batch:
                meter.start()
                process(batch, run.output, meter)
                meter.add(len(batch.entries))

    @app.agent(app.topic(run.source, key_serializer="raw", value_serializer="raw"))
    async def membership(records: AsyncIterable[bytes]) -> None:
        async for _ in records:
            raise RuntimeError("a record reached Faust's own consumer")

    await app.start()
    await app.add_runtime_dependency(engine)
    stopped, recovered = asyncio.create_task(meter.stopped()), False
    while not stopped.done() and engine.failure is None:
        if engine.ready and not recovered:
            meter.note(ready_s=time.time())
            recovered = True
        await asyncio.wait([stopped], timeout=IDLE_WATCH_S if recovered else WATCH_S)
    await app.stop()
    if engine.failure is not None:
        raise SystemExit(f"engine failed: {engine.failure!r}")


def process(batch: MicroBatch, output: str, meter: Meter) -> None:
    """Fold a micro-batch into the tables."""
    tenants, persons = batch.state["tenant"], batch.state["person"]
    get_tenant, put_tenant, get_person, put_person = tenants.get, tenants.put, persons.get, persons.put
    for each in batch.entries:
        event = each.change
        row = event.after
        at_s = row.ts.timestamp()
        count, scored = admit(get_tenant(row.tenant_id), at_s)
        put_tenant(row.tenant_id, count)
        if not scored:
            meter.dropped += 1
            continue
        moved, verdict = track(get_person(row.person_id), row.lat, row.lon, at_s)
        put_person(row.person_id, moved)
        if verdict is not None:
            meter.findings += 1
            batch.emit(output, KEYS[row.tenant_id], finding(row, verdict, event.ts_us))


if __name__ == "__main__":
    asyncio.run(main())
