"""Log records in, entries for the hub out: decoding, the readers' rule, positions and holes.

Owns what the gateway knows of each tenant's sequence. No I/O; it is fed by `gateway.feed.feed_handler`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from contracts.feed import FeedRecord, Fence, ProcessedBatch, decode_feed_record, decode_processed
from gateway.feed.history import StoredRecord
from gateway.feed.rendering import FeedEntry
from gateway.metrics import GatewayMetrics
from gateway.session.replies import iso
from watchfloor_client.readers import FeedRule, generation_of

Headers = Sequence[tuple[str, bytes]]

_log = structlog.get_logger(__name__)


class FeedDecoder:
    """The feed's log as this gateway has read it so far."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._rule = FeedRule()
        self._batches: dict[tuple[int, int], tuple[int, int]] = {}
        self._generations: dict[int, int] = {}
        """Partition number to the newest generation seen there, in either topic: one worker owns both."""

    def clear(self) -> None:
        """The log is another one: no position of the old one means anything."""
        self._rule = FeedRule()
        self._batches.clear()
        self._generations.clear()

    def anomaly(
        self, partition: int, offset: int, headers: Headers, value: bytes, timestamp_ms: int
    ) -> FeedEntry | None:
        """A record of `noc.anomalies`; None where it is not to be shown.

        Args:
            partition: where it was read from, with `offset`.
            offset: for the log line about a record that cannot be read.
            headers: of the record.
            value: its JSON.
            timestamp_ms: when it was appended, milliseconds since 1970.
        """
        try:
            record = decode_feed_record(value)
            generation = generation_of(headers)
            happened = 0.0 if isinstance(record, Fence) else _seconds(record.time)
        except (msgspec.DecodeError, ValueError) as error:
            self._unreadable("anomalies", partition, offset, error)
            return None
        if isinstance(record, Fence):
            self._newest_generation(partition, record.generation)
            self._rule.fence(partition, record.generation)
            self._metrics.records.labels("fence").inc()
            return None
        self._newest_generation(partition, generation)
        before = self._rule.last_seq(record.tenant_id)
        if not self._rule.accepts(partition, generation, tenant_id=record.tenant_id, seq=record.seq, offset=offset):
            self._refused(record, partition, offset)
            return None
        self._metrics.records.labels("shown").inc()
        hole = before > 0 and record.seq != before + 1
        if hole:
            self._metrics.holes.inc()
            _log.error("the feed skips numbers", tenant_id=record.tenant_id, last=before, next=record.seq)
        stored = StoredRecord(record.seq, record.seq - 1 if before else 0, offset, timestamp_ms, value)
        return feed_entry_of(record, stored, happened, before + 1 if hole else None)

    def processed(self, partition: int, offset: int, headers: Headers, value: bytes) -> ProcessedBatch | None:
        """A record of `noc.processed`; None where it repeats one, is a fenced-off worker's or cannot be read.

        Such a worker numbers its micro-batches on from where it stopped: without a look at the generation its
        batch would be shown, and the rightful one of that number taken for a repeat.
        """
        try:
            batch = decode_processed(value)
            generation = generation_of(headers)
        except (msgspec.DecodeError, ValueError) as error:
            self._unreadable("processed", partition, offset, error)
            return None
        key, number = (partition, batch.tenant_id), (batch.batch, batch.part)
        if generation < self._newest_generation(partition, generation) or number <= self._batches.get(key, (-1, -1)):
            self._metrics.records.labels("skipped").inc()
            return None
        self._batches[key] = number
        return batch

    def _refused(self, record: FeedRecord, partition: int, offset: int) -> None:
        tenant_id, seq = record.tenant_id, record.seq
        if self._rule.believes(tenant_id=tenant_id, seq=seq, offset=offset):
            self._metrics.records.labels("skipped").inc()
            return
        self._metrics.records.labels("not_believed").inc()
        _log.error(
            "a feed record has a number that the log has no room for: it is not shown",
            tenant_id=tenant_id,
            last=self._rule.last_seq(tenant_id),
            seq=seq,
            partition=partition,
            offset=offset,
        )

    def _newest_generation(self, partition: int, generation: int) -> int:
        newest = self._generations[partition] = max(generation, self._generations.get(partition, 0))
        return newest

    def _unreadable(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        # Newer workers may write types that this gateway does not know; the sequence goes on without them.
        self._metrics.records.labels("unreadable").inc()
        _log.error("a feed record cannot be read", topic=topic, partition=partition, offset=offset, error=str(error))


def feed_entry_again(stored: StoredRecord) -> FeedEntry:
    """A record of the history on its way to a subscriber; it was accepted once, so it can be read."""
    record = decode_feed_record(stored.value)
    if isinstance(record, Fence):
        raise TypeError("a fence is never shown, so it is never stored")
    return feed_entry_of(record, stored, _seconds(record.time))


def feed_entry_of(record: FeedRecord, stored: StoredRecord, happened: float, lost_from: int | None = None) -> FeedEntry:
    """A record with the times that its messages show.

    Args:
        record: decoded.
        stored: the same as it was read.
        happened: when what it reports became true, seconds since 1970: the commit of its row, or the time until which
            something should have happened.
        lost_from: see `FeedEntry`.
    """
    latency_ms = round(max(0.0, stored.timestamp_ms - happened * 1000), 3)
    return FeedEntry(record, stored, iso(stored.timestamp_ms / 1000), latency_ms, happened, lost_from)


def _seconds(time: str) -> float:
    moment = datetime.fromisoformat(time)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
