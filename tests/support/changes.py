"""Builds changes and micro-batches by hand: the outside of the scorer, as values."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from common.settings.worker import FeedSettings, WorkerSettings
from contracts.envelope import Change
from contracts.feed import AnomalyDetected, RateLimited, TicketUpdated, decode_feed_record
from contracts.rows import ROW_TYPES
from contracts.topics import CAPTURED_TABLES, TopicNames
from detectors.interface import Detector
from detectors.registry import named
from streams.detection.detector_runner import DetectorRunner
from streams.detection.reference_wait import ReferenceWait
from streams.engine.model import Entry
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.state.partition_state import PartitionState
from streams.feed.breaker import DeadLetterBreaker
from streams.feed.writer import FeedWriter
from streams.handlers.scored_row import BatchProcessor
from streams.metrics import WorkerMetrics
from streams.rate_limit.limiter import Limiter
from streams.state.tables import TenantTables, table_specs

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1e6)
TOPICS = TopicNames()
FEED = TOPICS.anomalies


@dataclass
class Record:
    """What the scorer sees of a Kafka record."""

    offset: int = 0
    timestamp: int = NOW_US // 1000
    key: bytes | None = b'{"tenant_id":1}'
    value: bytes | None = b"{}"
    headers: Sequence[tuple[str, bytes]] = ()


def change(
    table: str,
    after: dict[str, Any] | None,
    before: dict[str, Any] | None = None,
    *,
    op: str | None = None,
    lsn: int = 100,
    at_us: int = NOW_US,
) -> Change:
    """One committed change; the operation follows from which rows there are."""
    row_type = ROW_TYPES[table]
    operation = op or ("d" if after is None else "u" if before is not None else "c")
    return Change(
        table,
        operation,
        None if before is None else row_type(**before),
        None if after is None else row_type(**after),
        lsn - 1,
        lsn,
        at_us,
        operation == "r",
        7,
    )


def entries(changes: Iterable[Any]) -> list[Entry]:
    """Entries as the merge hands them on: by the LSNs of their changes, those without one first."""
    made = []
    for offset, each in enumerate(changes):
        source_index = (
            CAPTURED_TABLES.index(each.table) if isinstance(each, Change) else CAPTURED_TABLES.index("attendance")
        )
        lsn = each.lsn if isinstance(each, Change) else 0
        made.append(Entry(max(0, lsn - 1), lsn, source_index, offset, each, Record(offset)))
    return sorted(made, key=lambda entry: (entry.commit_lsn, entry.lsn, entry.source_index, entry.offset))


@dataclass
class Worker:
    """A scorer with the tables of one partition."""

    limit: int = 100
    window_ms: int = 1_000
    detectors: Sequence[Detector] = named(["wrong_person", "unauthorized_site"])
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: PartitionState = field(default_factory=lambda: PartitionState(table_specs(WorkerSettings())))
    timers_per_tick_max: int = 2_000
    run_max: int = 100
    tenants_min: int = 1
    limits: FeedSettings = field(default_factory=FeedSettings)
    reference_wait_ms: int = 0
    waiting_max: int = 1_000
    batch: int = 0
    wake_at_ms: int | None = None
    ticked_ms: int = 0
    late: int = 0
    outputs: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        metrics = WorkerMetrics(CollectorRegistry())
        sources = tuple(TOPICS.captured(table) for table in CAPTURED_TABLES)
        outbox = FeedWriter(TOPICS, sources, "epoch", lambda: NOW_US / 1e6, metrics, self.limits)
        self.scorer = BatchProcessor(
            CAPTURED_TABLES,
            DetectorRunner(self.detectors, self.policies, snapshot_settle_ms=2_000, absence_age_ms_max=86_400_000),
            limiter=Limiter(
                events_per_second_max=self.limit,
                window_ms=self.window_ms,
                report_interval_ms=60_000,
                outbox=outbox,
                metrics=metrics,
            ),
            waiting=ReferenceWait(self.reference_wait_ms, self.waiting_max, 3_600_000),
            shifts_per_person_max=200,
            timers_per_tick_max=self.timers_per_tick_max,
            fuse=DeadLetterBreaker(
                run_max=self.run_max, share_max=1.0, window_records=1_000, tenants_min=self.tenants_min
            ),
            outbox=outbox,
            metrics=metrics,
        )

    def run(self, changes: Iterable[Any], *, tick_ms: int | None = None) -> list[Any]:
        """Process one micro-batch; returns the feed records that it wrote."""
        return asyncio.run(self._run(list(changes), tick_ms))

    async def _run(self, changes: list[Any], tick_ms: int | None) -> list[Any]:
        self.batch += 1
        batch = MicroBatch(0, self.batch, self.state, entries(changes), {}, tick_ms)
        batch.ticked_ms = self.ticked_ms
        self.scorer.process(batch, self.state.derived(TenantTables))
        self.wake_at_ms = batch.wake_at_ms
        self.ticked_ms = max(self.ticked_ms, batch.fired_ms)
        self.late += batch.late
        for topic, records in batch.outputs.items():
            self.outputs.setdefault(topic, []).extend(records)
        return [decode_feed_record(record.value or b"") for record in batch.outputs.get(FEED, [])]

    def feed(self) -> list[AnomalyDetected | TicketUpdated | RateLimited]:
        """Every feed record so far."""
        return [decode_feed_record(record.value) for record in self.outputs.get(FEED, [])]  # type: ignore[misc]


def check_in(
    number: int = 1, *, tenant: int = 1, person: int = 17, site: int = 4, lsn: int = 100, **more: Any
) -> Change:
    """A check-in that nobody objects to unless `more` says otherwise."""
    at_us = more.pop("at_us", NOW_US)
    row = {"id": number, "tenant_id": tenant, "person_id": person, "site_id": site, "event_type": "CHECK_IN"}
    return change("attendance", row | {"occurred_at": NOW, "verified_person_id": person} | more, lsn=lsn, at_us=at_us)


def shift(*, tenant: int = 1, person: int = 17, site: int = 4, lsn: int = 10, number: int = 1) -> Change:
    """An assignment that covers NOW."""
    row = {
        "id": number,
        "tenant_id": tenant,
        "person_id": person,
        "site_id": site,
        "shift_start": datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
        "shift_end": datetime(2026, 3, 2, 16, 0, tzinfo=UTC),
    }
    return change("assignment", row, lsn=lsn)
