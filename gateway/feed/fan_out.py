"""Writes what was read from the log to all live subscribers who may see it: one write for each of them and round.

Owns the live fan-out. A subscriber whose socket is full gets nothing live: `gateway.feed.catchup` lets it read on from
the history when there is room again, so nothing is queued for it. Never sees a record that the readers' rule has not
accepted.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from contracts.feed import AnomalyDetected, ProcessedEvent
from contracts.messages import GapMessage, GapReason, encode_message
from contracts.projections import processed_message
from gateway.feed.catchup import CatchUp, WriteListener
from gateway.feed.hub import Hub
from gateway.feed.rendering import Endpoint, FeedEntry, Variant, kinds_of
from gateway.feed.subscriber import Group, Subscriber
from gateway.metrics import GatewayMetrics

_PROCESSED = "event_processed"


class DeliveryListener(WriteListener, Protocol):
    """Is notified of what was read and of what was written (B5.11)."""

    def published(self, entries: Sequence[FeedEntry]) -> None:
        """These records were written to all live subscribers who may see them."""

    def remembered(self, entries: Sequence[FeedEntry]) -> None:
        """These records were read back at the start; nobody was written them."""

    def log_ends(self) -> None:
        """The records that follow are of another log."""


class FanOut:
    """The live feed of one gateway."""

    def __init__(self, hub: Hub, catch_up: CatchUp, deliveries: DeliveryListener, metrics: GatewayMetrics) -> None:
        self._hub = hub
        self._catch_up = catch_up
        self._deliveries = deliveries
        self._metrics = metrics

    def start_log(self, epoch: str) -> None:
        """The records that follow are of this log; who is connected to another one must connect again."""
        if self._hub.epoch:
            self._deliveries.log_ends()
        self._hub.start_log(epoch)

    def publish(self, entries: Sequence[FeedEntry]) -> None:
        """Write records, in the order of the log, to all who may see them."""
        by_tenant: dict[int, list[FeedEntry]] = {}
        for entry in entries:
            by_tenant.setdefault(entry.record.tenant_id, []).append(entry)
        self._catch_up.keep_rendered(entries)
        for tenant_id, batch in by_tenant.items():
            group = self._hub.advance(tenant_id, batch)
            group.events += sum(isinstance(entry.record, AnomalyDetected) for entry in batch)
            self._publish_broad(tenant_id, group, batch)
            self._publish_narrow(tenant_id, group, batch)
        self._deliveries.published(entries)
        now = self._hub.clock()
        for entry in entries:
            self._metrics.commit_to_write.observe(max(0.0, now - entry.commit_time))

    def remember(self, entries: Sequence[FeedEntry]) -> None:
        """Take note of records that nobody is to be sent: what the log held at the start."""
        for entry in entries:
            self._hub.advance(entry.record.tenant_id, (entry,))
        self._deliveries.remembered(entries)

    def publish_processed(self, tenant_id: int, events: Sequence[ProcessedEvent], timestamp: str) -> None:
        """Write events that were found clean to the tenant's anomaly streams.

        They are outside the sequence: a subscriber that is behind or whose socket is full is not sent them later.
        """
        group = self._hub.group(tenant_id)
        group.events += len(events)
        # Nothing personal is in these messages: both variants of the stream get the same bytes.
        variants = [variant for variant in group.broad if variant.endpoint is Endpoint.ANOMALY_STREAM]
        broad = [subscriber for variant in variants for subscriber in group.broad[variant]]
        narrow = [member for member in group.narrow if member.variant.endpoint is Endpoint.ANOMALY_STREAM]
        if not broad and not narrow:
            return
        frames = [self._hub.frame(encode_message(processed_message(event, timestamp))) for event in events]
        if broad:
            self._write_all(broad, b"".join(frames), {_PROCESSED: len(frames)}, Endpoint.ANOMALY_STREAM)
        for subscriber in narrow:
            shows = subscriber.scope.shows
            shown = [
                frame for event, frame in zip(events, frames, strict=True) if shows(event.client_id, event.site_id)
            ]
            if shown:
                self._write_all([subscriber], b"".join(shown), {_PROCESSED: len(shown)}, Endpoint.ANOMALY_STREAM)

    def _publish_broad(self, tenant_id: int, group: Group, batch: Sequence[FeedEntry]) -> None:
        for variant, subscribers in group.broad.items():
            if not subscribers:
                continue
            frames = [self._frames_of(entry, variant, entry.stored.prev_seq) for entry in batch]
            kinds = kinds_of(batch, variant)
            written, full = self._write_all(subscribers, b"".join(frames), kinds, variant.endpoint)
            self._deliveries.written(tenant_id, batch[0].record.seq, batch[-1].record.seq, written)
            for subscriber in full:
                # What a broad subscriber had last is the record before this batch.
                subscriber.last_seq = batch[0].stored.prev_seq
                self._catch_up.fall_behind(subscriber, batch[0].record.seq - 1)

    def _publish_narrow(self, tenant_id: int, group: Group, batch: Sequence[FeedEntry]) -> None:
        for subscriber in tuple(group.narrow):
            if subscriber.sink.congested:
                self._catch_up.fall_behind(subscriber, batch[0].record.seq - 1)
                continue
            frames: list[bytes] = []
            shown: list[FeedEntry] = []
            for entry in batch:
                if entry.lost_from is not None:
                    subscriber.last_seq = entry.record.seq - 1
                    frames.append(self._gap(entry, entry.lost_from))
                if entry.passes(subscriber.scope):
                    frames.append(entry.frames(subscriber.variant, subscriber.last_seq, self._hub.frame))
                    shown.append(entry)
                    subscriber.last_seq = entry.record.seq
                    self._deliveries.written_one(tenant_id, entry.record.seq)
            if frames:
                joined = b"".join(frames)
                subscriber.sink.write(joined)
                variant = subscriber.variant
                self._metrics.sent.count(variant.endpoint, kinds_of(shown, variant), 1, len(joined))

    def _frames_of(self, entry: FeedEntry, variant: Variant, prev_seq: int) -> bytes:
        frames = entry.frames(variant, prev_seq, self._hub.frame)
        return frames if entry.lost_from is None else self._gap(entry, entry.lost_from) + frames

    def _gap(self, entry: FeedEntry, first: int) -> bytes:
        gap = GapMessage(timestamp=entry.timestamp, first=first, last=entry.record.seq - 1, reason=GapReason.LOG_HOLE)
        return self._hub.frame(encode_message(gap))

    def _write_all(
        self, subscribers: Iterable[Subscriber], frames: bytes, kinds: Mapping[str, int], endpoint: Endpoint
    ) -> tuple[int, list[Subscriber]]:
        """Write the same bytes to many.

        Returns:
            how many took them, and who has no room.
        """
        written, full = 0, []
        for subscriber in subscribers:
            sink = subscriber.sink
            if sink.congested:
                full.append(subscriber)
            else:
                sink.write(frames)
                written += 1
        self._metrics.sent.count(endpoint, kinds, written, len(frames))
        return written, full
