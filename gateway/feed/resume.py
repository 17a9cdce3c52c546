"""What becomes of a client that names the position it had reached: the whole gap or none of it, and why (B5.10).

Owns the decision, its price and the answer. The records come from the hub's history, or where they are older from the
log, page by page as the client takes them; what is written, and when, is decided by `gateway.feed.catchup`. A client whose position is ahead of this gateway comes from
another one that has read further: it is held until this one has read that far too.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from common.settings.gateway import ResumeSettings
from contracts.messages import CloseCode, ErrorCode, ErrorMessage, Resumed, UnrecoverableReason
from contracts.requests import ResumePosition
from gateway.feed.backfill import Backfill, Located, Span
from gateway.feed.catchup import CatchUp
from gateway.feed.hub import Hub
from gateway.feed.log_turns import UnrecoverableError
from gateway.feed.resume_budget import ResumeBudget
from gateway.feed.subscriber import Backlog, Mode, Subscriber
from gateway.metrics import GatewayMetrics
from gateway.session.effects import Action, Audit, Close, Effect, OptionalRequestId, Send
from gateway.session.replies import iso

_CHECK_S = 0.02
_SEARCHES_MAX = 3
"""Of one gap: the history moves on while the log is read, and what has left it meanwhile is read too."""
_RECORD_BYTES = 1_024
"""The size of a record, where none of the tenant is in memory."""


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
        self._budget = ResumeBudget(limits)

    def wait_s(self, subscriber: Subscriber, position: ResumePosition) -> int:
        """Take the price of a resume from the user's budget.

        Returns:
            0, or after how many seconds the user may resume again.
        """
        hub, tenant_id = self._hub, subscriber.tenant_id
        missed = hub.position(tenant_id) - position.seq if position.epoch == hub.epoch else 0
        if missed > self._limits.messages_max:  # is refused
            missed = 0
        price_bytes = missed * (hub.history.record_bytes(tenant_id) or _RECORD_BYTES)
        return self._budget.take((tenant_id, subscriber.subject), price_bytes, hub.clock())

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
        elif request.seq <= hub.position(request.tenant_id) and hub.remembers(request.tenant_id, request.seq):
            self._go_on(request)
        else:
            return asyncio.get_running_loop().create_task(self._find(request))
        return None

    async def _find(self, request: ResumeRequest) -> None:
        if not await self._reached(request):
            self._refuse(request, UnrecoverableReason.UNKNOWN_POSITION)
            return
        if self._hub.remembers(request.tenant_id, request.seq):
            self._go_on(request)
            return
        try:
            located = await self._locate(request, request.seq)
        except UnrecoverableError as error:
            self._refuse(request, error.reason, first=request.seq + 1)
            return
        if request.abandoned:
            return
        backlog = Backlog()
        self._go_on(request, backlog)
        try:
            await self._give_pages(request, located, backlog)
        except UnrecoverableError:
            if request.subscriber.backlog is backlog:
                reason = "the log cannot be read at the moment"
                self._hub.dismiss(request.subscriber, CloseCode.INTERNAL_ERROR, reason)

    async def _give_pages(self, request: ResumeRequest, located: Located, backlog: Backlog) -> None:
        """Read the log as the subscriber takes it, until the history has the rest."""
        subscriber, searches = request.subscriber, 1
        while await backlog.wanted.wait() and subscriber.backlog is backlog:
            seq = subscriber.cursor + 1
            if seq > located.last:
                searches += 1
                if searches > _SEARCHES_MAX:
                    subscriber.backlog = None  # it is slower than the feed, and closed for that
                else:
                    located = await self._locate(request, subscriber.cursor)
                    continue
            else:
                page = await self._backfill.page(located, seq, subscriber.subject)
                if subscriber.backlog is not backlog:
                    return
                backlog.page, subscriber.moved_at = page, self._hub.clock()
            backlog.wanted.clear()
            self._catch_up.drained(subscriber)

    async def _reached(self, request: ResumeRequest) -> bool:
        """Wait for this gateway to have read as far as the client has; whether it has."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.ahead_wait_s
        while self._hub.position(request.tenant_id) < request.seq:
            if loop.time() > end or request.abandoned:
                return False
            await asyncio.sleep(_CHECK_S)
        return True

    async def _locate(self, request: ResumeRequest, seq: int) -> Located:
        """Find in the log what follows a seq."""
        hub, tenant_id = self._hub, request.tenant_id
        if hub.position(tenant_id) - seq > self._limits.messages_max:
            raise UnrecoverableError(UnrecoverableReason.TOO_MANY)
        return await self._backfill.locate(
            Span(tenant_id, seq + 1, hub.position(tenant_id), request.subscriber.subject)
        )

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


def refused_resume(wait_s: int, request_id: OptionalRequestId, now: float) -> tuple[Effect, ...]:
    """What a connection is told and closed with whose user has resumed too much."""
    problem, correlation_id = "too much was resumed in a short time", uuid4().hex
    error = ErrorMessage(
        timestamp=iso(now),
        request_id=request_id,
        code=ErrorCode.TOO_MANY,
        message=f"{problem}: come back in {wait_s} s",
        correlation_id=correlation_id,
    )
    return (
        Send(error),
        Audit(Action.RESUME, allowed=False, reason=problem, correlation_id=correlation_id),
        Close(CloseCode.TOO_MANY, f"retry_after_s={wait_s}; {problem}"),
    )
