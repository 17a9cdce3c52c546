"""What becomes of a client that names the position it had reached: the whole gap or none of it, and why (B5.10).

Owns the decision and the answer. The records come from the hub's history, or where they are older from the log; what
is written, and when, is decided by `gateway.feed.catchup`. A client whose position is ahead of this gateway comes from
another one that has read further: it is held until this one has read that far too.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from common.settings.gateway import ResumeSettings
from contracts.messages import Resumed, UnrecoverableReason
from contracts.requests import ResumePosition
from gateway.feed.backfill import Backfill, Span, UnrecoverableError
from gateway.feed.catchup import CatchUp
from gateway.feed.history import StoredRecord
from gateway.feed.hub import Hub
from gateway.feed.subscriber import Backlog, Mode, Subscriber
from gateway.metrics import GatewayMetrics
from gateway.session.effects import OptionalRequestId
from gateway.session.replies import iso

_CHECK_S = 0.02
_READS_MAX = 3
"""Of one gap: the history moves on while the log is read, and what has left it meanwhile is read too."""


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """A position that a client named."""

    subscriber: Subscriber
    """Joined or not; nothing live is written to it before the answer."""
    position: ResumePosition
    request_id: OptionalRequestId
    send: Callable[[Resumed], None]
    """Sends the answer."""

    @property
    def seq(self) -> int:
        """Up to which the client has had everything."""
        return self.position.seq

    @property
    def tenant_id(self) -> int:
        """Whose feed."""
        return self.subscriber.tenant_id

    @property
    def abandoned(self) -> bool:
        """Whether the client has left."""
        return self.subscriber.mode is Mode.GONE


class Resumer:
    """Resumes the subscribers of one hub."""

    def __init__(
        self, hub: Hub, catch_up: CatchUp, backfill: Backfill, limits: ResumeSettings, metrics: GatewayMetrics
    ) -> None:
        self._hub = hub
        self._catch_up = catch_up
        self._backfill = backfill
        self._backfill_epoch = ""
        self._limits = limits
        self._metrics = metrics
        # One gap's records stay in memory until they are written: so many at once.
        self._reads = asyncio.Semaphore(limits.reads_max)

    def begin(self, request: ResumeRequest) -> asyncio.Task[None] | None:
        """Answer a position, and go on from it or from the tenant's position now.

        Returns:
            what goes on until the answer is known, to be cancelled when the subscriber leaves or names another
            position; None where it is known already.
        """
        hub = self._hub
        hub.set_aside(request.subscriber, Mode.HELD, request.seq)
        if self._backfill_epoch != hub.epoch:
            self._backfill_epoch = hub.epoch
            self._backfill.clear()
        if request.position.epoch != hub.epoch:
            self._refuse(request, UnrecoverableReason.EPOCH_CHANGED)
        elif request.seq <= hub.position(request.tenant_id) and self._in_memory(request):
            self._go_on(request)
        else:
            return asyncio.get_running_loop().create_task(self._find(request))
        return None

    async def _find(self, request: ResumeRequest) -> None:
        if not await self._reached(request):
            self._refuse(request, UnrecoverableReason.UNKNOWN_POSITION)
            return
        if self._in_memory(request):
            self._go_on(request)
            return
        async with self._reads:
            if request.abandoned:
                return
            try:
                backlog = await self._from_log(request)
            except UnrecoverableError as error:
                self._refuse(request, error.reason, first=request.seq + 1)
                return
            self._go_on(request, backlog)
            await backlog.written.wait()

    def _in_memory(self, request: ResumeRequest) -> bool:
        hub, tenant_id = self._hub, request.tenant_id
        return request.seq >= hub.position(tenant_id) or hub.history.reaches(tenant_id, request.seq)

    async def _reached(self, request: ResumeRequest) -> bool:
        """Wait for this gateway to have read as far as the client has; whether it has."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.ahead_wait_s
        while self._hub.position(request.tenant_id) < request.seq:
            if loop.time() > end or request.abandoned:
                return False
            await asyncio.sleep(_CHECK_S)
        return True

    async def _from_log(self, request: ResumeRequest) -> Backlog:
        hub, history, tenant_id, seq = self._hub, self._hub.history, request.tenant_id, request.seq
        records: list[StoredRecord] = []
        for _ in range(_READS_MAX):
            last = hub.position(tenant_id)
            if last - seq > self._limits.messages_max:
                raise UnrecoverableError(UnrecoverableReason.TOO_MANY)
            # Up to now, also what the history has: its oldest end moves on while the log is read, and what is read
            # only up to there would never meet it.
            newest = history.newest(tenant_id)
            span = Span(tenant_id, seq + len(records) + 1, last, newest.offset + 1 if newest else None)
            records += await self._backfill.read(span)
            reached = seq + len(records)
            if reached >= hub.position(tenant_id) or history.reaches(tenant_id, reached):
                return Backlog(records)
        raise UnrecoverableError(UnrecoverableReason.UNAVAILABLE)

    def _go_on(self, request: ResumeRequest, backlog: Backlog | None = None) -> None:
        if not request.abandoned:
            self._metrics.resumes.labels("memory" if backlog is None else "log").inc()
            self._answer(request, None, request.seq + 1)
            self._catch_up.start(request.subscriber, request.seq, backlog)

    def _refuse(self, request: ResumeRequest, reason: UnrecoverableReason, first: int | None = None) -> None:
        if not request.abandoned:
            self._metrics.resumes.labels(str(reason)).inc()
            self._answer(request, reason, first)
            self._hub.join(request.subscriber)

    def _answer(self, request: ResumeRequest, reason: UnrecoverableReason | None, first: int | None) -> None:
        request.send(
            Resumed(
                timestamp=iso(self._hub.clock()),
                request_id=request.request_id,
                recovered=reason is None,
                reason=reason,
                first=first,
                last=self._hub.position(request.tenant_id),
            )
        )
