"""Lets those who are behind read on from the history, each as fast as its socket takes it, until they are live.

Owns the turns: a slice of bounded size for one subscriber, then one of another tenant's, with a pause for the live feed
in between. Nothing is queued per subscriber but a cursor, so a slow dashboard costs no memory. Who takes nothing for too
long, or falls out of the history, is closed with 4409 and the delay after which to come back, longer each time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from common.settings.gateway import ResumeSettings, SlowSettings
from contracts.messages import CloseCode
from gateway.feed.feed_decoder import feed_entry_again
from gateway.feed.history import StoredRecord
from gateway.feed.hub import Hub
from gateway.feed.rendering import FeedEntry, kinds_of
from gateway.feed.subscriber import Backlog, Mode, Subscriber
from gateway.feed.turns import FairTurns
from gateway.metrics import GatewayMetrics

_TURN_S = 0.004
"""How long subscribers are served before the live feed and the other sockets get their turn."""
_USERS_MAX = 10_000
_FORGIVEN_AFTER = 10
"""Times the longest delay: without a slow close for so long, the next one is the first again."""


class WriteListener(Protocol):
    """Is notified of what was written to connections (B5.11)."""

    def written(self, tenant_id: int, first_seq: int, last_seq: int, recipients: int) -> None:
        """All records from the first to the last seq were written to so many connections."""

    def written_one(self, tenant_id: int, seq: int) -> None:
        """A record was written to one connection."""


class _SlowClose(NamedTuple):
    at: float
    retry_after_s: int


class SlowCloseBackoff:
    """The slow closes of each user. Memory: one small entry for each of the last ten thousand.

    Args:
        first_s: the delay after the first slow close.
        longest_s: the delay is doubled up to this.
    """

    def __init__(self, first_s: int, longest_s: int) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._last: OrderedDict[tuple[int, str], _SlowClose] = OrderedDict()

    def closed(self, user: tuple[int, str], now: float) -> int:
        """Note a slow close of a user (tenant and subject); returns in how many seconds the user may come back."""
        last = self._last.pop(user, None)
        if last is None or now - last.at > self._longest_s * _FORGIVEN_AFTER:
            retry_after_s = self._first_s
        else:
            retry_after_s = min(2 * last.retry_after_s, self._longest_s)
        self._last[user] = _SlowClose(now, retry_after_s)
        if len(self._last) > _USERS_MAX:
            self._last.popitem(last=False)
        return retry_after_s


class RenderedEntries:
    """The newest entries with the frames that were made of them, for all clients that come back in the same storm.

    Args:
        messages_max: how many are kept.
        bytes_max: of the records that they were made of.
    """

    def __init__(self, messages_max: int, bytes_max: int) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._entries: OrderedDict[tuple[int, int], FeedEntry] = OrderedDict()
        self._bytes = 0

    def keep(self, tenant_id: int, entry: FeedEntry) -> None:
        """Keep an entry, and give up the oldest where there are too many."""
        stored, entries = entry.stored, self._entries
        before = entries.pop((tenant_id, stored.seq), None)
        if before is not None:
            self._bytes -= len(before.stored.value)
        entries[tenant_id, stored.seq] = entry
        self._bytes += len(stored.value)
        while len(entries) > self._messages_max or self._bytes > self._bytes_max:
            self._bytes -= len(entries.popitem(last=False)[1].stored.value)

    def of(self, tenant_id: int, stored: StoredRecord) -> FeedEntry:
        """The entry of a record, made anew where it is not kept."""
        entry = self._entries.get((tenant_id, stored.seq))
        # The bytes are compared too: the log may have become another one since.
        if entry is None or entry.stored.value != stored.value:
            entry = feed_entry_again(stored)
            self.keep(tenant_id, entry)
        return entry


class CatchUp:
    """Serves all subscribers of a hub that are behind.

    Args:
        slices: what is given to one subscriber before the next one's turn.
        rendered: entries that are kept rendered.
    """

    def __init__(
        self,
        hub: Hub,
        deliveries: WriteListener,
        metrics: GatewayMetrics,
        *,
        slow: SlowSettings,
        slices: ResumeSettings,
        rendered: RenderedEntries,
    ) -> None:
        self._hub = hub
        self._deliveries = deliveries
        self._metrics = metrics
        self._timeout_s = slow.timeout_s
        self._slices = slices
        self._rendered = rendered
        self._slow = SlowCloseBackoff(slow.retry_after_s_min, slow.retry_after_s_max)
        self._turns: FairTurns[Subscriber] = FairTurns()
        self._waiting_for_turn: set[Subscriber] = set()
        self._work = asyncio.Event()

    def start(self, subscriber: Subscriber, cursor: int, backlog: Backlog | None = None) -> None:
        """Give a subscriber all after `cursor`: the backlog, which ends where the history begins, and then the rest."""
        subscriber.last_seq = cursor
        self.fall_behind(subscriber, cursor)
        subscriber.backlog = backlog

    def fall_behind(self, subscriber: Subscriber, cursor: int) -> None:
        """A subscriber has had everything up to `cursor`, and its socket takes no more for now."""
        self._hub.set_aside(subscriber, Mode.BEHIND, cursor)
        self.drained(subscriber)

    def drained(self, subscriber: Subscriber) -> None:
        """A subscriber's socket has room again: it takes its turn with the others."""
        if subscriber.mode is Mode.BEHIND and subscriber not in self._waiting_for_turn:
            self._waiting_for_turn.add(subscriber)
            self._turns.add(subscriber.tenant_id, subscriber.subject, subscriber)
            self._work.set()

    def keep_rendered(self, entries: Sequence[FeedEntry]) -> None:
        """Keep entries for those who read them later: their frames are made already."""
        for entry in entries:
            self._rendered.keep(entry.record.tenant_id, entry)

    async def run(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._work.wait()
            end = loop.time() + _TURN_S
            while self._turns and loop.time() < end:
                subscriber = self._turns.take()
                self._waiting_for_turn.discard(subscriber)
                if self.serve(subscriber):
                    self.drained(subscriber)
            if not self._turns:
                self._work.clear()
            await asyncio.sleep(0)

    def serve(self, subscriber: Subscriber) -> bool:
        """Write one slice to a subscriber that is behind; make it live where nothing is left.

        Returns:
            whether it can be served again now; otherwise it is live or gone, or `drained` is called later.
        """
        if subscriber.mode is not Mode.BEHIND or subscriber.sink.congested:
            return False
        records = self._next(subscriber)
        if records is None:
            self._close_slow(subscriber, "it is further behind than the gateway remembers")
            return False
        if records:
            self._write(subscriber, records)
        if subscriber.backlog is not None:
            return self._has_page(subscriber, subscriber.backlog)
        if subscriber.cursor >= self._hub.position(subscriber.tenant_id):
            self._hub.rejoin(subscriber)
            return False
        return True

    def close_stuck(self) -> None:
        """Close those who have taken nothing for too long; not those for whom the log is being read."""
        latest = self._hub.clock() - self._timeout_s
        for subscriber in self._hub.waiting():
            waits_for_log = subscriber.backlog is not None and subscriber.backlog.wanted.is_set()
            if subscriber.mode is Mode.BEHIND and subscriber.moved_at < latest and not waits_for_log:
                self._close_slow(subscriber, f"nothing was read for {self._timeout_s} s")

    def _next(self, subscriber: Subscriber) -> Sequence[StoredRecord] | None:
        """What follows a subscriber's cursor, if it is here; None where that is not known any more."""
        backlog, cursor, tenant_id = subscriber.backlog, subscriber.cursor, subscriber.tenant_id
        messages_max, bytes_max = self._slices.slice_messages, self._slices.slice_bytes_max
        if cursor >= self._hub.position(tenant_id):
            found: Sequence[StoredRecord] | None = ()
        else:
            found = self._hub.history.after(tenant_id, cursor, messages_max, bytes_max)
        if backlog is None:
            return found
        if found is not None:  # the history has the rest
            subscriber.backlog, backlog.page = None, ()
            backlog.wanted.set()
            return found
        taken, size = 0, 0
        for stored in backlog.page[:messages_max]:
            size += len(stored.value)
            if taken and size > bytes_max:
                break
            taken += 1
        records, backlog.page = backlog.page[:taken], backlog.page[taken:]
        return records

    def _has_page(self, subscriber: Subscriber, backlog: Backlog) -> bool:
        """Whether what follows is here; where the log has to be read for it, that is asked for."""
        if subscriber.sink.congested:
            backlog.page = ()  # read again when there is room: a client that does not read costs no memory
        elif not backlog.page and not self._hub.remembers(subscriber.tenant_id, subscriber.cursor):
            backlog.wanted.set()
        else:
            return True
        return False

    def _write(self, subscriber: Subscriber, records: Sequence[StoredRecord]) -> None:
        variant, tenant_id = subscriber.variant, subscriber.tenant_id
        frames: list[bytes] = []
        shown: list[FeedEntry] = []
        names = self._hub.names.of(tenant_id)
        for stored in records:
            entry = self._rendered.of(tenant_id, stored)
            entry.names = names
            if entry.passes(subscriber.scope):
                frames.append(entry.frames(variant, subscriber.last_seq, self._hub.frame))
                shown.append(entry)
                subscriber.last_seq = stored.seq
                if not subscriber.scope.everything:
                    self._deliveries.written_one(tenant_id, stored.seq)
        if subscriber.scope.everything:
            self._deliveries.written(tenant_id, records[0].seq, records[-1].seq, 1)
        subscriber.cursor = records[-1].seq
        subscriber.moved_at = self._hub.clock()
        if frames:
            joined = b"".join(frames)
            subscriber.sink.write(joined)
            self._metrics.sent.count(variant.endpoint, kinds_of(shown, variant), 1, len(joined))

    def _close_slow(self, subscriber: Subscriber, why: str) -> None:
        retry_after_s = self._slow.closed((subscriber.tenant_id, subscriber.subject), self._hub.clock())
        self._metrics.slow_closes.inc()
        self._hub.dismiss(subscriber, CloseCode.TOO_SLOW, f"retry_after_s={retry_after_s}; {why}")
