"""Runs a recorded log again: by its journal, without it, and by a worker that recovers from the journal."""

import asyncio
import hashlib
import json
import random
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from support.changed_settings import changed
from support.golden_run import Place, Said, counted_digest, mark, tenant_of, without_engine_headers
from support.memory_log import MemoryAppender, MemoryFetcher, MemoryLog

from common.settings.load import Settings, load_settings
from common.settings.worker import WorkerSettings
from streams.engine.kafka.clients import EngineClients
from streams.engine.loop.loop import EngineLoop
from streams.metrics import WorkerMetrics
from streams.replay.by_journal import replay
from streams.replay.by_log import replay_log
from streams.replay.journal import summarize
from streams.wiring import make_replay

_READ_RECORDS = 2_000
"""What one fetch of a reading brings; nothing depends on it."""


class Replays:
    """Replays with the settings and the constant clock of the recorded run.

    Args:
        epoch: of the recorded feed.
        clock_s: what the clock says to the processing, Unix seconds: the latencies of clean events depend on it.
        worker: the settings of the section `worker` that differ from their defaults, by their dotted names.
    """

    def __init__(self, epoch: str, clock_s: float, worker: dict[str, Any]) -> None:
        given = json.loads(json.dumps(worker))  # as a file gives them, so that recorder and test have the same
        self.settings: Settings = load_settings(environ={}).model_copy(
            update={"worker": changed(WorkerSettings(), given)}
        )
        self._epoch = epoch
        self._clock_s = clock_s

    def application(self) -> Any:
        """The application and its processing, anew."""
        return make_replay(self.settings, self._epoch, lambda: self._clock_s)

    def cycle(self, fetcher: Any, appender: Any, now_s: Any) -> EngineLoop:
        """A worker's cycle that works on the log."""
        application, process = self.application()
        metrics = WorkerMetrics(CollectorRegistry())
        clients = EngineClients(fetcher, appender)
        return EngineLoop(application, process, clients, self.settings.worker, metrics, now_s)

    def by_the_journal(self, log: MemoryLog, partition: int) -> tuple[dict[Place, list[Said]], dict[str, Any]]:
        """What the journalled micro-batches say, and how they went: what the engine is told beside the outputs."""
        said: dict[Place, list[Said]] = {}
        went: list[tuple[int | None, ...]] = []

        async def run() -> None:
            application, process = self.application()
            async for _, batch in replay(application, reading(log, 700), partition, process):
                _collect(said, batch)
                times = batch.tick_ms, batch.wake_at_ms, batch.log_ms, batch.fired_ms
                went.append((batch.number, len(batch.entries), batch.late, batch.repeats, *times))

        asyncio.run(run())
        return said, {
            "micro_batches": len(went),
            "records": sum(each[1] or 0 for each in went),
            "late_records": sum(each[2] or 0 for each in went),
            "repeated_records": sum(each[3] or 0 for each in went),
            "with_a_tick": sum(each[4] is not None for each in went),
            "sha256": hashlib.sha256(json.dumps(went).encode()).hexdigest(),
        }

    def by_the_log(self, log: MemoryLog, partition: int) -> dict[Place, list[Said]]:
        """What the source records say in commit order, with timers up to the last tick of the journal."""
        said: dict[Place, list[Said]] = {}

        async def run() -> None:
            application, process = self.application()
            until_ms = (await self._summary(log, partition)).tick_ms
            pieces = reading(log, 150)
            replayed = replay_log(application, pieces, partition, process, until_ms=until_ms, records_max=400)
            async for _, batch in replayed:
                _collect(said, batch)

        asyncio.run(run())
        return said

    def by_a_worker(self, log: MemoryLog, partitions: list[int]) -> None:
        """Have a worker recover from the journal alone, and write what follows from it to the log.

        Its clock stands at 1970, so that nothing is due but what the journal has.
        """

        async def run() -> None:
            draws = random.Random(0)
            appender = MemoryAppender(log, None, stores_last=False, draws=draws)
            cycle = self.cycle(reading(log, 700), appender, lambda: 0.0)
            cycle.ownership.assign(set(partitions))
            await cycle.run_once()
            while not all(each.caught_up for each in cycle.ownership.partitions.values()):
                await cycle.run_once()
            await cycle.close()

        asyncio.run(run())

    async def _summary(self, log: MemoryLog, partition: int) -> Any:
        return await summarize(self.application()[0], reading(log, 1), partition)


def reading(log: MemoryLog, most: int) -> Any:
    """Fetches pieces of up to so many records."""
    made = MemoryFetcher(log, lambda: most)
    made.read_records = _READ_RECORDS
    return made


def promised(outputs: dict[Place, list[Said]]) -> dict[str, dict[str, Any]]:
    """What a replay without the journal says too: topic to tenant to the number and the digest of its records.

    The feed in order; the clean events one by one, whichever micro-batches told them; dead letters in any order, since
    an unreadable record has no place in the order of the commits.
    """
    said: dict[str, dict[int, list[Said]]] = {}
    for (topic, _), records in outputs.items():
        tenants = said.setdefault(topic, {})
        for each in records:
            tenants.setdefault(tenant_of(each.key), []).extend(_clean_events(each) or [each])
    return {
        topic: {
            str(tenant): counted_digest(
                sorted(each, key=mark) if dict(each[0].headers).get("source_topic") else each, batches=False
            )
            for tenant, each in sorted(tenants.items())
        }
        for topic, tenants in sorted(said.items())
    }


def _clean_events(said: Said) -> list[Said]:
    """The events of a record of clean events; of another record none."""
    if said.headers or said.value is None:
        return []
    return [Said(0, None, json.dumps(event).encode(), ()) for event in json.loads(said.value)["events"]]


def written(log: MemoryLog, place: Place) -> list[Said]:
    """What the engine wrote, with all headers; a fence counts as said by micro-batch 0."""
    return [
        Said(_batch_of(record.headers), record.key, record.value, list(record.headers)) for record in log.topics[place]
    ]


def said_of(records: list[Said]) -> list[Said]:
    """What was said among what the engine wrote: without fences and the engine's headers."""
    return [each._replace(headers=without_engine_headers(each.headers)) for each in records if each.batch]


def state_of(log: MemoryLog, topic: str, partition: int) -> dict[str, str]:
    """Table to the number and the digest of what the changelog holds of it at its end; `@position` is the position.

    Without the fence, which says by which release and settings the state was written.
    """
    newest = {record.key or b"": record.value for record in log.topics[topic, partition]}
    newest = {key: value for key, value in newest.items() if not key.startswith(b"@fence:")}
    tables: dict[str, list[tuple[bytes, bytes]]] = {}
    for key, value in sorted(newest.items()):
        if value is not None:
            tables.setdefault(key.split(b":")[0].decode(), []).append((key, value))
    return {
        table: f"{len(pairs)} keys, sha256 {hashlib.sha256(msgspec.msgpack.encode(pairs)).hexdigest()}"
        for table, pairs in tables.items()
    }


def _batch_of(headers: Any) -> int:
    return int(dict(headers).get("batch", b"0/0").split(b"/")[0])


def _collect(said: dict[Place, list[Said]], batch: Any) -> None:
    for topic, records in batch.outputs.items():
        place = said.setdefault((topic, batch.partition), [])
        place.extend(Said(batch.number, key, value, list(headers)) for key, value, headers in records)
