"""The messages that answer a client, built from facts and a clock value. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import UNSET

from contracts.messages import ConnectionEstablished, ErrorCode, ErrorMessage, Pong, Refreshed, Stats
from gateway.access.tokens import Bearer
from gateway.session.effects import Action, Audit, Effect, Facts, Requested, Send


class Replies:
    """Builds the answers of one connection. Every `now` is seconds since 1970, every `asked` the request's id.

    Args:
        facts: about the gateway and the feed.
        new_id: makes correlation ids.
    """

    __slots__ = ("_facts", "_new_id")

    def __init__(self, facts: Facts, new_id: Callable[[], str]) -> None:
        self._facts = facts
        self._new_id = new_id

    def established(self, identity: Bearer, now: float, asked: Requested) -> Send:
        """The bearer is signed in; where the feed stands."""
        return Send(
            ConnectionEstablished(
                timestamp=iso(now),
                request_id=asked,
                tenant_id=identity.tenant_id,
                max_events_per_second=self._facts.max_events_per_second(identity.tenant_id),
                epoch=self._facts.epoch,
                seq=self._facts.position(identity.tenant_id),
                capabilities=sorted(identity.capabilities),
                server_version=self._facts.server_version,
                heartbeat_interval_s=self._facts.heartbeat_interval_s,
                expires_at=iso(identity.expires_at),
            )
        )

    def refreshed(self, identity: Bearer, now: float, asked: Requested) -> Send:
        """The connection goes on with another token."""
        return Send(
            Refreshed(
                timestamp=iso(now),
                request_id=asked,
                capabilities=sorted(identity.capabilities),
                expires_at=iso(identity.expires_at),
            )
        )

    def pong(self, now: float, asked: Requested) -> Send:
        """A sign of life."""
        return Send(Pong(timestamp=iso(now), request_id=asked))

    def stats(self, identity: Bearer, now: float, asked: Requested) -> Send:
        """What this gateway has counted for the bearer's tenant."""
        return Send(
            Stats(
                timestamp=iso(now),
                request_id=asked,
                uptime_seconds=round(self._facts.uptime_s(now), 3),
                events_processed=self._facts.events_processed(identity.tenant_id),
                tenant_id=identity.tenant_id,
                group_name=f"noc_tenant_{identity.tenant_id}",
                connections=self._facts.connections(identity.tenant_id),
            )
        )

    def error(self, code: ErrorCode, message: str, now: float, asked: Requested = UNSET) -> list[Effect]:
        """Something was not done."""
        return [self._error(code, message, now, asked, self._new_id())]

    def forbidden(
        self, action: Action, reason: str, now: float, asked: Requested = UNSET, code: ErrorCode = ErrorCode.FORBIDDEN
    ) -> list[Effect]:
        """Something was not allowed: an error and a line in the audit trail, by one correlation id."""
        correlation_id = self._new_id()
        return [
            self._error(code, reason, now, asked, correlation_id),
            Audit(action, allowed=False, reason=reason, correlation_id=correlation_id),
        ]

    def _error(self, code: ErrorCode, message: str, now: float, asked: Requested, correlation_id: str) -> Send:
        return Send(
            ErrorMessage(
                timestamp=iso(now), request_id=asked, code=code, message=message, correlation_id=correlation_id
            )
        )


def what_may(identity: Bearer) -> str:
    """What a bearer may do, for the audit trail: unmasked personal data is worth a line of its own there."""
    return " ".join(sorted(identity.capabilities))


def iso(now: float) -> str:
    """Seconds since 1970 as ISO 8601 UTC with milliseconds.

    >>> iso(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
