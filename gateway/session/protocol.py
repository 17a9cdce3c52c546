"""One connection as a state machine without I/O: messages and clock values in, effects out.

Owns sign-in, the message rate, the subscription and the answers. Never touches a socket, verifies no
token and reads no clock: the shell carries out the effects in order and reports what came of them.
"""

from collections.abc import Callable
from contextlib import suppress
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
from gateway.access.admission import SlidingMinute
from gateway.access.bearer import Bearer
from gateway.access.scope import Scope
from gateway.session.effects import (
    Action,
    Audit,
    Close,
    Effect,
    NoteReceived,
    NoteSeen,
    OptionalRequestId,
    Rewind,
    Subscribe,
    Verify,
)
from gateway.session.replies import Facts, Replies, allowed_actions

UNKNOWN_TYPE = "unknown"
_REFUSALS = {CloseCode.FORBIDDEN: ErrorCode.FORBIDDEN, CloseCode.TRY_AGAIN_LATER: ErrorCode.TOO_MANY_CONNECTIONS}


class _State(Enum):
    WAITING = auto()
    VERIFYING = auto()
    OPEN = auto()
    REFRESHING = auto()
    CLOSED = auto()


class Session:
    """The protocol of one connection. Every `now` is seconds since 1970.

    Args:
        new_id: makes correlation ids.
        now: when the connection was opened.
    """

    __slots__ = (
        "_limits",
        "_minute",
        "_replies",
        "_request_id",
        "_resume",
        "_scope",
        "_state",
        "bearer",
        "deadline",
        "last_type",
    )

    def __init__(self, limits: SessionSettings, facts: Facts, *, new_id: Callable[[], str], now: float) -> None:
        self._limits = limits
        self._replies = Replies(facts, new_id)
        self._minute = SlidingMinute(limits.messages_per_minute_max)
        self._state = _State.WAITING
        self._request_id: OptionalRequestId = UNSET
        self._scope = Scope()
        self._resume: ResumePosition | None = None
        """Asked for at sign-in."""
        self.deadline: float | None = now + limits.authenticate_timeout_s
        """When `timeout` is to be called; None once closed."""
        self.bearer: Bearer | None = None
        """Who signed in; None before."""
        self.last_type = UNKNOWN_TYPE
        """The type of the last message that was taken."""

    @property
    def closed(self) -> bool:
        """Whether a `Close` was given; then nothing has an effect any more."""
        return self._state is _State.CLOSED

    def open(self, token: str | None) -> list[Effect]:
        """The connection is open; `token` came with its subprotocols."""
        return [] if token is None else self._verify(token)

    def receive(self, data: str | bytes, now: float) -> list[Effect]:
        """One message of the client, text or binary."""
        if self._state is _State.CLOSED:
            return []
        raw = data.encode() if isinstance(data, str) else data
        if refused := self._over_a_limit(raw, now):
            return refused
        head = _head(raw) if isinstance(data, str) else None
        self.last_type = head.type if head is not None and head.type in CLIENT_TYPES else UNKNOWN_TYPE
        if self.bearer is None:
            return self._before_sign_in(head, raw, now)
        if head is None:
            problem = "a message is a text frame with one JSON object and its type"
            return self._replies.error(ErrorCode.MALFORMED, problem, now)
        return self._signed_in(head, raw, self.bearer, now)

    def admitted(self, bearer: Bearer, now: float) -> list[Effect]:
        """The token was accepted. The session ends when the token does."""
        if self._state is _State.REFRESHING:
            return self._refreshed(bearer, now)
        if self._state is not _State.VERIFYING:
            return []
        self.bearer = bearer
        if refused := self._take_filters(Scope.of(bearer), now):
            return refused
        self._state = _State.OPEN
        self.deadline = bearer.expires_at
        resume, self._resume = self._resume, None
        return [
            Audit(Action.SIGN_IN, allowed=True, reason=allowed_actions(bearer)),  # first: nobody is let in unrecorded
            self._replies.established(bearer, now, self._request_id),
            Subscribe(bearer, self._scope, resume, self._request_id),
        ]

    def refused(self, code: CloseCode, reason: str, now: float) -> list[Effect]:
        """The token was not accepted. One that was to refresh the connection leaves it as it is."""
        if self._state is _State.REFRESHING:
            self._state = _State.OPEN
            return self._replies.forbidden(Action.REFRESH, reason, now, self._request_id, ErrorCode.NOT_AUTHENTICATED)
        if self._state is not _State.VERIFYING:
            return []
        kind = _REFUSALS.get(code, ErrorCode.NOT_AUTHENTICATED)
        return [
            *self._replies.forbidden(Action.SIGN_IN, reason, now, self._request_id, kind),
            self._close(code, reason),
        ]

    def revoked(self, reason: str) -> list[Effect]:
        """The token is not accepted any more: the connection is closed."""
        if self._state is _State.CLOSED:
            return []
        return [Audit(Action.REVOKE, allowed=False, reason=reason), self._close(CloseCode.NOT_AUTHENTICATED, reason)]

    def timeout(self, now: float) -> list[Effect]:
        """The deadline may have come; an early call has no effect."""
        if self.deadline is None or now < self.deadline:
            return []
        if self._state in {_State.OPEN, _State.REFRESHING}:
            return [self._close(CloseCode.NOT_AUTHENTICATED, "the token has expired")]
        return [self._close(CloseCode.AUTHENTICATION_LATE)]

    def _over_a_limit(self, raw: bytes, now: float) -> list[Effect]:
        if not self._minute.take(now):
            problem = f"a connection sends at most {self._limits.messages_per_minute_max} messages a minute"
            return [
                *self._replies.forbidden(Action.FLOOD, problem, now, code=ErrorCode.TOO_MANY),
                self._close(CloseCode.TOO_MANY),
            ]
        if len(raw) > self._limits.message_bytes_max:
            problem = f"a message has at most {self._limits.message_bytes_max} bytes"
            return [*self._replies.error(ErrorCode.TOO_LARGE, problem, now), self._close(CloseCode.TOO_LARGE)]
        return []

    def _before_sign_in(self, head: ClientHead | None, raw: bytes, now: float) -> list[Effect]:
        request_id = UNSET if head is None else head.request_id
        if head is not None and head.type == "authenticate":
            with suppress(msgspec.ValidationError):  # its text may quote the token
                message = decode_client_message(raw)
                if isinstance(message, Authenticate):
                    self._request_id = request_id
                    self._resume = None if message.resume is UNSET else message.resume
                    clients, sites = frozenset(message.client_ids), frozenset(message.site_ids)
                    self._scope = Scope(wanted_clients=clients, wanted_sites=sites)
                    return self._verify(message.token)
        problem = "the first message is authenticate with a token"
        return [
            *self._replies.error(ErrorCode.NOT_AUTHENTICATED, problem, now, request_id),
            self._close(CloseCode.NOT_AUTHENTICATED, problem),
        ]

    def _verify(self, token: str) -> list[Effect]:
        self._state = _State.VERIFYING
        return [Verify(token)]

    def _signed_in(self, head: ClientHead, raw: bytes, bearer: Bearer, now: float) -> list[Effect]:
        if head.type not in CLIENT_TYPES:
            problem = "this gateway does not know the message's type"
            return self._replies.error(ErrorCode.UNKNOWN_TYPE, problem, now, head.request_id)
        try:
            message = decode_client_message(raw)
        except msgspec.ValidationError as error:
            return self._replies.error(ErrorCode.INVALID, str(error), now, head.request_id)
        return self._answer(message, bearer, now)

    def _answer(self, message: ClientMessage, bearer: Bearer, now: float) -> list[Effect]:
        request_id = message.request_id
        effects: list[Effect]
        match message:
            case Ping() | ClientHeartbeat():
                effects = [self._replies.pong(now, request_id)]
            case GetStats():
                effects = [self._replies.stats(bearer, now, request_id)]
            case Authenticate():
                problem = "this connection is signed in already"
                effects = self._replies.error(ErrorCode.INVALID, problem, now, request_id)
            case SubscribeClient() | SubscribeSite() | Unsubscribe():
                effects = self._resubscribe(message, bearer, now)
            case Resume(epoch=epoch, seq=seq):
                effects = [Rewind(ResumePosition(epoch, seq), request_id)]
            case Refresh(token=token):
                self._state, self._request_id = _State.REFRESHING, request_id
                effects = [Verify(token)]
            case Received(seq=seq):
                effects = [NoteReceived(seq)]
            case Seen(ids=ids):
                effects = [NoteSeen(tuple(ids))]
        return effects

    def _resubscribe(
        self, message: SubscribeClient | SubscribeSite | Unsubscribe, bearer: Bearer, now: float
    ) -> list[Effect]:
        request_id = message.request_id
        match message:
            case SubscribeClient(client_id=client_id):
                allowed, scope = self._scope.allows_client(client_id), self._scope.with_client(client_id)
            case SubscribeSite(site_id=site_id):
                allowed, scope = self._scope.allows_site(site_id), self._scope.with_site(site_id)
            case Unsubscribe():
                allowed, scope = True, self._scope.widened()
        if not allowed:
            problem = "the token does not allow this client or site"
            return self._replies.forbidden(Action.SUBSCRIBE, problem, now, request_id)
        if scope.filters > self._limits.filters_max:
            problem = f"a connection names at most {self._limits.filters_max} clients and sites"
            return self._replies.error(ErrorCode.TOO_MANY_FILTERS, problem, now, request_id)
        self._scope = scope
        return [Subscribe(bearer, scope, request_id=request_id, announce=True)]

    def _take_filters(self, allowed: Scope, now: float) -> list[Effect]:
        """Narrow the first subscription as `authenticate` asked for; what refuses the whole sign-in, if anything."""
        wanted, self._scope = self._scope, allowed
        if wanted.filters > self._limits.filters_max:
            code, problem = ErrorCode.TOO_MANY_FILTERS, "authenticate names too many clients and sites"
        elif not allowed.allows(wanted):
            code, problem = ErrorCode.FORBIDDEN, "the token does not allow a client or site that authenticate names"
        else:
            self._scope = allowed.narrowed_to(wanted)
            return []
        refusal = self._replies.forbidden(Action.SIGN_IN, problem, now, self._request_id, code)
        return [*refusal, self._close(CloseCode.FORBIDDEN, problem)]

    def _refreshed(self, bearer: Bearer, now: float) -> list[Effect]:
        self._state = _State.OPEN
        before, request_id = self.bearer, self._request_id
        if before is None or (before.tenant_id, before.subject) != (bearer.tenant_id, bearer.subject):
            return self._replies.forbidden(Action.REFRESH, "the token is another bearer's", now, request_id)
        self.bearer, self.deadline = bearer, bearer.expires_at
        # The filters stay as they are, also where the new token does not allow them: then nothing of them is shown.
        scope = Scope.of(bearer).narrowed_to(self._scope)
        changed = scope != self._scope or before.capabilities != bearer.capabilities
        self._scope = scope
        return [
            Audit(Action.REFRESH, allowed=True, reason=allowed_actions(bearer)),
            self._replies.refreshed(bearer, now, request_id),
            # Announced, so that the client knows where the new view begins: the next `prev_seq` would look like a loss.
            *([Subscribe(bearer, scope, request_id=request_id, announce=True)] if changed else []),
        ]

    def _close(self, code: CloseCode, reason: str | None = None) -> Close:
        self._state = _State.CLOSED
        self.deadline = None
        return Close(code, reason or ADVICE[code].meaning)


def _head(raw: bytes) -> ClientHead | None:
    try:
        return decode_client_head(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
