"""One connection's shell: carries out its session's effects on its sink, the verifier and the hub.

Owns the timer of the session and the log lines about it. Knows no WebSocket library: `gateway.server` gives it a sink.
Never logs a token, a name or the text of a message.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from contracts.messages import AnswerMessage, CloseCode, ErrorMessage, NoticeMessage, Subscribed, encode_message
from contracts.requests import ResumePosition
from gateway.access.bearer import AccessRefusedError, Bearer, Capability
from gateway.access.revocation import RevocationView
from gateway.access.signed_in import SignedIn
from gateway.access.tokens import TokenVerifier
from gateway.delivery.audit import Actor, AuditTrail
from gateway.delivery.receipts import Receipts, Recipient
from gateway.feed.catchup import CatchUp
from gateway.feed.hub import Hub
from gateway.feed.rendering import Endpoint, Variant
from gateway.feed.resume import Resumer, ResumeRequest, refused_resume
from gateway.feed.subscriber import Mode, Sink, Subscriber
from gateway.metrics import GatewayMetrics
from gateway.session import effects
from gateway.session.effects import Effect, OptionalRequestId
from gateway.session.protocol import Session
from gateway.session.replies import iso


class ConnectionSink(Sink, Protocol):
    """A connection's sink that also knows the connection's id and the client's address."""

    @property
    def id(self) -> str:
        """Of the connection."""

    @property
    def peer(self) -> str:
        """Address of the client."""


@dataclass(frozen=True, slots=True)
class Services:
    """What all connections of a gateway share."""

    hub: Hub
    catch_up: CatchUp
    resumer: Resumer
    verifier: TokenVerifier
    revocations: RevocationView
    signed_in: SignedIn
    metrics: GatewayMetrics
    receipts: Receipts
    audit: AuditTrail
    first_notice: Callable[[], NoticeMessage | None]
    """What is sent after sign-in, if anything: that the feed is not live."""


