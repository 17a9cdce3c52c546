"""The messages that answer a client, built from facts and a clock value. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from msgspec import UNSET

from contracts.messages import ConnectionEstablished, ErrorCode, ErrorMessage, Pong, Refreshed, Stats
from gateway.access.bearer import Bearer
from gateway.session.effects import Action, Audit, Effect, OptionalRequestId, Send


class FeedState(Protocol):
    """Where the feed stands and who is connected, by tenant; reads memory only."""

    epoch: str
    """The identity of the feed's log."""

    def position(self, tenant_id: int) -> int:
        """The seq of the last message, 0 where none is known."""

    def events_processed(self, tenant_id: int) -> int:
        """Source events since this process started."""

    def connections(self, tenant_id: int) -> int:
        """Connections at this process."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the answers are made of."""

    feed: FeedState
    max_events_per_second: Callable[[int], int]
    """A tenant's limit of scored events."""
    server_version: str
    heartbeat_interval_s: int
    started_at: float
    """When the process started, seconds since 1970."""


class Replies:
    """Builds the answers of one connection. Every `now` is seconds since 1970.

    Args:
        new_id: makes correlation ids.
    """

    __slots__ = ("_facts", "_new_id")

    def __init__(self, facts: Facts, new_id: Callable[[], str]) -> None:
        self._facts = facts
        self._new_id = new_id

    def established(self, bearer: Bearer, now: float, request_id: OptionalRequestId) -> Send:
        """The bearer is signed in; where the feed stands."""
        return Send(
            ConnectionEstablished(
                timestamp=iso(now),
                request_id=request_id,
                tenant_id=bearer.tenant_id,
                max_events_per_second=self._facts.max_events_per_second(bearer.tenant_id),
                epoch=self._facts.feed.epoch,
                seq=self._facts.feed.position(bearer.tenant_id),
                capabilities=sorted(bearer.capabilities),
                server_version=self._facts.server_version,
                heartbeat_interval_s=self._facts.heartbeat_interval_s,
                expires_at=iso(bearer.expires_at),
            )
        )

    def refreshed(self, bearer: Bearer, now: float, request_id: OptionalRequestId) -> Send:
        """The connection goes on with another token."""
        return Send(
            Refreshed(
                timestamp=iso(now),
                request_id=request_id,
                capabilities=sorted(bearer.capabilities),
                expires_at=iso(bearer.expires_at),
            )
        )

    def pong(self, now: float, request_id: OptionalRequestId) -> Send:
        """The answer to a ping."""
        return Send(Pong(timestamp=iso(now), request_id=request_id))

    def stats(self, bearer: Bearer, now: float, request_id: OptionalRequestId) -> Send:
        """What this gateway has counted for the bearer's tenant."""
        return Send(
            Stats(
                timestamp=iso(now),
                request_id=request_id,
                uptime_seconds=round(max(0.0, now - self._facts.started_at), 3),
                events_processed=self._facts.feed.events_processed(bearer.tenant_id),
                tenant_id=bearer.tenant_id,
                group_name=f"noc_tenant_{bearer.tenant_id}",
                connections=self._facts.feed.connections(bearer.tenant_id),
            )
        )

    def error(self, code: ErrorCode, message: str, now: float, request_id: OptionalRequestId = UNSET) -> list[Effect]:
        """Something was not done."""
        return [self._error(code, message, now, request_id, self._new_id())]

    def forbidden(
        self,
        action: Action,
        reason: str,
        now: float,
        request_id: OptionalRequestId = UNSET,
        code: ErrorCode = ErrorCode.FORBIDDEN,
    ) -> list[Effect]:
        """Something was not allowed: an error and a line in the audit trail, by one correlation id."""
        correlation_id = self._new_id()
        return [
            self._error(code, reason, now, request_id, correlation_id),
            Audit(action, allowed=False, reason=reason, correlation_id=correlation_id),
        ]

    def _error(
        self, code: ErrorCode, message: str, now: float, request_id: OptionalRequestId, correlation_id: str
    ) -> Send:
        return Send(
            ErrorMessage(
                timestamp=iso(now), request_id=request_id, code=code, message=message, correlation_id=correlation_id
            )
        )


def allowed_actions(bearer: Bearer) -> str:
    """What a bearer may do, for the audit trail: unmasked personal data is worth a line of its own there."""
    return " ".join(sorted(bearer.capabilities))


def iso(now: float) -> str:
    """Seconds since 1970 as ISO 8601 UTC with milliseconds.

    >>> iso(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
