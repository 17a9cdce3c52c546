"""One connection as a state machine without I/O: messages and clock values in, effects out.

Owns sign-in, the message rate, the subscription and the answers. Never touches a socket, verifies no
token and reads no clock: the shell carries out the effects in order and reports what came of them.
"""

from collections.abc import Callable
from enum import Enum, auto

import msgspec
from msgspec import UNSET

from common.settings.gateway import SessionSettings
from contracts.messages import ADVICE, CloseCode, ErrorCode
from contracts.requests import (
    CLIENT_TYPES,
    Authenticate,
    ClientHead,
    ClientHeartbeat,
    ClientMessage,
    GetStats,
    Ping,
    Received,
    Refresh,
    Resume,
    ResumePosition,
    Seen,
    SubscribeClient,
    SubscribeSite,
    Unsubscribe,
    decode_client_head,
    decode_client_message,
)
from gateway.access.scope import Scope
from gateway.access.tokens import Bearer
from gateway.session.effects import (
    Action,
    Audit,
    Close,
    Effect,
    Facts,
    NoteReceived,
    NoteSeen,
    Requested,
    Rewind,
    Subscribe,
    Verify,
)
from gateway.session.message_rate import SlidingMinute
from gateway.session.replies import Replies, what_may

UNKNOWN_TYPE = "unknown"


class _State(Enum):
    WAITING = auto()
    VERIFYING = auto()
    OPEN = auto()
    REFRESHING = auto()
    CLOSED = auto()


