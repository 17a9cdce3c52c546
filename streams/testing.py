"""A worker of one partition in memory, for tests, the evaluation, benchmarks and authors of detectors.

It decodes and processes rows exactly as the worker does. There is no Kafka, no thread and no clock: log time is the
commit time of the latest row, and timers fire when the caller lets time pass. Nothing is stored.

    >>> worker = MemoryWorker(["ticket_escalated"])
    >>> worker.insert("ticket", id=1, status="OPEN", priority="HIGH", escalation_level=0)
    []
    >>> [finding.finding_type for finding in worker.update("ticket", 1, escalation_level=1)]
    ['TICKET_ESCALATED']
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from common.settings.load import Settings, load_settings
from contracts.feed import AnomalyDetected, FeedRecord, decode_feed_record
from contracts.findings import Finding
from contracts.topics import CAPTURED_TABLES, tenant_key
from detectors.interface import Detector
from detectors.registry import named
from streams.engine.model import Entry, OutputRecord, SourceRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.state.partition_state import PartitionState
from streams.feed.breaker import DeadLetterBreaker
from streams.metrics import WorkerMetrics
from streams.state.tables import TenantTables
from streams.wiring import make_engine_spec, make_processor

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""The log time of a new worker: a Monday."""
EPOCH = "memory"
_ROW_S = 1.0
"""The log time between two rows without a given commit time."""


class MemoryWorker:
    """One partition of the worker.

    Args:
        detectors: the detectors to run, or their names; None: those of the settings, by default all.
        settings: the settings of the worker; None: the defaults.
        breaker: the circuit breaker of the dead letters; None: one that never opens.
        clock: returns seconds since 1970, for the latencies of clean events; None: log time.
        epoch: the identity of the feed's log.
    """

    def __init__(
        self,
        detectors: Sequence[Detector] | Sequence[str] | None = None,
        settings: Settings | None = None,
        *,
        breaker: DeadLetterBreaker | None = None,
        clock: Callable[[], float] | None = None,
        epoch: str = EPOCH,
    ) -> None:
        settings = settings or load_settings(environ={})
        metrics = WorkerMetrics(CollectorRegistry())
        self.now = START
        self.spec = make_engine_spec(settings, metrics, epoch)
        self.state = PartitionState(self.spec.tables)
        self.processor = make_processor(
            settings,
            metrics,
            epoch,
            clock or self._log_time_s,
            breaker or DeadLetterBreaker.never(),
            None if detectors is None else [each for some in detectors for each in _detectors(some)],
        )
        self.outputs: dict[str, list[OutputRecord]] = {}
        """Everything that was written, by output topic."""
        self.wake_at_ms: int | None = None
        """When the next timer is due, Unix milliseconds."""
        self.late = 0
        self._ticked_ms = 0
        self._batches = self._rows = 0
        self._stored: dict[tuple[str, int], dict[str, Any]] = {}
        self._encode = msgspec.json.Encoder().encode

    @property
    def tables(self) -> TenantTables:
        """The worker's tables."""
        return self.state.derived(TenantTables)

    @property
    def messages(self) -> list[FeedRecord]:
        """Every record of the feed so far."""
        return _decoded(self.outputs.get(self.spec.topics.feed, ()))

    @property
    def findings(self) -> list[Finding]:
        """Every finding so far."""
        return _findings(self.messages)

    def insert(self, table: str, *, at: datetime | None = None, **columns: Any) -> list[Finding]:
        """Commit a new row and process it.

        Args:
            table: the canonical name of the table.
            at: the commit time; None: a second after the previous row.
            columns: the columns of the row; `tenant_id` is 1 if it is not given.

        Returns:
            The resulting findings.
        """
        row = {"tenant_id": 1} | columns
        self._stored[table, row["id"]] = row
        return self._commit(table, "c", None, row, at)

    def update(self, table: str, row_id: int, *, at: datetime | None = None, **columns: Any) -> list[Finding]:
        """Change some columns of a row that was inserted here."""
        before = self._stored[table, row_id]
        row = self._stored[table, row_id] = before | columns
        return self._commit(table, "u", before, row, at)

    def delete(self, table: str, row_id: int, *, at: datetime | None = None) -> list[Finding]:
        """Delete a row that was inserted here."""
        return self._commit(table, "d", self._stored.pop((table, row_id)), None, at)

    def wait(self, **span: float) -> list[Finding]:
        """Let time pass without a row, as in `wait(hours=13)`; return what the timers found."""
        return self.wait_until(self.now + timedelta(**span))

    def wait_until(self, at: datetime) -> list[Finding]:
        """Let time pass without a row until then; return what the timers found."""
        self.now, until_ms, found = at, round(at.timestamp() * 1000), list[Finding]()
        while self.wake_at_ms is not None and self.wake_at_ms <= until_ms:
            found += _findings(_decoded(self.process((), tick_ms=until_ms).outputs.get(self.spec.topics.feed, ())))
        return found

    def entry(
        self,
        table: str,
        op: str,
        rows: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None],
        commit_us: int,
        lsn: int,
    ) -> Entry:
        """A committed change, encoded as Debezium writes it and decoded as the worker reads it.

        Args:
            table: the canonical name of the table.
            op: c, u, d or r (a snapshot row).
            rows: the row before and after the change.
            commit_us: the commit time, microseconds since 1970.
            lsn: the LSN of the change, which is also its offset.
        """
        before, after = rows
        source = {"ts_us": commit_us, "sequence": f'["{lsn - 1}","{lsn}"]', "lsn": lsn, "txId": lsn}
        if op == "r":
            source["snapshot"] = "true"
        value = self._encode({"op": op, "before": before, "after": after, "source": source})
        row = after or before or {}
        key = tenant_key(row.get("tenant_id") or row["id"])  # the tenant of a tenant's row is itself
        return self.spec.decode(CAPTURED_TABLES.index(table), SourceRecord(lsn, commit_us // 1000, key, value))

    def process(self, entries: Sequence[Entry], *, tick_ms: int | None = None) -> MicroBatch:
        """Process a micro-batch, then fire what was due by `tick_ms`; return it with its outputs."""
        self._batches += 1
        batch = MicroBatch(0, self._batches, self.state, list(entries), {}, tick_ms)
        batch.ticked_ms = self._ticked_ms
        self.processor.process(batch, self.tables)
        self.state.sweep()
        self.wake_at_ms = batch.wake_at_ms
        self._ticked_ms = max(self._ticked_ms, batch.fired_ms)
        self.late += batch.late
        for topic, records in batch.outputs.items():
            self.outputs.setdefault(topic, []).extend(records)
        return batch

    def _log_time_s(self) -> float:
        return self.now.timestamp()

    def _commit(
        self,
        table: str,
        op: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        at: datetime | None,
    ) -> list[Finding]:
        self._rows += 1
        self.now = at or self.now + timedelta(seconds=_ROW_S)
        entry = self.entry(table, op, (before, after), round(self.now.timestamp() * 1e6), 1_000 + 8 * self._rows)
        return _findings(_decoded(self.process([entry]).outputs.get(self.spec.topics.feed, ())))


def _detectors(each: Detector | str) -> Sequence[Detector]:
    return named([each]) if isinstance(each, str) else [each]


def _decoded(records: Sequence[OutputRecord]) -> list[FeedRecord]:
    return [decode_feed_record(record.value or b"") for record in records]


def _findings(messages: Sequence[FeedRecord]) -> list[Finding]:
    return [finding for message in messages if isinstance(message, AnomalyDetected) for finding in message.findings]
