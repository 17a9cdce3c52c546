"""Which connections are signed in at this gateway, and the end of those whose token is revoked.

Owns the connection counts of users and tenants. Verifies no token and knows no socket: a connection is told that
its token is revoked, and closes itself.
"""

from collections.abc import Callable
from typing import Protocol

import structlog

from contracts.messages import CloseCode
from gateway.access.admission import Occupancy
from gateway.access.tokens import AccessRefusedError, Bearer
from gateway.metrics import GatewayMetrics

REVOKED = "the token was revoked"

_log = structlog.get_logger(__name__)


class SignedInConnection(Protocol):
    """A connection that somebody signed in on."""

    @property
    def identity(self) -> Bearer | None:
        """Whose; None before sign-in."""
        ...

    def revoke(self, reason: str) -> None:
        """The token is not good any more: close."""
        ...


class SignedIn:
    """The bearers of one gateway.

    Args:
        occupancy: the seats.
        refuses: whether a token is revoked.
        metrics: counts who is sent away.
    """

    def __init__(self, occupancy: Occupancy, refuses: Callable[[Bearer], bool], metrics: GatewayMetrics) -> None:
        self._occupancy = occupancy
        self._refuses = refuses
        self._metrics = metrics
        self._seated: dict[SignedInConnection, Bearer] = {}
        """With the identity that took the seat: a refreshed one has the same user and tenant."""

    def admit(self, connection: SignedInConnection, identity: Bearer) -> None:
        """Let a verified bearer in, or let it go on with another token.

        Raises:
            AccessRefusedError: with 4401 where the token is revoked, with 1013 where the user or the tenant has all
                the connections it can have.
        """
        if self._refuses(identity):
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, REVOKED)
        if connection in self._seated:
            return
        denial = self._occupancy.take(identity.tenant_id, identity.subject)
        if denial is not None:
            self._metrics.refused.labels(denial.kind).inc()
            raise AccessRefusedError(CloseCode.TRY_AGAIN_LATER, denial.closing)
        self._seated[connection] = identity

    def leave(self, connection: SignedInConnection) -> None:
        """A connection is gone; one that has no seat has none to give back."""
        identity = self._seated.pop(connection, None)
        if identity is not None:
            self._occupancy.release(identity.tenant_id, identity.subject)

    def end_revoked(self) -> None:
        """Close the connections whose token is revoked by now."""
        ended = 0
        for connection in tuple(self._seated):
            identity = connection.identity
            if identity is not None and self._refuses(identity):
                connection.revoke(REVOKED)
                ended += 1
        if ended:
            _log.info("connections of revoked tokens ended", connections=ended)
