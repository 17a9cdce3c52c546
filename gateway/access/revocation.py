"""Which tokens are not accepted any more although they are genuine: `noc.revocations`, folded.

Owns the fold and its bound. Closes no connection itself: `gateway.access.signed_in` looks for those of revoked tokens.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import structlog

from common.settings.auth import AuthSettings
from common.settings.load import Settings
from contracts.messages import CloseCode
from contracts.revocations import (
    Revocation,
    RevocationKey,
    RevokedSubject,
    RevokedToken,
    decode_key,
    decode_revocation,
    encode_revocation,
    key_bytes,
)
from contracts.topics import TopicNames
from gateway.access.bearer import AccessRefusedError, Bearer
from gateway.access.signed_in import SignedIn
from gateway.kafka.topic_view import TopicView
from gateway.metrics import GatewayMetrics

K = TypeVar("K")

REVOKED = "the token was revoked"
SIGNED_OUT = "signed out"
_FORGOTTEN_AT_ONCE = 10  # one part in so many: looking for the oldest costs a sort

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RevocationRecord:
    """A revocation on its way to the topic."""

    key: RevocationKey
    revocation: Revocation

    @property
    def key_bytes(self) -> bytes:
        """The record's key."""
        return key_bytes(self.key)

    @property
    def value_bytes(self) -> bytes:
        """The record's value."""
        return encode_revocation(self.revocation)


class Revocations:
    """The revocations that still matter.

    Bounded: one is forgotten when every token that it refuses has expired. Beyond `revocations_max` the oldest are
    joined into one moment, and every token that was issued before it is refused: too much then, never too little.

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

    def refuses(self, bearer: Bearer) -> bool:
        """Whether a bearer's token was revoked."""
        return (
            bearer.issued_at < self.floor
            or bearer.token_id in self._tokens
            or bearer.issued_at < self._subjects.get((bearer.tenant_id, bearer.subject), 0.0)
        )

    def take(self, key: bytes, value: bytes | None, written_at: float) -> None:
        """A record of the topic, written then (seconds since 1970, of the log); no value lifts what the key named.

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


class RevocationView(TopicView[Revocations]):
    """The revocations by the log; closes the connections of revoked tokens.

    Args:
        clock: seconds since 1970.
        publish: writes a revocation to the topic; must not wait.
    """

    def __init__(
        self,
        settings: Settings,
        signed_in: SignedIn,
        metrics: GatewayMetrics,
        clock: Callable[[], float] = time.time,
        publish: Callable[["RevocationRecord"], None] = lambda _: None,
    ) -> None:
        super().__init__(TopicNames(settings.kafka.topic_prefix).revocations, Revocations(settings.auth))
        self._auth = settings.auth
        self._signed_in = signed_in
        self._metrics = metrics
        self._clock = clock
        self._publish = publish
        self._missing_logged = False

    def check(self, bearer: Bearer) -> None:
        """Refuse a bearer whose token was revoked.

        Raises:
            AccessRefusedError: with 4401.
        """
        if self.current.refuses(bearer):
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, REVOKED)

    def sign_out(self, bearer: Bearer) -> None:
        """End a bearer's session at this gateway at once, and write its revocation for the others.

        A token without `jti` cannot be named by itself: then all tokens of the user end that were issued until now.
        """
        now = datetime.fromtimestamp(math.ceil(self._clock()), UTC)
        key = RevokedToken(bearer.token_id) if bearer.token_id else RevokedSubject(bearer.tenant_id, bearer.subject)
        record = RevocationRecord(key, Revocation(now, "signed out"))
        self.current.take(record.key_bytes, record.value_bytes, now.timestamp())
        self._signed_in.end(self.current.refuses, SIGNED_OUT)
        self._publish(record)

    def new_fold(self) -> Revocations:
        """An empty table: what was lifted and compacted away since must not come from memory."""
        self._missing_logged = False
        return Revocations(self._auth)

    def fold(self, fold: Revocations, record: Any) -> None:
        """A record of the topic; one that cannot be read is counted, logged and passed over."""
        try:
            fold.take(record.key or b"", record.value, record.timestamp / 1000)
        except msgspec.DecodeError:
            # Its text is not logged: a key names people.
            self._metrics.revocations_unreadable.inc()
            _log.error("a revocation cannot be read and revokes nothing", offset=getattr(record, "offset", None))
        if len(fold) > 2 * self._auth.revocations_max:
            fold.forget(self._clock())

    def caught_up(self) -> None:
        """What was folded counts from here on, also for connections that are open."""
        floor = self.current.floor
        super().caught_up()
        self.current.forget(self._clock())
        self._metrics.revocations.set(len(self.current))
        if self.current.floor > floor:
            _log.warning(
                "more revocations than auth.revocations_max: older tokens are refused, whoever's they are",
                issued_before=self.current.floor,
            )
        self._signed_in.end(self.current.refuses, REVOKED)

    def missing(self) -> None:
        """Without the topic nothing is revoked, or what was known stays."""
        super().missing()
        if not self._missing_logged:
            self._missing_logged = True
            _log.warning(
                "the topic of revocations is missing: no token can be revoked until a worker makes it",
                topic=self.topic,
            )


def _set(table: dict[K, float], key: K, value: float | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
