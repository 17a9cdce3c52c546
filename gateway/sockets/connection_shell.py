"""One connection's shell: carries out its session's effects on a wire, a verifier and the hub.

Owns the timer of the session and the log lines about it. Knows no WebSocket library: `gateway.server`
gives it a wire. Never logs a token, a name or what a message said.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from contracts.messages import AnswerMessage, CloseCode, ErrorMessage, NoticeMessage, Subscribed, encode_message
from contracts.requests import ResumePosition
from gateway.access.signed_in import SignedIn
from gateway.access.tokens import AccessRefusedError, Bearer, Capability, TokenVerifier
from gateway.delivery.audit import Actor, AuditTrail
from gateway.delivery.receipts import Receipts, Viewer
from gateway.feed.catchup import CatchUp
from gateway.feed.hub import Hub
from gateway.feed.rendering import Endpoint, Variant
from gateway.feed.resume import Resumer
from gateway.feed.subscriber import Mode, Sink, Subscriber
from gateway.metrics import GatewayMetrics
from gateway.session.effects import (
    Audit,
    Close,
    Effect,
    NoteReceived,
    NoteSeen,
    Requested,
    Rewind,
    Send,
    Subscribe,
    Verify,
)
from gateway.session.protocol import Session
from gateway.session.replies import iso


class Wire(Sink, Protocol):
    """A hub's sink that also tells who it is, for the logs."""

    @property
    def id(self) -> str:
        """Of the connection."""
        ...

    @property
    def peer(self) -> str:
        """Address of the other side."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What all visitors of a gateway share."""

    hub: Hub
    catch_up: CatchUp
    resumer: Resumer
    verifier: TokenVerifier
    bearers: SignedIn
    metrics: GatewayMetrics
    receipts: Receipts
    audit: AuditTrail
    greeting: Callable[[], NoticeMessage | None]
    """What a newcomer is told of the feed, if anything."""


