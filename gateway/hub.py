"""Who gets what: the tenants' groups, their subscribers, and one write per subscriber and batch.

Owns the fan-out and the limit of each subscriber's queue. Never opens or reads a socket (it is given
sinks), and never sees a record that the readers' rule has not accepted.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from contracts.feed import AnomalyDetected, ProcessedEvent
from contracts.messages import CloseCode, Heartbeat, encode_message
from contracts.projections import processed_message
from gateway.metrics import GatewayMetrics
from gateway.rendering import Endpoint, Entry, Frame, Variant
from gateway.scope import Scope


class Sink(Protocol):
    """Where a subscriber's frames go."""

    def write(self, frames: bytes) -> None:
        """Take complete frames; never waits."""
        ...

    def buffered_bytes(self) -> int:
        """What was taken and has not left yet."""
        ...

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the connection; nothing is written to it any more."""
        ...


@dataclass(slots=True, eq=False)
class Subscriber:
    """A signed-in connection."""

    tenant_id: int
    variant: Variant
    scope: Scope
    sink: Sink
    last_seq: int = 0
    """The seq before its next message; kept up to date while the subscription filters."""


@dataclass(slots=True)
class _Group:
    """A tenant at this gateway."""

    position: int = 0
    events: int = 0
    # Subscribers who see everything share the frames of their variant; the others are asked one by one.
    broad: dict[Variant, set[Subscriber]] = field(default_factory=dict)
    narrow: set[Subscriber] = field(default_factory=set)

    def members(self) -> Iterable[Subscriber]:
        for subscribers in self.broad.values():
            yield from subscribers
        yield from self.narrow


class Hub:
    """All groups of one gateway.

    Args:
        frame: makes a text frame of a payload.
        metrics: to count what is sent.
        queue_bytes_max: of one subscriber; over it the connection is closed with 4409.
        clock: seconds since 1970.
    """

    def __init__(self, frame: Frame, metrics: GatewayMetrics, queue_bytes_max: int, clock: Callable[[], float]) -> None:
        self._frame = frame
        self._metrics = metrics
        self._queue_bytes_max = queue_bytes_max
        self._clock = clock
        self._groups: dict[int, _Group] = {}

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

    def join(self, subscriber: Subscriber) -> None:
        """Add a subscriber; its first message is the one after the tenant's position now."""
        group = self._groups.setdefault(subscriber.tenant_id, _Group())
        subscriber.last_seq = group.position
        if subscriber.scope.everything:
            group.broad.setdefault(subscriber.variant, set()).add(subscriber)
        else:
            group.narrow.add(subscriber)
        self._metrics.connections.labels(subscriber.variant.endpoint).inc()

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a subscriber; a second time does nothing."""
        group = self._groups.get(subscriber.tenant_id)
        if group is None:
            return
        shared = group.broad.get(subscriber.variant, set())
        if subscriber not in shared and subscriber not in group.narrow:
            return
        shared.discard(subscriber)
        group.narrow.discard(subscriber)
        self._metrics.connections.labels(subscriber.variant.endpoint).dec()

    def rescope(self, subscriber: Subscriber, scope: Scope) -> None:
        """Change what a subscriber sees, from the tenant's position now on."""
        self.leave(subscriber)
        subscriber.scope = scope
        self.join(subscriber)

    def publish(self, entries: Sequence[Entry]) -> None:
        """Write records, in the order of the log, to all who may see them."""
        by_tenant: dict[int, list[Entry]] = {}
        for entry in entries:
            by_tenant.setdefault(entry.record.tenant_id, []).append(entry)
        for tenant_id, batch in by_tenant.items():
            group = self._groups.setdefault(tenant_id, _Group())
            group.position = batch[-1].record.seq
            group.events += sum(isinstance(entry.record, AnomalyDetected) for entry in batch)
            self._publish_broad(group, batch)
            self._publish_narrow(group, batch)
        now = self._clock()
        for entry in entries:
            self._metrics.commit_to_write.observe(max(0.0, now - entry.commit_time))

    def remember(self, entries: Sequence[Entry]) -> None:
        """Take the position of records that nobody is to be sent: the past, read back at the start."""
        for entry in entries:
            self._groups.setdefault(entry.record.tenant_id, _Group()).position = entry.record.seq

    def publish_processed(self, tenant_id: int, events: Sequence[ProcessedEvent], timestamp: str) -> None:
        """Tell the tenant's anomaly streams of events that were found clean."""
        group = self._groups.setdefault(tenant_id, _Group())
        group.events += len(events)
        # Nothing personal is in these messages: both variants of the stream get the same bytes.
        variants = [variant for variant in group.broad if variant.endpoint is Endpoint.ANOMALY_STREAM]
        broad = [subscriber for variant in variants for subscriber in group.broad[variant]]
        narrow = [member for member in group.narrow if member.variant.endpoint is Endpoint.ANOMALY_STREAM]
        if not broad and not narrow:
            return
        frames = [self._frame(encode_message(processed_message(event, timestamp))) for event in events]
        if broad:
            joined = b"".join(frames)
            for subscriber in broad:
                self._write(subscriber, joined, len(frames))
        for subscriber in narrow:
            shows = subscriber.scope.shows
            seen = [frame for event, frame in zip(events, frames, strict=True) if shows(event.client_id, event.site_id)]
            if seen:
                self._write(subscriber, b"".join(seen), len(seen))

    def heartbeat(self, timestamp: str) -> None:
        """Show every subscriber that its connection lives."""
        frame = self._frame(encode_message(Heartbeat(timestamp=timestamp)))
        largest = 0
        for subscriber in self._subscribers():
            largest = max(largest, subscriber.sink.buffered_bytes())
            self._write(subscriber, frame, 0)
        self._metrics.queue_bytes.set(largest)

    def close_all(self, code: CloseCode, reason: str) -> None:
        """Close every subscriber and forget all positions: the log is another one."""
        for subscriber in self._subscribers():
            self._close(subscriber, code, reason)
        self._groups.clear()

    def _subscribers(self) -> list[Subscriber]:
        return [subscriber for group in self._groups.values() for subscriber in group.members()]

    def _publish_broad(self, group: _Group, batch: Sequence[Entry]) -> None:
        for variant, subscribers in group.broad.items():
            if not subscribers:
                continue
            joined = b"".join(entry.frames(variant, entry.prev_seq, self._frame) for entry in batch)
            messages = sum(entry.messages(variant) for entry in batch)
            for subscriber in tuple(subscribers):
                self._write(subscriber, joined, messages)

    def _publish_narrow(self, group: _Group, batch: Sequence[Entry]) -> None:
        for subscriber in tuple(group.narrow):
            frames: list[bytes] = []
            messages = 0
            for entry in batch:
                record = entry.record
                if entry.after_hole:  # nobody can say whether the missing ones would have been shown: tell
                    subscriber.last_seq = entry.prev_seq
                if not entry.for_whole_tenant and not subscriber.scope.shows(record.client_id, record.site_id):
                    continue
                frames.append(entry.frames(subscriber.variant, subscriber.last_seq, self._frame))
                messages += entry.messages(subscriber.variant)
                subscriber.last_seq = record.seq
            if frames:
                self._write(subscriber, b"".join(frames), messages)

    def _write(self, subscriber: Subscriber, frames: bytes, messages: int) -> None:
        buffered = subscriber.sink.buffered_bytes()
        # A reader with an empty queue is not slow, however large one batch is.
        if buffered and buffered + len(frames) > self._queue_bytes_max:
            self._close(subscriber, CloseCode.TOO_SLOW, f"more than {self._queue_bytes_max} bytes wait to be read")
            return
        subscriber.sink.write(frames)
        self._metrics.sent.labels(subscriber.variant.endpoint).inc(messages)
        self._metrics.sent_bytes.inc(len(frames))

    def _close(self, subscriber: Subscriber, code: CloseCode, reason: str) -> None:
        self.leave(subscriber)
        subscriber.sink.close(code, reason)
