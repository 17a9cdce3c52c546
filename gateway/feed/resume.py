"""What becomes of a client that says where it stood: the whole gap or none of it, and why (B5.10).

Owns the decision and the answer. The records come from the hub's history, or where they are older from the
log; what is written, and when, is `gateway.feed.catchup`'s. A client whose position is ahead of this gateway comes
from another one that has read further: it is held until this one has read that far too.
"""

import asyncio
from collections.abc import Callable

from common.settings.gateway import ResumeSettings
from contracts.messages import Resumed, UnrecoverableReason
from contracts.requests import ResumePosition
from gateway.feed.backfill import Backfill, Span, UnrecoverableError
from gateway.feed.catchup import CatchUp
from gateway.feed.history import StoredRecord
from gateway.feed.hub import Hub
from gateway.feed.subscriber import Backlog, Mode, Subscriber
from gateway.metrics import GatewayMetrics
from gateway.session.effects import Requested
from gateway.session.replies import iso

_LOOK_S = 0.02
_JOINS_MAX = 3
"""The past in memory moves on while the log is read: how often what has left it meanwhile is fetched."""

Answer = Callable[[Resumed], None]


class Resumer:
    """Resumes the subscribers of one hub.

    Args:
        hub: whose.
        catch_up: writes the gap.
        log: of what is older than the hub's history.
        epoch: the identity of the feed's log.
        limits: how much is given again, and how long is waited.
        metrics: counts resumes by result.
    """

    def __init__(
        self,
        hub: Hub,
        catch_up: CatchUp,
        log: Backfill,
        *,
        epoch: Callable[[], str],
        limits: ResumeSettings,
        metrics: GatewayMetrics,
    ) -> None:
        self._hub = hub
        self._catch_up = catch_up
        self._log = log
        self._epoch = epoch
        self._log_epoch = ""
        self._limits = limits
        self._metrics = metrics
        # One log read's records stay in memory until they are written: so many at once.
        self._reads = asyncio.Semaphore(limits.reads_max)

    def begin(
        self, subscriber: Subscriber, position: ResumePosition, asked: Requested, answer: Answer
    ) -> asyncio.Task[None] | None:
        """Answer a position, and go on from it or from the tenant's position now.

        Args:
            subscriber: joined or not; nothing live is written to it before the answer.
            position: that the client named.
            asked: the request's id, for the answer.
            answer: writes it.

        Returns:
            what goes on until the answer is known, to be cancelled when the subscriber leaves or names another
            position; None where it is known already.
        """
        hub, tenant_id, seq = self._hub, subscriber.tenant_id, position.seq
        hub.set_aside(subscriber, Mode.HELD, seq)
        if self._log_epoch != self._epoch():
            self._log_epoch = self._epoch()
            self._log.clear()
        if position.epoch != self._epoch():
            self._refuse(subscriber, UnrecoverableReason.EPOCH_CHANGED, None, asked, answer)
        elif seq <= hub.position(tenant_id) and self._in_memory(tenant_id, seq):
            self._go_on(subscriber, seq, None, asked, answer)
        else:
            return asyncio.get_running_loop().create_task(self._look(subscriber, seq, asked, answer))
        return None

    async def _look(self, subscriber: Subscriber, seq: int, asked: Requested, answer: Answer) -> None:
        tenant_id = subscriber.tenant_id
        if not await self._reached(subscriber, seq):
            self._refuse(subscriber, UnrecoverableReason.UNKNOWN_POSITION, None, asked, answer)
            return
        if self._in_memory(tenant_id, seq):
            self._go_on(subscriber, seq, None, asked, answer)
            return
        async with self._reads:
            if subscriber.mode is Mode.GONE:
                return
            try:
                backlog = await self._from_log(tenant_id, seq)
            except UnrecoverableError as error:
                self._refuse(subscriber, error.reason, seq, asked, answer)
                return
            self._go_on(subscriber, seq, backlog, asked, answer)
            await backlog.taken.wait()

    def _in_memory(self, tenant_id: int, seq: int) -> bool:
        return seq >= self._hub.position(tenant_id) or self._hub.history.reaches(tenant_id, seq)

    async def _reached(self, subscriber: Subscriber, seq: int) -> bool:
        """Wait for this gateway to have read as far as the client has; whether it has."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.ahead_wait_s
        while self._hub.position(subscriber.tenant_id) < seq:
            if loop.time() > end or subscriber.mode is Mode.GONE:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    async def _from_log(self, tenant_id: int, seq: int) -> Backlog:
        hub, history = self._hub, self._hub.history
        records: list[StoredRecord] = []
        for _ in range(_JOINS_MAX):
            last = hub.position(tenant_id)
            if last - seq > self._limits.messages_max:
                raise UnrecoverableError(UnrecoverableReason.TOO_MANY)
            # Up to now, also what memory has: its oldest end moves on while the log is read, and what is read only up
            # to there would never meet it.
            newest = history.newest(tenant_id)
            span = Span(tenant_id, seq + len(records) + 1, last, newest.offset + 1 if newest else None)
            records += await self._log.read(span)
            reached = seq + len(records)
            if reached >= hub.position(tenant_id) or history.reaches(tenant_id, reached):
                return Backlog(records)
        raise UnrecoverableError(UnrecoverableReason.UNAVAILABLE)

    def _go_on(
        self, subscriber: Subscriber, seq: int, backlog: Backlog | None, asked: Requested, answer: Answer
    ) -> None:
        if subscriber.mode is Mode.GONE:
            return
        self._metrics.resumes.labels("memory" if backlog is None else "log").inc()
        last = self._hub.position(subscriber.tenant_id)
        answer(self._resumed(asked, recovered=True, reason=None, first=seq + 1, last=last))
        self._catch_up.start(subscriber, seq, backlog)

    def _refuse(
        self, subscriber: Subscriber, reason: UnrecoverableReason, seq: int | None, asked: Requested, answer: Answer
    ) -> None:
        if subscriber.mode is Mode.GONE:
            return
        self._metrics.resumes.labels(str(reason)).inc()
        last = self._hub.position(subscriber.tenant_id)
        first = None if seq is None else seq + 1
        answer(self._resumed(asked, recovered=False, reason=reason, first=first, last=last))
        self._hub.join(subscriber)

    def _resumed(
        self,
        asked: Requested,
        *,
        recovered: bool,
        reason: UnrecoverableReason | None,
        first: int | None,
        last: int,
    ) -> Resumed:
        return Resumed(
            timestamp=iso(self._hub.clock()),
            request_id=asked,
            recovered=recovered,
            reason=reason,
            first=first,
            last=last,
        )
