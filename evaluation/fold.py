"""Runs a life through the worker's own fold: encoded as Debezium does, decoded, judged, with timers.

Ticks come once a second of log time, which is the worst that the live engine does. There is no Kafka here and
nothing is stored: what is measured is what the detectors find, not how fast.
"""

import asyncio
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from common.settings import Settings
from contracts.feed import AnomalyDetected, decode_feed_record
from contracts.findings import Finding
from contracts.topics import CAPTURED_TABLES
from simulation.records import RowChange
from streams.engine.model import Entry, OutputRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.state.partition_state import PartitionState
from streams.feed.breaker import DeadLetterBreaker
from streams.metrics import WorkerMetrics
from streams.state.tables import TenantTables
from streams.wiring import make_engine_spec, make_processor

_ROWS_PER_S_MAX = 1_000_000_000


class _Source(msgspec.Struct, rename={"tx_id": "txId"}):
    ts_us: int
    sequence: str
    lsn: int
    tx_id: int


class _Envelope(msgspec.Struct):
    op: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    source: _Source


@dataclass(slots=True)
class _Record:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A finding of the fold."""

    finding: Finding
    tenant_id: int
    site_id: int | None
    table: str
    row_id: int
    entities: frozenset[str]
    """What it is about, as labels name it."""
    at_s: float
    """Its own time: the commit of its row, or when its timer was due. Unix seconds."""
    told_s: float
    """Log time at which the fold said so: for what a timer found, that of the tick."""
    timed: bool
    """Whether a timer found it."""


@dataclass(slots=True)
class Outcome:
    """What came of a scenario."""

    found: list[Found]
    rows: int
    dead_letters: list[tuple[str, int, int, float, str]]
    """(table, tenant id, row id, commit time in seconds, reason)"""


def run(
    changes: Iterable[RowChange], until_s: float, detectors: Sequence[str] | None = None, policies: Any = None
) -> Outcome:
    """Fold a scenario.

    Args:
        changes: in commit order.
        until_s: timers fire until then, Unix seconds of log time.
        detectors: names of those that run; None: all.
        policies: per detector some fields of its policy; None: the defaults.
    """
    return asyncio.run(_Fold(detectors, policies or {}).run(changes, until_s))


class _Fold:
    def __init__(self, detectors: Sequence[str] | None, policies: Any) -> None:
        worker: dict[str, Any] = {"max_events_per_second": _ROWS_PER_S_MAX, "policies": policies}
        if detectors is not None:
            worker["detectors"] = list(detectors)
        settings = Settings(worker=worker)  # type: ignore[arg-type]
        metrics = WorkerMetrics(CollectorRegistry())
        self._now_s = 0.0
        self._application = make_engine_spec(settings, metrics, "evaluation")
        self._scorer = make_processor(settings, metrics, "evaluation", lambda: self._now_s, DeadLetterBreaker.never())
        self._state = PartitionState(self._application.tables)
        self._ranks = {table: source_index for source_index, table in enumerate(CAPTURED_TABLES)}
        self._encode = msgspec.json.Encoder().encode
        self._number = 0
        self._wake_ms: int | None = None
        self._ticked_ms = 0
        self._devices: dict[int, int | None] = {}
        self._outcome = Outcome([], 0, [])

    async def run(self, changes: Iterable[RowChange], until_s: float) -> Outcome:
        lsns = itertools.count(1_000, 8)
        for second, group in itertools.groupby(changes, key=lambda change: change.commit_us // 1_000_000):
            self._tick_until(second * 1_000)
            entries = []
            for change in group:
                lsn = next(lsns)
                entries.append(self._entry(change, lsn))
                self._devices[lsn] = _device(change)
            entries.sort(key=lambda entry: (entry.commit_lsn, entry.lsn))
            self._process(entries, None, second + 1.0)
        self._tick_until(math.ceil(until_s * 1_000))
        return self._outcome

    def _tick_until(self, until_ms: int) -> None:
        while self._wake_ms is not None and self._wake_ms < until_ms:
            tick_ms = -(-self._wake_ms // 1_000) * 1_000
            before_ms = self._wake_ms
            self._process([], tick_ms, tick_ms / 1e3)
            if self._wake_ms is not None and self._wake_ms <= before_ms:
                raise RuntimeError("a tick did not fire what was due")

    def _process(self, entries: list[Entry], tick_ms: int | None, now_s: float) -> None:
        self._number += 1
        self._now_s = now_s
        batch = MicroBatch(0, self._number, self._state, entries, {}, tick_ms)
        batch.ticked_ms = self._ticked_ms
        self._scorer.process(batch, self._state.derived(TenantTables))
        self._state.sweep()
        self._wake_ms = batch.wake_at_ms
        self._ticked_ms = max(self._ticked_ms, batch.fired_ms)
        self._outcome.rows += len(entries)
        topics = self._application.topics
        for record in batch.outputs.get(topics.feed, ()):
            self._outcome.found.extend(self._found(record, now_s))
        dead = topics.other_outputs[1]
        for record in batch.outputs.get(dead, ()):
            self._outcome.dead_letters.append(_dead_letter(record, now_s))

    def _found(self, record: OutputRecord, now_s: float) -> Iterator[Found]:
        message = decode_feed_record(record.value or b"")
        if not isinstance(message, AnomalyDetected):
            return
        table, row_id = message.source.table, int(message.source.key)
        entities = {f"{table}:{row_id}"}
        for kind, number in (
            ("person", message.person_id),
            ("site", message.site_id),
            ("device", self._devices.get(message.source.lsn)),
        ):
            if number is not None:
                entities.add(f"{kind}:{number}")
        at_s = datetime.fromisoformat(message.time).timestamp()
        timed = "@" in message.event_id
        for finding in message.findings:
            yield Found(
                finding,
                message.tenant_id,
                message.site_id,
                table,
                row_id,
                frozenset(entities),
                at_s,
                now_s if timed else at_s,
                timed,
            )

    def _entry(self, change: RowChange, lsn: int) -> Entry:
        source = _Source(change.commit_us, f'["{lsn - 1}","{lsn}"]', lsn, lsn)
        value = self._encode(_Envelope(change.op, change.before, change.after, source))
        record = _Record(lsn, change.commit_us // 1_000, b"", value)
        return self._application.decode(self._ranks[change.table], record)


def _device(change: RowChange) -> int | None:
    row = change.after or change.before or {}
    value = row.get("id") if change.table == "device" else row.get("device_id")
    return value if isinstance(value, int) else None


def _dead_letter(record: OutputRecord, now_s: float) -> tuple[str, int, int, float, str]:
    headers = dict(record.headers)
    envelope = msgspec.json.decode(record.value or b"{}")
    row = envelope.get("after") or envelope.get("before") or {}
    table = headers.get("source_topic", headers.get("topic", b"")).decode().rpartition(".")[2]
    reason = f"{headers.get('detector', b'').decode()}: {headers.get('reason', b'').decode()}"
    return table, int(row.get("tenant_id", 0)), int(row.get("id", 0)), now_s, reason
