"""Which tokens are not good any more although they are genuine: `noc.revocations`, folded.

Pure but for `RevocationReader`. Never ends a connection itself: it says when something was revoked, and
`gateway.access.signed_in` looks through who is there.
"""

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import structlog

from common.settings.auth import AuthSettings
from common.settings.load import Settings
from contracts.revocations import RevokedSubject, decode_key, decode_revocation
from contracts.topics import TopicNames
from gateway.access.tokens import Bearer
from gateway.kafka.topic_view import follow
from gateway.metrics import GatewayMetrics

K = TypeVar("K")

_FORGOTTEN_AT_ONCE = 10  # one part in so many: looking for the oldest costs a sort

_log = structlog.get_logger(__name__)


class Revocations:
    """The revocations that still matter.

    Bounded: one is forgotten when every token that it refuses has expired. Beyond `revocations_max` the oldest are
    joined into one moment, before which no token is good, whoever's: too much is refused then, never too little.

    Args:
        auth: how long tokens live, and how many revocations are kept.
    """

    def __init__(self, auth: AuthSettings) -> None:
        self._alive_s = auth.token_lifetime_s_max + auth.clock_skew_s
        self._entries_max = auth.revocations_max
        self._subjects: dict[tuple[int, str], float] = {}
        """Tokens issued earlier are refused; seconds since 1970."""
        self._tokens: dict[str, float] = {}
        """By `jti`: when it was revoked."""
        self.floor = 0.0
        """Tokens issued earlier are refused."""

    def __len__(self) -> int:
        return len(self._subjects) + len(self._tokens)

    def refuses(self, identity: Bearer) -> bool:
        """Whether a bearer's token was revoked."""
        return (
            identity.issued_at < self.floor
            or identity.token_id in self._tokens
            or identity.issued_at < self._subjects.get((identity.tenant_id, identity.subject), 0.0)
        )

    def take(self, key: bytes, value: bytes | None, written_at: float) -> None:
        """A record of the topic.

        Args:
            key: of the record.
            value: of the record; None lifts what the key named.
            written_at: seconds since 1970, of the log.

        Raises:
            msgspec.DecodeError: it cannot be read.
        """
        revoked = decode_key(key)
        not_before = None if value is None else decode_revocation(value).not_before.timestamp()
        if isinstance(revoked, RevokedSubject):
            _set(self._subjects, (revoked.tenant_id, revoked.subject), not_before)
        else:
            # The token was there before its revocation was written, whatever moment that one names.
            _set(self._tokens, revoked.jti, None if not_before is None else max(not_before, written_at))

    def forget(self, now: float) -> None:
        """Let go of what refuses only tokens that have expired, and of the oldest where there are too many."""
        self._drop_until(now - self._alive_s)
        if len(self) > self._entries_max:
            moments = sorted((*self._subjects.values(), *self._tokens.values()))
            keep = self._entries_max - self._entries_max // _FORGOTTEN_AT_ONCE
            moment = moments[-keep - 1]
            # Just above it: a token that was revoked in the second in which it was issued is refused too.
            self.floor = max(self.floor, math.nextafter(moment, math.inf))
            self._drop_until(moment)

    def _drop_until(self, moment: float) -> None:
        self._subjects = {key: before for key, before in self._subjects.items() if before > moment}
        self._tokens = {jti: at for jti, at in self._tokens.items() if at > moment}


class RevocationReader:
    """Keeps the revocations as the log says; a `View` of `gateway.kafka.topic_view`.

    Args:
        settings: of the process.
        metrics: counts what cannot be read and shows how many are remembered.
        clock: seconds since 1970.
    """

    def __init__(self, settings: Settings, metrics: GatewayMetrics, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._topic = TopicNames(settings.kafka.topic_prefix).revocations
        self._metrics = metrics
        self.on_change: Callable[[], None] = lambda: None
        """Called when something may be revoked that was not before; set by who knows who is there."""
        self._clock = clock
        self._current = self._fresh = Revocations(settings.auth)
        self._told_missing = False
        self.known = False
        """Whether the topic was read to its end once, or found missing."""

    def refuses(self, identity: Bearer) -> bool:
        """Whether a bearer's token was revoked."""
        return self._current.refuses(identity)

    async def run(self) -> None:
        """Read until cancelled; never fails for want of a broker."""
        await follow(self._settings, self._topic, self)

    def begin(self) -> None:
        """Fold anew: what was lifted and compacted away since must not come from memory."""
        self._fresh = Revocations(self._settings.auth)
        self._told_missing = False

    def take(self, record: Any) -> None:
        """A record of the topic; one that cannot be read is counted, told and passed over."""
        try:
            self._fresh.take(record.key or b"", record.value, record.timestamp / 1000)
        except msgspec.DecodeError:
            # Its text is not told: a key names people.
            self._metrics.revocations_unreadable.inc()
            _log.error("a revocation cannot be read and revokes nothing", offset=getattr(record, "offset", None))
        if len(self._fresh) > 2 * self._settings.auth.revocations_max:
            self._fresh.forget(self._clock())

    def caught_up(self) -> None:
        """What was folded counts from here on."""
        floor = self._current.floor
        self._fresh.forget(self._clock())
        self._current, self.known = self._fresh, True
        self._metrics.revocations.set(len(self._current))
        if self._current.floor > floor:
            _log.warning(
                "more revocations than auth.revocations_max: older tokens are refused, whoever's they are",
                issued_before=self._current.floor,
            )
        self.on_change()

    def missing(self) -> None:
        """Without the topic nothing is revoked, or what was known stays."""
        self.known = True
        if not self._told_missing:
            self._told_missing = True
            _log.warning(
                "the topic of revocations is missing: no token can be revoked until a worker makes it",
                topic=self._topic,
            )


def _set(table: dict[K, float], key: K, value: float | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
