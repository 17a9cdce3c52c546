"""Who is connected, and where the feed stands: the tenants' groups, their subscribers, positions and history.

Owns which subscriber is live, and what is written to subscribers outside the sequence: notices and heartbeats. The
feed itself is written by `gateway.feed.fan_out` and `gateway.feed.catchup`. Never opens or reads a socket: it is given
sinks.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import UNSET

from contracts.messages import CloseCode, Heartbeat, NoticeMessage, encode_message
from gateway.access.known_names import KnownNames
from gateway.access.masking import masked_notice
from gateway.access.scope import Scope
from gateway.feed.history import History
from gateway.feed.rendering import FeedEntry, Frame, Variant
from gateway.feed.subscriber import Group, Mode, Subscriber
from gateway.metrics import GatewayMetrics


class Hub:
    """All groups of one gateway.

    Args:
        history: is filled with what the groups have reached.
        clock: seconds since 1970.
        names: of persons, learned from the groups' records.
    """

    def __init__(
        self,
        frame: Frame,
        history: History,
        metrics: GatewayMetrics,
        clock: Callable[[], float],
        names: KnownNames,
    ) -> None:
        self.frame = frame
        self.history = history
        self.names = names
        self.clock = clock
        self.epoch = ""
        """The identity of the log that all positions belong to; empty before it was read."""
        self._metrics = metrics
        self._groups: dict[int, Group] = {}

    def group(self, tenant_id: int) -> Group:
        """A tenant's group, made where there is none."""
        return self._groups.setdefault(tenant_id, Group())

    def position(self, tenant_id: int) -> int:
        """The seq of the tenant's last record, 0 where none is known."""
        group = self._groups.get(tenant_id)
        return group.position if group else 0

    def remembers(self, tenant_id: int, seq: int) -> bool:
        """Whether everything of the tenant after `seq` is in memory; also where nothing is after it."""
        return seq >= self.position(tenant_id) or self.history.reaches(tenant_id, seq)

    def events_processed(self, tenant_id: int) -> int:
        """Source events of the tenant since this gateway started."""
        group = self._groups.get(tenant_id)
        return group.events if group else 0

    def connections(self, tenant_id: int) -> int:
        """Subscribers of the tenant."""
        group = self._groups.get(tenant_id)
        return sum(1 for _ in group.members()) if group else 0

    def waiting(self) -> list[Subscriber]:
        """Subscribers who are not live."""
        return [subscriber for group in self._groups.values() for subscriber in group.waiting]

    def queued_bytes_max(self) -> int:
        """The largest queue of a socket whose subscriber is not live."""
        return max((subscriber.sink.buffered_bytes() for subscriber in self.waiting()), default=0)

    def reached(self, subscriber: Subscriber) -> int:
        """The seq up to which a subscriber has had everything that it may see."""
        return self.position(subscriber.tenant_id) if subscriber.mode is Mode.LIVE else subscriber.cursor

    def join(self, subscriber: Subscriber) -> None:
        """Make a subscriber live; its first message is the one after the tenant's position now."""
        group = self._enter(subscriber)
        subscriber.last_seq = group.position
        self._make_live(group, subscriber)

    def rejoin(self, subscriber: Subscriber) -> None:
        """Make a subscriber live that has had everything up to the tenant's position now."""
        self._make_live(self._enter(subscriber), subscriber)

    def set_aside(self, subscriber: Subscriber, mode: Mode, cursor: int) -> None:
        """Write nothing live to a subscriber until it joins again: it is BEHIND or HELD, with all up to `cursor`."""
        group = self._enter(subscriber)
        group.waiting.add(subscriber)
        subscriber.mode, subscriber.cursor = mode, cursor
        subscriber.moved_at = self.clock()

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

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a subscriber; a second time does nothing."""
        if subscriber.mode is Mode.GONE:
            return
        self._take_out(subscriber)
        subscriber.mode = Mode.GONE
        subscriber.backlog = None
        self._metrics.connections.labels(subscriber.variant.endpoint).dec()

    def dismiss(self, subscriber: Subscriber, code: CloseCode, reason: str) -> None:
        """Remove a subscriber and close its connection."""
        self.leave(subscriber)
        subscriber.sink.close(code, reason)

    def start_log(self, epoch: str) -> None:
        """Positions belong to this log from here on: who is connected to another one must connect again."""
        if self.epoch:
            for group in self._groups.values():
                for subscriber in tuple(group.members()):
                    self.dismiss(subscriber, CloseCode.RESTARTING, "the log behind the feed is a new one")
        self._groups.clear()
        self.history.clear()
        self.names.clear()
        self.epoch = epoch

    def advance(self, tenant_id: int, batch: Sequence[FeedEntry]) -> Group:
        """Take note of the tenant's next records; returns its group."""
        group, names = self.group(tenant_id), self.names.of(tenant_id)
        for entry in batch:
            self.history.add(tenant_id, entry.stored)
            entry.names = names
            if entry.record.person_name:
                names.learn(entry.record.person_name)
        group.position = batch[-1].record.seq
        return group

    def notify(
        self, tenant_id: int | None, message: NoticeMessage, shows: Callable[[Scope], bool] | None = None
    ) -> None:
        """Write a notice outside the sequence to a tenant's subscribers, or for None to all, whose scopes show it."""
        groups: Iterable[Group] = (
            self._groups.values() if tenant_id is None else filter(None, [self._groups.get(tenant_id)])
        )
        frames = {
            masked: self.frame(encode_message(masked_notice(message) if masked else message))
            for masked in (False, True)
        }
        for group in groups:
            for subscriber in group.members():
                if not subscriber.sink.congested and (shows is None or shows(subscriber.scope)):
                    subscriber.sink.write(frames[subscriber.variant.masked])

    def heartbeat(self, subscriber: Subscriber, timestamp: str) -> None:
        """Show a subscriber that its connection works, and how far it has come."""
        if not subscriber.sink.congested:
            seq = UNSET if subscriber.mode is Mode.HELD else self.reached(subscriber)
            subscriber.sink.write(self.frame(encode_message(Heartbeat(timestamp=timestamp, seq=seq))))

    def _enter(self, subscriber: Subscriber) -> Group:
        if subscriber.mode is Mode.GONE:
            self._metrics.connections.labels(subscriber.variant.endpoint).inc()
        else:
            self._take_out(subscriber)
        return self.group(subscriber.tenant_id)

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
