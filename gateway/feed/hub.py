"""Who gets what: the tenants' groups, their subscribers, and one write per subscriber and batch.

Owns the live fan-out. A subscriber whose socket is full gets nothing live: `gateway.feed.catchup` lets it read on
from the past when there is room again, so that nothing is queued for it. Never opens or reads a socket (it is
given sinks), and never sees a record that the readers' rule has not accepted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import UNSET

from contracts.feed import AnomalyDetected, ProcessedEvent
from contracts.messages import CloseCode, GapMessage, GapReason, Heartbeat, NoticeMessage, encode_message
from contracts.projections import processed_message
from gateway.access.masking import masked_notice
from gateway.access.scope import Scope
from gateway.feed.delivery_listener import DeliveryListener
from gateway.feed.history import History
from gateway.feed.rendering import Endpoint, FeedEntry, Frame, Variant, kinds_of
from gateway.feed.subscriber import Group, Mode, Subscriber
from gateway.metrics import GatewayMetrics

_PROCESSED = "event_processed"


class Hub:
    """All groups of one gateway.

    Args:
        frame: makes a text frame of a payload.
        history: is filled with what was published.
        ledger: is told who was written what.
        metrics: to count what is sent.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        frame: Frame,
        history: History,
        ledger: DeliveryListener,
        metrics: GatewayMetrics,
        clock: Callable[[], float],
    ) -> None:
        self.frame = frame
        self.history = history
        self.ledger = ledger
        self.sent = metrics.sent
        self._metrics = metrics
        self.clock = clock
        self._groups: dict[int, Group] = {}
        self.fell_behind: Callable[[Subscriber], None] = lambda _subscriber: None
        """Called when a subscriber's socket is full; set by who lets it read on."""
        self.fresh: Callable[[Sequence[FeedEntry]], None] = lambda _entries: None
        """Called with what was published; set by who keeps rendered entries."""

    def position(self, tenant_id: int) -> int:
        """The seq of the tenant's last record, 0 where none is known."""
        group = self._groups.get(tenant_id)
        return group.position if group else 0

    def events_processed(self, tenant_id: int) -> int:
        """Source events of the tenant since this gateway started."""
        group = self._groups.get(tenant_id)
        return group.events if group else 0

    def connections(self, tenant_id: int) -> int:
        """Subscribers of the tenant."""
        group = self._groups.get(tenant_id)
        return sum(1 for _ in group.members()) if group else 0

    def subscribers(self) -> list[Subscriber]:
        """All subscribers, live and not."""
        return [subscriber for group in self._groups.values() for subscriber in group.members()]

    def waiting(self) -> list[Subscriber]:
        """Those who are not live."""
        return [subscriber for group in self._groups.values() for subscriber in group.waiting]

    def queued_bytes_max(self) -> int:
        """The largest queue of a socket whose subscriber is not live."""
        return max((subscriber.sink.buffered_bytes() for subscriber in self.waiting()), default=0)

    def join(self, subscriber: Subscriber) -> None:
        """Make a subscriber live; its first message is the one after the tenant's position now."""
        group = self._enter(subscriber)
        subscriber.last_seq = group.position
        self._make_live(group, subscriber)

    def rejoin(self, subscriber: Subscriber) -> None:
        """Make a subscriber live that has had everything up to the tenant's position now."""
        self._make_live(self._enter(subscriber), subscriber)

    def set_aside(self, subscriber: Subscriber, mode: Mode, cursor: int) -> None:
        """Write nothing live to a subscriber until it joins again.

        Args:
            subscriber: whom.
            mode: BEHIND or HELD.
            cursor: the seq up to which it has had everything.
        """
        group = self._enter(subscriber)
        group.waiting.add(subscriber)
        subscriber.mode, subscriber.cursor = mode, cursor
        subscriber.moved_at = self.clock()

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a subscriber; a second time does nothing."""
        if subscriber.mode is Mode.GONE:
            return
        self._take_out(subscriber)
        subscriber.mode = Mode.GONE
        subscriber.backlog = None
        self._metrics.connections.labels(subscriber.variant.endpoint).dec()

    def change(self, subscriber: Subscriber, variant: Variant, scope: Scope) -> int:
        """Show a subscriber other things from here on.

        Returns:
            the seq up to which the old view was shown.
        """
        group = self._groups[subscriber.tenant_id]
        if subscriber.mode is Mode.LIVE:
            self._take_out(subscriber)
            subscriber.variant, subscriber.scope, subscriber.last_seq = variant, scope, group.position
            self._make_live(group, subscriber)
            return group.position
        subscriber.variant, subscriber.scope, subscriber.last_seq = variant, scope, subscriber.cursor
        return subscriber.cursor

    def reached(self, subscriber: Subscriber) -> int:
        """The seq up to which a subscriber has had everything that it may see."""
        return self.position(subscriber.tenant_id) if subscriber.mode is Mode.LIVE else subscriber.cursor

    def publish(self, entries: Sequence[FeedEntry]) -> None:
        """Write records, in the order of the log, to all who may see them."""
        by_tenant: dict[int, list[FeedEntry]] = {}
        for entry in entries:
            by_tenant.setdefault(entry.record.tenant_id, []).append(entry)
        self.fresh(entries)
        for tenant_id, batch in by_tenant.items():
            group = self._advance(tenant_id, batch)
            group.events += sum(isinstance(entry.record, AnomalyDetected) for entry in batch)
            self._publish_broad(tenant_id, group, batch)
            self._publish_narrow(tenant_id, group, batch)
        self.ledger.published(entries)
        now = self.clock()
        for entry in entries:
            self._metrics.commit_to_write.observe(max(0.0, now - entry.commit_time))

    def remember(self, entries: Sequence[FeedEntry]) -> None:
        """Take note of records that nobody is to be sent: the past, read back at the start."""
        for entry in entries:
            self._advance(entry.record.tenant_id, (entry,))
        self.ledger.remembered(entries)

    def publish_processed(self, tenant_id: int, events: Sequence[ProcessedEvent], timestamp: str) -> None:
        """Tell the tenant's anomaly streams of events that were found clean.

        They are outside the sequence: who is behind or whose socket is full is not told of them later.
        """
        group = self._groups.setdefault(tenant_id, Group())
        group.events += len(events)
        # Nothing personal is in these messages: both variants of the stream get the same bytes.
        variants = [variant for variant in group.broad if variant.endpoint is Endpoint.ANOMALY_STREAM]
        broad = [subscriber for variant in variants for subscriber in group.broad[variant]]
        narrow = [member for member in group.narrow if member.variant.endpoint is Endpoint.ANOMALY_STREAM]
        if not broad and not narrow:
            return
        frames = [self.frame(encode_message(processed_message(event, timestamp))) for event in events]
        if broad:
            self._write_all(broad, b"".join(frames), {_PROCESSED: len(frames)}, Endpoint.ANOMALY_STREAM)
        for subscriber in narrow:
            shows = subscriber.scope.shows
            seen = [frame for event, frame in zip(events, frames, strict=True) if shows(event.client_id, event.site_id)]
            if seen:
                self._write_all([subscriber], b"".join(seen), {_PROCESSED: len(seen)}, Endpoint.ANOMALY_STREAM)

    def notify(
        self, tenant_id: int | None, message: NoticeMessage, shows: Callable[[Scope], bool] | None = None
    ) -> None:
        """Write a notice, outside the sequence, to a tenant's subscribers or to all.

        Args:
            tenant_id: whose; None is everybody.
            message: what.
            shows: decides by a subscriber's scope; None is everybody's.
        """
        groups = self._groups.values() if tenant_id is None else filter(None, [self._groups.get(tenant_id)])
        frames = {
            masked: self.frame(encode_message(masked_notice(message) if masked else message))
            for masked in (False, True)
        }
        for group in groups:
            for subscriber in group.members():
                if not subscriber.sink.congested and (shows is None or shows(subscriber.scope)):
                    subscriber.sink.write(frames[subscriber.variant.masked])

    def heartbeat(self, subscriber: Subscriber, timestamp: str) -> None:
        """Show a subscriber that its connection lives, and how far it has come."""
        if not subscriber.sink.congested:
            reached = UNSET if subscriber.mode is Mode.HELD else self.reached(subscriber)
            beat = Heartbeat(timestamp=timestamp, seq=reached)
            subscriber.sink.write(self.frame(encode_message(beat)))

    def close_all(self, code: CloseCode, reason: str) -> None:
        """Close every subscriber and forget everything: the log is another one."""
        for subscriber in self.subscribers():
            self.dismiss(subscriber, code, reason)
        self._groups.clear()
        self.history.clear()

    def dismiss(self, subscriber: Subscriber, code: CloseCode, reason: str) -> None:
        """Remove a subscriber and close its connection."""
        self.leave(subscriber)
        subscriber.sink.close(code, reason)

    def _advance(self, tenant_id: int, batch: Sequence[FeedEntry]) -> Group:
        group = self._groups.setdefault(tenant_id, Group())
        for entry in batch:
            self.history.add(tenant_id, entry.past)
        group.position = batch[-1].record.seq
        return group

    def _enter(self, subscriber: Subscriber) -> Group:
        group = self._groups.setdefault(subscriber.tenant_id, Group())
        if subscriber.mode is Mode.GONE:
            self._metrics.connections.labels(subscriber.variant.endpoint).inc()
        else:
            self._take_out(subscriber)
        return group

    def _make_live(self, group: Group, subscriber: Subscriber) -> None:
        subscriber.mode, subscriber.backlog = Mode.LIVE, None
        if subscriber.scope.everything:
            group.broad.setdefault(subscriber.variant, set()).add(subscriber)
        else:
            group.narrow.add(subscriber)

    def _take_out(self, subscriber: Subscriber) -> None:
        group = self._groups.get(subscriber.tenant_id)
        if group is None:
            return
        group.waiting.discard(subscriber)
        group.narrow.discard(subscriber)
        group.broad.get(subscriber.variant, set()).discard(subscriber)

    def _publish_broad(self, tenant_id: int, group: Group, batch: Sequence[FeedEntry]) -> None:
        for variant, subscribers in group.broad.items():
            if not subscribers:
                continue
            frames = [self._of_entry(entry, variant, entry.past.prev_seq) for entry in batch]
            kinds = kinds_of(batch, variant)
            written, full = self._write_all(subscribers, b"".join(frames), kinds, variant.endpoint)
            self.ledger.written(tenant_id, batch[0].record.seq, batch[-1].record.seq, written)
            for subscriber in full:
                # What a broad subscriber had last is the record before this batch.
                subscriber.last_seq = batch[0].past.prev_seq
                self._fall_behind(subscriber, batch[0].record.seq - 1)

    def _publish_narrow(self, tenant_id: int, group: Group, batch: Sequence[FeedEntry]) -> None:
        for subscriber in tuple(group.narrow):
            if subscriber.sink.congested:
                self._fall_behind(subscriber, batch[0].record.seq - 1)
                continue
            frames: list[bytes] = []
            shown: list[FeedEntry] = []
            for entry in batch:
                if entry.lost_from is not None:
                    subscriber.last_seq = entry.record.seq - 1
                    frames.append(self._gap(entry, entry.lost_from))
                if entry.passes(subscriber.scope):
                    frames.append(entry.frames(subscriber.variant, subscriber.last_seq, self.frame))
                    shown.append(entry)
                    subscriber.last_seq = entry.record.seq
                    self.ledger.written_one(tenant_id, entry.record.seq)
            if frames:
                joined = b"".join(frames)
                subscriber.sink.write(joined)
                variant = subscriber.variant
                self.sent.count(variant.endpoint, kinds_of(shown, variant), 1, len(joined))

    def _of_entry(self, entry: FeedEntry, variant: Variant, prev_seq: int) -> bytes:
        frames = entry.frames(variant, prev_seq, self.frame)
        return frames if entry.lost_from is None else self._gap(entry, entry.lost_from) + frames

    def _gap(self, entry: FeedEntry, first: int) -> bytes:
        gap = GapMessage(timestamp=entry.timestamp, first=first, last=entry.record.seq - 1, reason=GapReason.LOG_HOLE)
        return self.frame(encode_message(gap))

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
        self.sent.count(endpoint, kinds, written, len(frames))
        return written, full

    def _fall_behind(self, subscriber: Subscriber, cursor: int) -> None:
        self.set_aside(subscriber, Mode.BEHIND, cursor)
        self.fell_behind(subscriber)