class ConnectionShell:
    """A client's connection, from its handshake to its close."""

    __slots__ = (
        "_bearer",
        "_endpoint",
        "_gone",
        "_recipient",
        "_resuming",
        "_services",
        "_session",
        "_sink",
        "_subscriber",
        "_timer",
        "_timer_at",
    )

    def __init__(self, services: Services, session: Session, sink: ConnectionSink, endpoint: Endpoint) -> None:
        self._services = services
        self._session = session
        self._sink = sink
        self._endpoint = endpoint
        self._subscriber: Subscriber | None = None
        self._recipient: Recipient | None = None
        self._bearer: Bearer | None = None
        """The first bearer that was verified, let in or not."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._resuming: asyncio.Task[None] | None = None
        self._gone = False

    @property
    def closed(self) -> bool:
        """Whether the session closed the connection."""
        return self._session.closed

    @property
    def bearer(self) -> Bearer | None:
        """Who signed in; None before."""
        return self._session.bearer

    async def open(self, token: str | None) -> None:
        """The handshake is done; `token` came with its subprotocols."""
        self._set_timer()
        await self._carry_out(self._session.open(token))

    async def receive(self, data: str | bytes) -> None:
        """A message of the client."""
        wanted = self._session.receive(data, self._services.hub.clock())
        self._services.metrics.received.labels(self._session.last_type).inc()
        await self._carry_out(wanted)

    def drained(self) -> None:
        """The connection has room again."""
        if self._subscriber is not None and self._subscriber.mode is Mode.BEHIND:
            self._services.catch_up.drained(self._subscriber)

    def heartbeat(self, timestamp: str) -> None:
        """Show the client that its connection works."""
        if self._subscriber is not None:
            self._services.hub.heartbeat(self._subscriber, timestamp)

    def revoke(self, reason: str) -> None:
        """The token is not accepted any more."""
        for effect in self._session.revoked(reason):
            self._apply(effect)
        self._set_timer()

    def disconnected(self) -> None:
        """The connection was closed, by whichever side."""
        self._gone = True
        self._services.signed_in.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._resuming is not None:
            self._resuming.cancel()
        if self._recipient is not None:
            self._services.receipts.left(self._recipient)
        if self._subscriber is not None:
            self._services.hub.leave(self._subscriber)

    async def _carry_out(self, wanted: Sequence[Effect]) -> None:
        for effect in wanted:
            if isinstance(effect, effects.Verify):
                await self._carry_out(await self._verify(effect.token))
            else:
                self._apply(effect)
        self._set_timer()

    def _apply(self, effect: Effect) -> None:
        match effect:
            case effects.Send(message=message):
                self._send(message)
            case effects.Subscribe():
                self._subscribe(effect)
            case effects.Rewind(position=position, request_id=request_id):
                self._resume(position, request_id)
            case effects.Close(code=code, reason=reason):
                self._close(code, reason)
            case effects.NoteReceived() | effects.NoteSeen():
                self._note(effect)
            case effects.Audit():
                self._services.audit.note(effect, self._actor(), self._services.hub.clock())
            case effects.Verify():
                pass

    def _note(self, effect: effects.NoteReceived | effects.NoteSeen) -> None:
        receipts, recipient = self._services.receipts, self._recipient
        if recipient is None:
            return
        if isinstance(effect, effects.NoteReceived):
            receipts.received(recipient, effect.seq)
        else:
            may_act = self.bearer is not None and self.bearer.may(Capability.ACK_ALERTS)
            receipts.seen(recipient, effect.ids, self._services.hub.clock(), may_act=may_act)

    async def _verify(self, token: str) -> list[Effect]:
        services = self._services
        try:
            bearer = await services.verifier.verify(token)
            self._bearer = self._bearer or bearer
            if not self._gone:
                services.revocations.check(bearer)
                services.signed_in.admit(self, bearer)
        except AccessRefusedError as refusal:
            services.metrics.sign_ins.labels("refused").inc()
            return self._session.refused(refusal.code, refusal.reason, services.hub.clock())
        services.metrics.sign_ins.labels("accepted").inc()
        return self._session.admitted(bearer, services.hub.clock())

    def _subscribe(self, effect: effects.Subscribe) -> None:
        if self._gone:
            return
        bearer, subscriber = effect.bearer, self._subscriber
        variant = Variant(self._endpoint, masked=not bearer.may(Capability.VIEW_PII))
        if subscriber is not None:
            self._change(subscriber, variant, effect)
            return
        subscriber = Subscriber(bearer.tenant_id, variant, effect.scope, self._sink, bearer.subject)
        self._subscriber, self._recipient = subscriber, Recipient(subscriber, self._sink.id)
        self._services.receipts.joined(self._recipient)
        self._log().info("signed in", tenant_id=bearer.tenant_id, masked=variant.masked)
        if effect.resume is None:
            self._services.hub.join(subscriber)
        else:
            self._resume(effect.resume, effect.request_id)
        notice = self._services.first_notice()
        if notice is not None:
            self._sink.write(self._services.hub.frame(encode_message(notice)))

    def _change(self, subscriber: Subscriber, variant: Variant, effect: effects.Subscribe) -> None:
        seq = self._services.hub.change(subscriber, variant, effect.scope)
        if effect.announce:
            self._send(
                Subscribed(
                    timestamp=iso(self._services.hub.clock()),
                    request_id=effect.request_id,
                    seq=seq,
                    client_ids=sorted(effect.scope.wanted_clients),
                    site_ids=sorted(effect.scope.wanted_sites),
                )
            )

    def _resume(self, position: ResumePosition, request_id: OptionalRequestId) -> None:
        if self._subscriber is None:
            return
        if self._resuming is not None:
            self._resuming.cancel()
        if wait_s := self._services.resumer.wait_s(self._subscriber, position):
            for effect in refused_resume(wait_s, request_id, self._services.hub.clock()):
                self._apply(effect)
            return
        request = ResumeRequest(self._subscriber, position, request_id, self._send)
        self._resuming = self._services.resumer.begin(request)

    def _send(self, message: AnswerMessage) -> None:
        if isinstance(message, ErrorMessage):
            self._services.metrics.errors.labels(message.code).inc()
            self._log().info("client error", code=str(message.code), correlation_id=message.correlation_id)
        self._sink.write(self._services.hub.frame(encode_message(message)))

    def _close(self, code: CloseCode, reason: str) -> None:
        if self._subscriber is None:
            self._sink.close(code, reason)
        else:
            self._services.hub.dismiss(self._subscriber, code, reason)

    def _set_timer(self) -> None:
        deadline = self._session.deadline
        if deadline == self._timer_at:
            return
        self._timer_at = deadline
        if self._timer is not None:
            self._timer.cancel()
        if deadline is None or self._gone:
            return
        # A token of a year needs a timer of a year; loops take delays of some weeks.
        delay_s = min(max(0.0, deadline - self._services.hub.clock()), 86_400.0)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        for effect in self._session.timeout(self._services.hub.clock()):
            self._apply(effect)
        self._timer_at = None
        self._set_timer()

    def _actor(self) -> Actor:
        bearer = self._bearer
        return Actor(
            connection=self._sink.id,
            endpoint=str(self._endpoint),
            peer=self._sink.peer,
            tenant_id=bearer.tenant_id if bearer else None,
            subject=bearer.subject if bearer else None,
        )

    def _log(self) -> structlog.stdlib.BoundLogger:
        # Made when it is needed: one for each of thousands of idle connections would be kept for nothing.
        logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
        return logger.bind(connection=self._sink.id, endpoint=str(self._endpoint))