class Session:
    """The protocol of one connection. Every `now` is seconds since 1970.

    Args:
        limits: of this connection.
        facts: about the gateway and the feed.
        new_id: makes correlation ids.
        now: when the connection was opened.
    """

    __slots__ = (
        "_answers",
        "_deadline",
        "_identity",
        "_limits",
        "_minute",
        "_request_id",
        "_resume",
        "_scope",
        "_state",
        "heard",
    )

    def __init__(self, limits: SessionSettings, facts: Facts, *, new_id: Callable[[], str], now: float) -> None:
        self._limits = limits
        self._answers = Replies(facts, new_id)
        self._minute = SlidingMinute(limits.messages_per_minute_max)
        self._state = _State.WAITING
        self._deadline: float | None = now + limits.authenticate_timeout_s
        self._request_id: Requested = UNSET
        self._identity: Bearer | None = None
        self._scope = Scope()
        self._resume: ResumePosition | None = None
        """Asked for at sign-in."""
        self.heard = UNKNOWN_TYPE
        """The type of the last message that was taken."""

    @property
    def deadline(self) -> float | None:
        """When `timeout` is to be called; None once closed."""
        return self._deadline

    @property
    def identity(self) -> Bearer | None:
        """Who signed in; None before."""
        return self._identity

    @property
    def closed(self) -> bool:
        """Whether a `Close` was given; then nothing has an effect any more."""
        return self._state is _State.CLOSED

    def open(self, token: str | None) -> list[Effect]:
        """The connection stands; `token` came with its subprotocols."""
        return [] if token is None else self._verify(token)

    def receive(self, data: str | bytes, now: float) -> list[Effect]:
        """One message of the client, text or binary."""
        if self._state is _State.CLOSED:
            return []
        raw = data.encode() if isinstance(data, str) else data
        refused = self._over_a_limit(raw, now)
        if refused:
            return refused
        head = _head(raw) if isinstance(data, str) else None
        self.heard = head.type if head is not None and head.type in CLIENT_TYPES else UNKNOWN_TYPE
        if self._identity is None:
            return self._before_sign_in(head, raw, now)
        if head is None:
            return self._answers.error(
                ErrorCode.MALFORMED, "a message is a text frame with one JSON object and its type", now
            )
        return self._signed_in(head, raw, self._identity, now)

    def admitted(self, identity: Bearer, now: float) -> list[Effect]:
        """The token was good. The session ends when the token does."""
        if self._state is _State.REFRESHING:
            return self._refreshed(identity, now)
        if self._state is not _State.VERIFYING:
            return []
        self._identity = identity
        refused = self._take_filters(Scope.of(identity), now)
        if refused:
            return refused
        self._state = _State.OPEN
        self._deadline = identity.expires_at
        resume, self._resume = self._resume, None
        return [
            self._answers.established(identity, now, self._request_id),
            Subscribe(identity, self._scope, resume, self._request_id),
            Audit(Action.SIGN_IN, allowed=True, reason=what_may(identity)),
        ]

    def refused(self, code: CloseCode, reason: str, now: float) -> list[Effect]:
        """The token was not good. One that was to refresh the connection leaves it as it is."""
        if self._state is _State.REFRESHING:
            self._state = _State.OPEN
            return self._answers.forbidden(Action.REFRESH, reason, now, self._request_id, ErrorCode.NOT_AUTHENTICATED)
        if self._state is not _State.VERIFYING:
            return []
        kind = {
            CloseCode.FORBIDDEN: ErrorCode.FORBIDDEN,
            CloseCode.TRY_AGAIN_LATER: ErrorCode.TOO_MANY_CONNECTIONS,
        }.get(code, ErrorCode.NOT_AUTHENTICATED)
        return [
            *self._answers.forbidden(Action.SIGN_IN, reason, now, self._request_id, kind),
            self._close(code, reason),
        ]

    def revoked(self, reason: str) -> list[Effect]:
        """The token is not good any more; nothing can be said on this connection but that."""
        if self._state is _State.CLOSED:
            return []
        return [Audit(Action.REVOKE, allowed=False, reason=reason), self._close(CloseCode.NOT_AUTHENTICATED, reason)]

    def timeout(self, now: float) -> list[Effect]:
        """The deadline may have come; an early call has no effect."""
        if self._deadline is None or now < self._deadline:
            return []
        if self._state in {_State.OPEN, _State.REFRESHING}:
            return [self._close(CloseCode.NOT_AUTHENTICATED, "the token has expired")]
        return [self._close(CloseCode.AUTHENTICATION_LATE)]

    def _over_a_limit(self, raw: bytes, now: float) -> list[Effect]:
        if not self._minute.take(now):
            problem = f"a connection sends at most {self._limits.messages_per_minute_max} messages a minute"
            return [
                *self._answers.forbidden(Action.FLOOD, problem, now, code=ErrorCode.TOO_MANY),
                self._close(CloseCode.TOO_MANY),
            ]
        if len(raw) > self._limits.message_bytes_max:
            problem = f"a message has at most {self._limits.message_bytes_max} bytes"
            return [*self._answers.error(ErrorCode.TOO_LARGE, problem, now), self._close(CloseCode.TOO_LARGE)]
        return []

    def _before_sign_in(self, head: ClientHead | None, raw: bytes, now: float) -> list[Effect]:
        request_id = UNSET if head is None else head.request_id
        if head is not None and head.type == "authenticate":
            try:
                message = decode_client_message(raw)
            except msgspec.ValidationError:  # its text may quote the token
                message = None
            if isinstance(message, Authenticate):
                self._request_id = request_id
                self._resume = None if message.resume is UNSET else message.resume
                self._scope = Scope(
                    wanted_clients=frozenset(message.client_ids), wanted_sites=frozenset(message.site_ids)
                )
                return self._verify(message.token)
        problem = "the first message is authenticate with a token"
        return [
            *self._answers.error(ErrorCode.NOT_AUTHENTICATED, problem, now, request_id),
            self._close(CloseCode.NOT_AUTHENTICATED, problem),
        ]

    def _verify(self, token: str) -> list[Effect]:
        self._state = _State.VERIFYING
        return [Verify(token)]

    def _signed_in(self, head: ClientHead, raw: bytes, identity: Bearer, now: float) -> list[Effect]:
        if head.type not in CLIENT_TYPES:
            problem = "this gateway does not know the message's type"
            return self._answers.error(ErrorCode.UNKNOWN_TYPE, problem, now, head.request_id)
        try:
            message = decode_client_message(raw)
        except msgspec.ValidationError as error:
            return self._answers.error(ErrorCode.INVALID, str(error), now, head.request_id)
        return self._answer(message, identity, now)

    def _answer(self, message: ClientMessage, identity: Bearer, now: float) -> list[Effect]:
        asked = message.request_id
        effects: list[Effect]
        match message:
            case Ping() | ClientHeartbeat():
                effects = [self._answers.pong(now, asked)]
            case GetStats():
                effects = [self._answers.stats(identity, now, asked)]
            case Authenticate():
                effects = self._answers.error(ErrorCode.INVALID, "this connection is signed in already", now, asked)
            case SubscribeClient() | SubscribeSite() | Unsubscribe():
                effects = self._resubscribe(message, identity, now)
            case Resume(epoch=epoch, seq=seq):
                effects = [Rewind(ResumePosition(epoch, seq), asked)]
            case Refresh(token=token):
                self._state, self._request_id = _State.REFRESHING, asked
                effects = [Verify(token)]
            case Received(seq=seq):
                effects = [NoteReceived(seq)]
            case Seen(ids=ids):
                effects = [NoteSeen(tuple(ids))]
        return effects

    def _resubscribe(
        self, message: SubscribeClient | SubscribeSite | Unsubscribe, identity: Bearer, now: float
    ) -> list[Effect]:
        asked = message.request_id
        match message:
            case SubscribeClient(client_id=client_id):
                allowed, scope = self._scope.allows_client(client_id), self._scope.with_client(client_id)
            case SubscribeSite(site_id=site_id):
                allowed, scope = self._scope.allows_site(site_id), self._scope.with_site(site_id)
            case Unsubscribe():
                allowed, scope = True, self._scope.widened()
        if not allowed:
            return self._answers.forbidden(Action.SUBSCRIBE, "the token does not allow this client or site", now, asked)
        return self._narrow(scope, identity, asked, now)

    def _narrow(self, scope: Scope, identity: Bearer, asked: Requested, now: float) -> list[Effect]:
        if scope.filters > self._limits.filters_max:
            problem = f"a connection names at most {self._limits.filters_max} clients and sites"
            return self._answers.error(ErrorCode.TOO_MANY_FILTERS, problem, now, asked)
        self._scope = scope
        return [Subscribe(identity, scope, request_id=asked, announce=True)]

    def _take_filters(self, allowed: Scope, now: float) -> list[Effect]:
        """Narrow the first subscription as `authenticate` asked for; what refuses the whole sign-in, if anything."""
        asked, self._scope = self._scope, allowed
        if asked.filters > self._limits.filters_max:
            code, problem = ErrorCode.TOO_MANY_FILTERS, "authenticate names too many clients and sites"
        elif not allowed.allows(asked):
            code, problem = ErrorCode.FORBIDDEN, "the token does not allow a client or site that authenticate names"
        else:
            self._scope = allowed.asking(asked)
            return []
        refusal = self._answers.forbidden(Action.SIGN_IN, problem, now, self._request_id, code)
        return [*refusal, self._close(CloseCode.FORBIDDEN, problem)]

    def _refreshed(self, identity: Bearer, now: float) -> list[Effect]:
        self._state = _State.OPEN
        before, asked = self._identity, self._request_id
        if before is None or (before.tenant_id, before.subject) != (identity.tenant_id, identity.subject):
            return self._answers.forbidden(Action.REFRESH, "the token is another bearer's", now, asked)
        self._identity, self._deadline = identity, identity.expires_at
        # What was asked for stays asked for, also where the new token does not allow it: then nothing of it is shown.
        scope = Scope.of(identity).asking(self._scope)
        changed = scope != self._scope or before.capabilities != identity.capabilities
        self._scope = scope
        return [
            self._answers.refreshed(identity, now, asked),
            # Announced, so that the client knows where the new view begins: the next `prev_seq` would look like a loss.
            *([Subscribe(identity, scope, request_id=asked, announce=True)] if changed else []),
            Audit(Action.REFRESH, allowed=True, reason=what_may(identity)),
        ]

    def _close(self, code: CloseCode, reason: str | None = None) -> Close:
        self._state = _State.CLOSED
        self._deadline = None
        return Close(code, reason or ADVICE[code].meaning)


def _head(raw: bytes) -> ClientHead | None:
    try:
        return decode_client_head(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
