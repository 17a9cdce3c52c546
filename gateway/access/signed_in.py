"""Which connections are signed in at this gateway: their bearers, how many there are, and the end of some of them.

Owns the connection counts of users and tenants. Verifies no token and knows no socket: it calls a connection
whose token is not accepted any more, which closes itself.
"""

from collections.abc import Callable
from typing import Protocol

import structlog

from contracts.messages import CloseCode
from gateway.access.admission import ConnectionCounts
from gateway.access.bearer import AccessRefusedError, Bearer
from gateway.metrics import GatewayMetrics

_log = structlog.get_logger(__name__)


class SignedInConnection(Protocol):
    """A connection on which somebody has signed in."""

    @property
    def bearer(self) -> Bearer | None:
        """Who; None before sign-in."""

    def revoke(self, reason: str) -> None:
        """The token is not accepted any more: close."""


class SignedIn:
    """The signed-in connections of one gateway."""

    def __init__(self, counts: ConnectionCounts, metrics: GatewayMetrics) -> None:
        self._counts = counts
        self._metrics = metrics
        self._bearers: dict[SignedInConnection, Bearer] = {}
        """As they signed in: with a refreshed token a bearer has the same user and tenant."""

    def __len__(self) -> int:
        return len(self._bearers)

    def admit(self, connection: SignedInConnection, bearer: Bearer) -> None:
        """Let a verified bearer in, or let it go on with another token.

        Raises:
            AccessRefusedError: with 1013 where the user or the tenant has all the connections it can have.
        """
        if connection in self._bearers:
            return
        refusal = self._counts.take(bearer.tenant_id, bearer.subject)
        if refusal is not None:
            self._metrics.refused.labels(refusal.kind).inc()
            raise AccessRefusedError(CloseCode.TRY_AGAIN_LATER, refusal.closing)
        self._bearers[connection] = bearer

    def leave(self, connection: SignedInConnection) -> None:
        """A connection was closed; one that has not signed in changes nothing."""
        bearer = self._bearers.pop(connection, None)
        if bearer is not None:
            self._counts.release(bearer.tenant_id, bearer.subject)

    def end(self, refuses: Callable[[Bearer], bool], reason: str) -> None:
        """Close the connections whose token is refused by now."""
        ended = 0
        for connection in tuple(self._bearers):
            bearer = connection.bearer
            if bearer is not None and refuses(bearer):
                connection.revoke(reason)
                ended += 1
        if ended:
            _log.info("connections of revoked tokens ended", connections=ended)
