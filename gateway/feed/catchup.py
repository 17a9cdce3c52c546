"""Lets those who are behind read on from the past, each as fast as its socket takes it, until they are live.

Owns the turns: a slice for one subscriber, then the next one's, with a pause for the live feed in between.
Nothing is queued per subscriber but a cursor, so a slow dashboard costs no memory. Who takes nothing for too
long, or falls out of the past, is closed with 4409 and told when to come back.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence

from common.settings.gateway import GatewaySettings
from contracts.messages import CloseCode
from gateway.feed.feed_decoder import feed_entry_again
from gateway.feed.history import StoredRecord
from gateway.feed.hub import Hub
from gateway.feed.rendering import FeedEntry, kinds_of
from gateway.feed.slow_close_backoff import SlowCloseBackoff
from gateway.feed.subscriber import Backlog, Mode, Subscriber
from gateway.metrics import GatewayMetrics

_TURN_S = 0.004
"""How long subscribers are served before the live feed and the other sockets get their turn."""


class CatchUp:
    """Serves all subscribers of a hub that are behind.

    Args:
        hub: whose.
        limits: slice sizes, how far and how long somebody may be behind, how much is kept rendered.
        metrics: counts slow closes.
    """

    def __init__(self, hub: Hub, limits: GatewaySettings, metrics: GatewayMetrics) -> None:
        self._hub = hub
        self._limits = limits
        self._metrics = metrics
        self._slow = SlowCloseBackoff(limits.slow.retry_after_s_min, limits.slow.retry_after_s_max)
        self._turns: deque[Subscriber] = deque()
        self._waiting_for_turn: set[Subscriber] = set()
        self._work = asyncio.Event()
        # Rendered once for all who come back in the same storm.
        self._rendered: OrderedDict[tuple[int, int], FeedEntry] = OrderedDict()
        hub.fell_behind = self._begin
        hub.fresh = self._keep

    def start(self, subscriber: Subscriber, cursor: int, backlog: Backlog | None = None) -> None:
        """Give a subscriber everything after `cursor`, then the live feed.

        Args:
            subscriber: joined or not.
            cursor: the seq up to which it has had everything.
            backlog: what follows the cursor, up to where the hub's history begins.
        """
        self._hub.set_aside(subscriber, Mode.BEHIND, cursor)
        subscriber.last_seq, subscriber.backlog = cursor, backlog
        self._begin(subscriber)

    def drained(self, subscriber: Subscriber) -> None:
        """A subscriber's socket has room again."""
        self._begin(subscriber)

    async def run(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._work.wait()
            end = loop.time() + _TURN_S
            while self._turns and loop.time() < end:
                subscriber = self._turns.popleft()
                self._waiting_for_turn.discard(subscriber)
                if self.serve(subscriber):
                    self._begin(subscriber)
            if not self._turns:
                self._work.clear()
            await asyncio.sleep(0)

    def serve(self, subscriber: Subscriber) -> bool:
        """Write one slice to a subscriber that is behind; make it live where nothing is left.

        Returns:
            whether it can be served again now; otherwise it is live, gone, or `drained` will tell.
        """
        if subscriber.mode is not Mode.BEHIND or subscriber.sink.congested:
            return False
        records = self._next(subscriber)
        if records is None:
            self._close_slow(subscriber, "it is further behind than the gateway remembers")
            return False
        if records:
            self._write(subscriber, records)
        if subscriber.backlog is None and subscriber.cursor >= self._hub.position(subscriber.tenant_id):
            self._hub.rejoin(subscriber)
            return False
        return True

    def close_stuck(self) -> None:
        """Close those who have taken nothing for too long."""
        latest = self._hub.clock() - self._limits.slow.timeout_s
        for subscriber in self._hub.waiting():
            if subscriber.mode is Mode.BEHIND and subscriber.moved_at < latest:
                self._close_slow(subscriber, f"nothing was read for {self._limits.slow.timeout_s} s")

    def _begin(self, subscriber: Subscriber) -> None:
        if subscriber.mode is Mode.BEHIND and subscriber not in self._waiting_for_turn:
            self._waiting_for_turn.add(subscriber)
            self._turns.append(subscriber)
            self._work.set()

    def _next(self, subscriber: Subscriber) -> Sequence[StoredRecord] | None:
        """What follows a subscriber's cursor; None where that is not known any more."""
        backlog, count = subscriber.backlog, self._limits.resume.slice_messages
        if backlog is not None:
            records = backlog.records[backlog.place : backlog.place + count]
            backlog.place += len(records)
            if backlog.place >= len(backlog.records):
                subscriber.backlog = None
                backlog.taken.set()
            return records
        if subscriber.cursor >= self._hub.position(subscriber.tenant_id):
            return ()
        return self._hub.history.after(subscriber.tenant_id, subscriber.cursor, count)

    def _write(self, subscriber: Subscriber, records: Sequence[StoredRecord]) -> None:
        hub, variant, tenant_id = self._hub, subscriber.variant, subscriber.tenant_id
        frames: list[bytes] = []
        shown: list[FeedEntry] = []
        for past in records:
            entry = self._entry(tenant_id, past)
            if entry.passes(subscriber.scope):
                frames.append(entry.frames(variant, subscriber.last_seq, hub.frame))
                shown.append(entry)
                subscriber.last_seq = past.seq
                if not subscriber.scope.everything:
                    hub.ledger.written_one(tenant_id, past.seq)
        if subscriber.scope.everything:
            hub.ledger.written(tenant_id, records[0].seq, records[-1].seq, 1)
        subscriber.cursor = records[-1].seq
        subscriber.moved_at = hub.clock()
        if frames:
            joined = b"".join(frames)
            subscriber.sink.write(joined)
            hub.sent.count(variant.endpoint, kinds_of(shown, variant), 1, len(joined))

    def _entry(self, tenant_id: int, past: StoredRecord) -> FeedEntry:
        key = (tenant_id, past.seq)
        entry = self._rendered.get(key)
        # The bytes are compared too: the log may have become another one since.
        if entry is None or entry.past.value is not past.value:
            entry = feed_entry_again(past)
            self._remember(key, entry)
        return entry

    def _keep(self, entries: Sequence[FeedEntry]) -> None:
        for entry in entries:
            self._remember((entry.record.tenant_id, entry.past.seq), entry)

    def _remember(self, key: tuple[int, int], entry: FeedEntry) -> None:
        self._rendered[key] = entry
        if len(self._rendered) > self._limits.history.rendered_messages_max:
            self._rendered.popitem(last=False)

    def _close_slow(self, subscriber: Subscriber, why: str) -> None:
        retry_after_s = self._slow.closed((subscriber.tenant_id, subscriber.subject), self._hub.clock())
        self._metrics.slow_closes.inc()
        self._hub.dismiss(subscriber, CloseCode.TOO_SLOW, f"retry_after_s={retry_after_s}; {why}")
