"""Runs a labelled scenario through the worker's own fold: encoded as Debezium does, decoded, judged, with timers.

Ticks come once a second of log time, which is the worst that the live engine does. There is no Kafka here and
nothing is stored: what is measured is what the detectors find, not how fast.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from common.settings.load import load_settings
from common.settings.worker import RateLimitSettings, WorkerSettings
from contracts.feed import AnomalyDetected, decode_feed_record
from contracts.findings import Finding
from simulation.records import RowChange
from streams.engine.model import Entry, OutputRecord
from streams.testing import MemoryWorker

_ROWS_PER_S_MAX = 1_000_000_000


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
    reported_s: float
    """Log time at which the fold reported it: for what a timer found, that of the tick."""
    timed: bool
    """Whether a timer found it."""


class DeadLetter(NamedTuple):
    """A row that could not be judged."""

    table: str
    tenant_id: int
    row_id: int
    at_s: float
    """Log time, Unix seconds."""
    reason: str


@dataclass(slots=True)
class Outcome:
    """What the detectors made of a scenario."""

    found: list[Found]
    rows: int
    dead_letters: list[DeadLetter]


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
    return _Fold(detectors, policies or {}).run(changes, until_s)


class _Fold:
    def __init__(self, detectors: Sequence[str] | None, policies: Any) -> None:
        settings = load_settings(environ={})
        worker = WorkerSettings(policies=policies, rate_limit=RateLimitSettings(max_events_per_second=_ROWS_PER_S_MAX))
        self._worker = MemoryWorker(detectors, settings.model_copy(update={"worker": worker}))
        self._devices: dict[int, int | None] = {}
        self._outcome = Outcome([], 0, [])

    def run(self, changes: Iterable[RowChange], until_s: float) -> Outcome:
        lsns = itertools.count(1_000, 8)
        for second, group in itertools.groupby(changes, key=lambda change: change.commit_us // 1_000_000):
            self._tick_until(second * 1_000)
            entries = []
            for change in group:
                lsn = next(lsns)
                rows = (change.before, change.after)
                entries.append(self._worker.entry(change.table, change.op, rows, change.commit_us, lsn))
                self._devices[lsn] = _device(change)
            entries.sort(key=lambda entry: (entry.commit_lsn, entry.lsn))
            self._process(entries, None, second + 1.0)
        self._tick_until(math.ceil(until_s * 1_000))
        return self._outcome

    def _tick_until(self, until_ms: int) -> None:
        while (wake_ms := self._worker.wake_at_ms) is not None and wake_ms < until_ms:
            tick_ms = -(-wake_ms // 1_000) * 1_000
            self._process([], tick_ms, tick_ms / 1e3)
            if self._worker.wake_at_ms is not None and self._worker.wake_at_ms <= wake_ms:
                raise RuntimeError("a tick did not fire what was due")

    def _process(self, entries: list[Entry], tick_ms: int | None, now_s: float) -> None:
        self._worker.now = datetime.fromtimestamp(now_s, UTC)
        outputs = self._worker.process(entries, tick_ms=tick_ms).outputs
        self._worker.outputs.clear()
        self._outcome.rows += len(entries)
        topics = self._worker.spec.topics
        for record in outputs.get(topics.feed, ()):
            self._outcome.found.extend(self._found(record, now_s))
        dead = topics.outputs["dead_letters"]
        for record in outputs.get(dead, ()):
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
        timed, about = "@" in message.event_id, frozenset(entities)
        reported_s = now_s if timed else at_s
        for finding in message.findings:
            yield Found(finding, message.tenant_id, message.site_id, table, row_id, about, at_s, reported_s, timed)


def _device(change: RowChange) -> int | None:
    row = change.after or change.before or {}
    value = row.get("id") if change.table == "device" else row.get("device_id")
    return value if isinstance(value, int) else None


def _dead_letter(record: OutputRecord, now_s: float) -> DeadLetter:
    headers = dict(record.headers)
    envelope = msgspec.json.decode(record.value or b"{}")
    row = envelope.get("after") or envelope.get("before") or {}
    table = headers.get("source_topic", headers.get("topic", b"")).decode().rpartition(".")[2]
    reason = f"{headers.get('detector', b'').decode()}: {headers.get('reason', b'').decode()}"
    return DeadLetter(table, int(row.get("tenant_id", 0)), int(row.get("id", 0)), now_s, reason)
