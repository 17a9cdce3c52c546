"""Builds changes and micro-batches by hand: what goes into the worker's fold, as values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from support.changed_settings import changed

from common.settings.load import load_settings
from contracts.envelope import Change
from contracts.feed import AnomalyDetected, RateLimited, TicketUpdated, decode_feed_record
from contracts.rows import ROW_TYPES
from contracts.topics import CAPTURED_TABLES, TopicNames
from detectors.interface import Detector
from detectors.registry import named
from streams.engine.model import Entry
from streams.engine.state.partition_state import PartitionState
from streams.feed.breaker import DeadLetterBreaker
from streams.testing import MemoryWorker

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
    operation: Any = op or ("d" if after is None else "u" if before is not None else "c")
    old = None if before is None else row_type(**before)
    new = None if after is None else row_type(**after)
    row: Any = old if new is None else new
    return Change(
        table,
        operation,
        old,
        new,
        row,
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
    """A worker of one partition in memory, given changes instead of records."""

    limit: int = 100
    window_ms: int = 1_000
    detectors: Sequence[Detector] = named(["wrong_person", "unauthorized_site"])
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: PartitionState | None = None
    timers_per_tick_max: int = 2_000
    failures_min: int = 100
    tenants_min: int = 1
    worker: dict[str, Any] = field(default_factory=dict)
    reference_wait_ms: int = 0
    waiting_max: int = 1_000

    def __post_init__(self) -> None:
        overrides = {
            "rate_limit.max_events_per_second": self.limit,
            "rate_limit.window_ms": self.window_ms,
            "policies": self.policies,
            "timers.per_tick_max": self.timers_per_tick_max,
            "references.wait_ms": self.reference_wait_ms,
            "references.waiting_events_per_tenant_max": self.waiting_max,
        }
        settings = load_settings(environ={})
        settings = settings.model_copy(update={"worker": changed(settings.worker, overrides | self.worker)})
        breaker = DeadLetterBreaker(
            share_max=0.5, window_records=1, tenants_min=self.tenants_min, tenant_failures_min=self.failures_min
        )
        self.memory = MemoryWorker(self.detectors, settings, breaker=breaker, clock=lambda: NOW_US / 1e6, epoch="epoch")
        if self.state is not None:
            self.memory.state = self.state
        self.state = self.memory.state
        self.outputs = self.memory.outputs

    def run(self, changes: Iterable[Any], *, tick_ms: int | None = None) -> list[Any]:
        """Process one micro-batch; returns the feed records that it wrote."""
        batch = self.memory.process(entries(changes), tick_ms=tick_ms)
        return [decode_feed_record(record.value or b"") for record in batch.outputs.get(FEED, [])]

    @property
    def wake_at_ms(self) -> int | None:
        """When a timer is due next, Unix milliseconds."""
        return self.memory.wake_at_ms

    @property
    def late(self) -> int:
        """Rows from before a timer that had fired already."""
        return self.memory.late

    def feed(self) -> list[AnomalyDetected | TicketUpdated | RateLimited]:
        """Every feed record so far."""
        return [decode_feed_record(record.value or b"") for record in self.outputs.get(FEED, [])]


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


def ticket_row(status: str, *, number: int = 3, **more: Any) -> dict[str, Any]:
    """A ticket of the first tenant."""
    return {"id": number, "tenant_id": 1, "status": status, "site_id": 4, "priority": "HIGH"} | more
