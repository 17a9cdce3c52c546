"""One connection's shell: carries out its session's effects on a wire, a verifier and the hub.

Owns the timer of the session and the log lines about it. Knows no WebSocket library: `gateway.server`
gives it a wire. Never logs a token, a name or what a message said.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from contracts.messages import ErrorMessage, encode_message
from gateway.access import AccessRefusedError, Capability, TokenVerifier
from gateway.effects import Close, Effect, Send, Subscribe, Verify
from gateway.hub import Hub, Sink, Subscriber
from gateway.metrics import GatewayMetrics
from gateway.protocol import Session
from gateway.rendering import Endpoint, Frame, Variant


class Wire(Sink, Protocol):
    """A hub's sink that also tells its number, for the logs."""

    @property
    def id(self) -> str:
        """Of the connection."""
        ...


class Visitor:
    """A client at the gateway, from its handshake to its close.

    Args:
        session: its protocol.
        wire: its connection.
        endpoint: what it asked for.
        hub: where it subscribes.
        verifier: checks its token.
        metrics: counts what it does.
        frame: makes text frames.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        session: Session,
        wire: Wire,
        endpoint: Endpoint,
        *,
        hub: Hub,
        verifier: TokenVerifier,
        metrics: GatewayMetrics,
        frame: Frame,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._wire = wire
        self._endpoint = endpoint
        self._hub = hub
        self._verifier = verifier
        self._metrics = metrics
        self._frame = frame
        self._clock = clock
        self._subscriber: Subscriber | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._log = structlog.get_logger(__name__).bind(connection=wire.id, endpoint=str(endpoint))

    @property
    def closed(self) -> bool:
        """Whether the session closed the connection."""
        return self._session.closed

    async def arrive(self, token: str | None) -> None:
        """The handshake is done; `token` came with its subprotocols."""
        self._arm()
        await self._carry_out(self._session.open(token))

    async def hear(self, data: str | bytes) -> None:
        """A message of the client."""
        self._metrics.received.inc()
        await self._carry_out(self._session.receive(data, self._clock()))

    def leave(self) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
        if self._subscriber is not None:
            self._hub.leave(self._subscriber)

    async def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Verify):
                await self._carry_out(await self._verify(effect.token))
            else:
                self._apply(effect)
        self._arm()

    def _apply(self, effect: Send | Subscribe | Close) -> None:
        match effect:
            case Send(message=message):
                if isinstance(message, ErrorMessage):
                    self._metrics.errors.labels(message.code).inc()
                    self._log.info("client error", code=str(message.code), correlation_id=message.correlation_id)
                self._wire.write(self._frame(encode_message(message)))
            case Subscribe():
                self._subscribe(effect)
            case Close(code=code, reason=reason):
                self._wire.close(code, reason)

    async def _verify(self, token: str) -> list[Effect]:
        try:
            identity = await self._verifier.verify(token)
        except AccessRefusedError as refusal:
            self._metrics.sign_ins.labels("refused").inc()
            return self._session.refused(refusal.code, refusal.reason, self._clock())
        self._metrics.sign_ins.labels("accepted").inc()
        return self._session.admitted(identity, self._clock())

    def _subscribe(self, effect: Subscribe) -> None:
        if self._subscriber is not None:
            self._hub.rescope(self._subscriber, effect.scope)
            return
        identity = effect.identity
        variant = Variant(self._endpoint, masked=not identity.may(Capability.VIEW_PII))
        self._subscriber = Subscriber(identity.tenant_id, variant, effect.scope, self._wire)
        self._hub.join(self._subscriber)
        self._log.info("signed in", tenant_id=identity.tenant_id, masked=variant.masked)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._session.deadline
        if deadline is None:
            return
        # A token of a year needs a timer of a year; loops take delays of some weeks.
        delay_s = min(max(0.0, deadline - self._clock()), 86_400.0)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        for effect in self._session.timeout(self._clock()):
            if not isinstance(effect, Verify):
                self._apply(effect)
        self._arm()


def closing_reason(reason: str) -> str:
    """A reason as it fits into a close frame: at most 123 bytes."""
    return reason.encode()[:123].decode(errors="ignore")