class ConnectionShell:
    """A client at the gateway, from its handshake to its close.

    Args:
        house: what it shares with the others.
        session: its protocol.
        wire: its connection.
        endpoint: what it asked for.
    """

    __slots__ = (
        "_armed_for",
        "_endpoint",
        "_gone",
        "_house",
        "_identity",
        "_resuming",
        "_session",
        "_subscriber",
        "_timer",
        "_viewer",
        "_wire",
    )

    def __init__(self, house: Services, session: Session, wire: Wire, endpoint: Endpoint) -> None:
        self._house = house
        self._session = session
        self._wire = wire
        self._endpoint = endpoint
        self._subscriber: Subscriber | None = None
        self._viewer: Viewer | None = None
        self._identity: Bearer | None = None
        """The first bearer that was verified, let in or not."""
        self._timer: asyncio.TimerHandle | None = None
        self._resuming: asyncio.Task[None] | None = None
        self._armed_for: float | None = None
        self._gone = False

    @property
    def closed(self) -> bool:
        """Whether the session closed the connection."""
        return self._session.closed

    @property
    def identity(self) -> Bearer | None:
        """Who signed in; None before."""
        return self._session.identity

    async def arrive(self, token: str | None) -> None:
        """The handshake is done; `token` came with its subprotocols."""
        self._arm()
        await self._carry_out(self._session.open(token))

    async def hear(self, data: str | bytes) -> None:
        """A message of the client."""
        effects = self._session.receive(data, self._house.hub.clock())
        self._house.metrics.received.labels(self._session.heard).inc()
        await self._carry_out(effects)

    def drained(self) -> None:
        """The connection has room again."""
        if self._subscriber is not None and self._subscriber.mode is Mode.BEHIND:
            self._house.catch_up.drained(self._subscriber)

    def beat(self, timestamp: str) -> None:
        """Show the client that its connection lives."""
        if self._subscriber is not None:
            self._house.hub.heartbeat(self._subscriber, timestamp)

    def revoke(self, reason: str) -> None:
        """The token is not good any more."""
        for effect in self._session.revoked(reason):
            self._apply(effect)
        self._arm()

    def leave(self) -> None:
        """The connection is gone."""
        self._gone = True
        self._house.bearers.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._resuming is not None:
            self._resuming.cancel()
        if self._viewer is not None:
            self._house.receipts.left(self._viewer)
        if self._subscriber is not None:
            self._house.hub.leave(self._subscriber)

    async def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Verify):
                await self._carry_out(await self._verify(effect.token))
            else:
                self._apply(effect)
        self._arm()

    def _apply(self, effect: Effect) -> None:
        match effect:
            case Send(message=message):
                self._say(message)
            case Subscribe():
                self._subscribe(effect)
            case Rewind(position=position, request_id=asked):
                self._resume(position, asked)
            case Close(code=code, reason=reason):
                self._close(code, reason)
            case NoteReceived() | NoteSeen():
                self._note(effect)
            case Audit():
                self._house.audit.note(effect, self._actor(), self._house.hub.clock())
            case Verify():
                pass

    def _note(self, effect: NoteReceived | NoteSeen) -> None:
        receipts, viewer = self._house.receipts, self._viewer
        if viewer is None:
            return
        if isinstance(effect, NoteReceived):
            receipts.received(viewer, effect.seq)
        else:
            receipts.seen(viewer, effect.ids, self._house.hub.clock())

    async def _verify(self, token: str) -> list[Effect]:
        house = self._house
        try:
            identity = await house.verifier.verify(token)
            self._identity = self._identity or identity
            if not self._gone:
                house.bearers.admit(self, identity)
        except AccessRefusedError as refusal:
            house.metrics.sign_ins.labels("refused").inc()
            return self._session.refused(refusal.code, refusal.reason, house.hub.clock())
        house.metrics.sign_ins.labels("accepted").inc()
        return self._session.admitted(identity, house.hub.clock())

    def _subscribe(self, effect: Subscribe) -> None:
        if self._gone:
            return
        identity, subscriber = effect.identity, self._subscriber
        variant = Variant(self._endpoint, masked=not identity.may(Capability.VIEW_PII))
        if subscriber is not None:
            self._change(subscriber, variant, effect)
            return
        subscriber = Subscriber(identity.tenant_id, variant, effect.scope, self._wire, identity.subject)
        self._subscriber, self._viewer = subscriber, Viewer(subscriber, self._wire.id)
        self._house.receipts.arrived(self._viewer)
        self._log_sign_in(identity, variant)
        if effect.resume is None:
            self._house.hub.join(subscriber)
        else:
            self._resume(effect.resume, effect.request_id)
        greeting = self._house.greeting()
        if greeting is not None:
            self._wire.write(self._house.hub.frame(encode_message(greeting)))

    def _change(self, subscriber: Subscriber, variant: Variant, effect: Subscribe) -> None:
        seq = self._house.hub.change(subscriber, variant, effect.scope)
        if effect.announce:
            self._say(
                Subscribed(
                    timestamp=iso(self._house.hub.clock()),
                    request_id=effect.request_id,
                    seq=seq,
                    client_ids=sorted(effect.scope.wanted_clients),
                    site_ids=sorted(effect.scope.wanted_sites),
                )
            )

    def _resume(self, position: ResumePosition, asked: Requested) -> None:
        subscriber = self._subscriber
        if subscriber is None:
            return
        if self._resuming is not None:
            self._resuming.cancel()
        self._resuming = self._house.resumer.begin(subscriber, position, asked, self._say)

    def _say(self, message: AnswerMessage) -> None:
        if isinstance(message, ErrorMessage):
            self._house.metrics.errors.labels(message.code).inc()
            self._log().info("client error", code=str(message.code), correlation_id=message.correlation_id)
        self._wire.write(self._house.hub.frame(encode_message(message)))

    def _close(self, code: CloseCode, reason: str) -> None:
        if self._subscriber is None:
            self._wire.close(code, reason)
        else:
            self._house.hub.dismiss(self._subscriber, code, reason)

    def _arm(self) -> None:
        deadline = self._session.deadline
        if deadline == self._armed_for:
            return
        self._armed_for = deadline
        if self._timer is not None:
            self._timer.cancel()
        if deadline is None or self._gone:
            return
        # A token of a year needs a timer of a year; loops take delays of some weeks.
        delay_s = min(max(0.0, deadline - self._house.hub.clock()), 86_400.0)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        for effect in self._session.timeout(self._house.hub.clock()):
            self._apply(effect)
        self._armed_for = None
        self._arm()

    def _actor(self) -> Actor:
        bearer = self._identity
        return Actor(
            connection=self._wire.id,
            endpoint=str(self._endpoint),
            peer=self._wire.peer,
            tenant_id=bearer.tenant_id if bearer else None,
            subject=bearer.subject if bearer else None,
        )

    def _log_sign_in(self, identity: Bearer, variant: Variant) -> None:
        self._log().info("signed in", tenant_id=identity.tenant_id, masked=variant.masked)

    def _log(self) -> structlog.stdlib.BoundLogger:
        # Made when it is needed: one for each of thousands of idle connections would be kept for nothing.
        logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
        return logger.bind(connection=self._wire.id, endpoint=str(self._endpoint))


def closing_reason(reason: str) -> str:
    """A reason as it fits into a close frame: at most 123 bytes."""
    return reason.encode()[:123].decode(errors="ignore")
