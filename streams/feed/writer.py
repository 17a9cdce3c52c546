"""Encodes what the scorer says, once, and puts it into the micro-batch's outputs.

Owns identifiers, time formats and topics of the outputs. Feed bytes depend on the record alone; only the
latencies of clean events know the clock, which is read once a micro-batch.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from common.settings.worker import FeedSettings
from contracts.dead_letters import VALUE_LEFT_OUT_HEADER, dead_letter_headers
from contracts.envelope import Change
from contracts.feed import (
    FeedRecord,
    ProcessedBatch,
    ProcessedEvent,
    SourcePosition,
    cloudevent_headers,
    encode_record,
    record_id,
)
from contracts.topics import TopicNames, tenant_key
from streams.engine.model import Entry
from streams.engine.partition.micro_batch import MicroBatch
from streams.metrics import WorkerMetrics
from streams.state.entities import TenantState

log = structlog.get_logger(__name__)


class RecordTooLargeError(Exception):
    """A feed record is larger than the settings allow; its source record becomes a dead letter."""


class FeedWriter:
    """Collects the outputs of the micro-batch that is being processed.

    Args:
        topics: topic names.
        sources: source topics by rank, for the coordinates of dead letters.
        epoch: identity of the feed's log.
        clock: Unix seconds.
        metrics: where it counts.
        limits: how large an output may be.
    """

    def __init__(
        self,
        topics: TopicNames,
        sources: tuple[str, ...],
        epoch: str,
        clock: Callable[[], float],
        metrics: WorkerMetrics,
        limits: FeedSettings,
    ) -> None:
        self.epoch = epoch
        self._limits = limits
        self._topics = topics
        self._sources = sources
        self._clock = clock
        self._metrics = metrics
        self._oldest_us: int | None = None
        self._clean: dict[int, list[tuple[str, str, int | None, int | None, int]]] = {}

    def feed(self, batch: MicroBatch, tenant: TenantState, record: FeedRecord) -> None:
        """Append a record to the operators' feed; only then is its seq the tenant's last.

        A record that cannot be encoded therefore leaves no hole in the numbers.

        Raises:
            RecordTooLargeError: nothing was appended.
        """
        value = encode_record(record)
        if len(value) > self._limits.record_bytes_max:
            raise RecordTooLargeError(
                f"its message would take {len(value)} bytes, the limit is {self._limits.record_bytes_max}"
            )
        batch.emit(self._topics.anomalies, tenant_key(record.tenant_id), value, cloudevent_headers(record))
        tenant.seq = record.seq
        self._metrics.messages.labels(type(record).__struct_config__.tag).inc()

    def note_scored(self, commit_us: int) -> None:
        """Note that an event was looked at; the oldest of a micro-batch gives its detection latency."""
        if self._oldest_us is None or commit_us < self._oldest_us:
            self._oldest_us = commit_us

    def clean(self, change: Change, event_type: str, site_id: int | None, client_id: int | None) -> None:
        """Note an event that was scored and found clean; written by `flush`."""
        row = change.row
        clean = self._clean.get(row.tenant_id)
        if clean is None:
            clean = self._clean[row.tenant_id] = []
        name = f"{change.table}:{row.id}:{change.lsn}"  # as `event_id`, without its call
        clean.append((name, event_type, site_id, client_id, change.commit_us))

    def dead_letter(self, batch: MicroBatch, entry: Entry, detector: str, reason: str, exception_class: str) -> None:
        """Append the original record to the dead letters, with its reason; the log names it by the same id."""
        headers = dead_letter_headers(
            topic=self._sources[entry.source_index],
            partition=batch.partition,
            offset=entry.offset,
            reason=reason,
            detector=detector,
            exception_class=exception_class,
        )
        key, value = entry.record.key, entry.record.value
        size_bytes = len(key or b"") + len(value or b"")
        if size_bytes > self._limits.dead_letter_bytes_max:
            headers.append((VALUE_LEFT_OUT_HEADER, b"%d" % len(value or b"")))
            key, value = None, None
        batch.emit(self._topics.dead_letters, key, value, headers)
        log.warning(
            "dead letter",
            correlation_id=dict(headers)["correlation_id"].decode(),
            topic=self._sources[entry.source_index],
            partition=batch.partition,
            offset=entry.offset,
            detector=detector,
            error=exception_class,
        )

    def flush(self, batch: MicroBatch) -> None:
        """Write the clean events of the micro-batch, one record a tenant or a few, and measure its latency."""
        now_us = round(self._clock() * 1e6)
        if self._oldest_us is not None:
            self._metrics.detection_seconds.observe(max(0.0, (now_us - self._oldest_us) / 1e6))
            self._oldest_us = None
        count = self._limits.processed_events_max
        for tenant_id, events in self._clean.items():
            for part, start in enumerate(range(0, len(events), count)):
                record = ProcessedBatch(
                    tenant_id=tenant_id,
                    batch=batch.number,
                    part=part,
                    events=[
                        ProcessedEvent(
                            name,
                            event_type,
                            site_id,
                            client_id,
                            (now_us - commit_us) / 1000,
                        )
                        for name, event_type, site_id, client_id, commit_us in events[start : start + count]
                    ],
                )
                batch.emit(self._topics.processed, tenant_key(tenant_id), encode_record(record))
        self._clean = {}


def source_of(change: Change) -> SourcePosition:
    """Which row change a feed record is about."""
    claimed_us = change.claimed_commit_us
    return SourcePosition(
        change.table,
        str(change.row.id),
        change.lsn,
        iso_us(change.commit_us),
        None if claimed_us is None else iso_us(claimed_us),
    )


def event_id(change: Change) -> str:
    """The identifier of a row change, such as `attendance:17:35141432`."""
    return f"{change.table}:{change.row.id}:{change.lsn}"


def feed_id(change: Change, kind: str) -> str:
    """The deterministic identifier of what `kind` says about a row change."""
    return record_id(change.table, str(change.row.id), change.lsn, kind)


def iso_us(microseconds: int) -> str:
    """Microseconds since 1970 as ISO 8601 UTC.

    >>> iso_us(1_795_245_000_123_456)
    '2026-11-21T07:10:00.123456Z'
    """
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def iso_ms(milliseconds: int) -> str:
    """Milliseconds since 1970 as ISO 8601 UTC."""
    return iso_us(milliseconds * 1000)
