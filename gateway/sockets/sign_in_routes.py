"""What the gateway replies to a POST: a one-time code for a token, the token for a code, and the end of a session.

Tokens and codes are in the header `Authorization`, never in an address. Knows no WebSocket library.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from common.settings.gateway import SignInSettings
from contracts.messages import CloseCode
from gateway.access.bearer import AccessRefusedError, Bearer
from gateway.access.revocation import RevocationView
from gateway.access.sign_in_codes import SignInCodes
from gateway.access.tokens import TokenVerifier
from gateway.delivery.audit import Actor, AuditTrail
from gateway.session.effects import Action, Audit
from gateway.sockets.http_routes import HttpReply, text

CODES_PATH = "/api/noc/sign-in-codes"
SIGN_IN_PATH = "/api/noc/sign-in"
SIGN_OUT_PATH = "/api/noc/sign-out"
PATHS = frozenset({CODES_PATH, SIGN_IN_PATH, SIGN_OUT_PATH})
_NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class SignInRoutes:
    """Replies to the requests that sign somebody in or out."""

    limits: SignInSettings
    verifier: TokenVerifier
    revocations: RevocationView
    codes: SignInCodes
    audit: AuditTrail
    clock: Callable[[], float]
    """Seconds since 1970."""

    async def reply(self, path: str, authorization: str, peer: str) -> HttpReply:
        """The reply to a POST.

        Args:
            path: one of `PATHS`.
            authorization: the header.
            peer: the client's address, for the audit trail.
        """
        scheme, _, credential = authorization.strip().partition(" ")
        if path == SIGN_IN_PATH:
            return self._redeem(credential.strip() if scheme.lower() == "code" else "", peer)
        action = Action.SIGN_IN_CODE if path == CODES_PATH else Action.SIGN_OUT
        try:
            token = credential.strip() if scheme.lower() == "bearer" else ""
            bearer = await self.verifier.verify(token)
            self.revocations.check(bearer)
        except AccessRefusedError as refused:
            self._note(action, peer, None, refused.reason)
            wrong = refused.code is CloseCode.FORBIDDEN
            return text(HTTPStatus.FORBIDDEN if wrong else HTTPStatus.UNAUTHORIZED, refused.reason, _NO_STORE)
        self._note(action, peer, bearer)
        if action is Action.SIGN_OUT:
            self.revocations.sign_out(bearer)
            return HttpReply(HTTPStatus.NO_CONTENT, "text/plain; charset=utf-8", b"", _NO_STORE)
        code = self.codes.issue(token, bearer, self.clock())
        if code is None:
            return text(HTTPStatus.SERVICE_UNAVAILABLE, "there are too many codes now", {"Retry-After": "60"})
        return _json(HTTPStatus.CREATED, code=code, expires_in_s=self.limits.code_lifetime_s)

    def _redeem(self, code: str, peer: str) -> HttpReply:
        token = self.codes.redeem(code, self.clock())
        if token is None:
            reason = "the code of the link was used, has expired or is unknown"
            self._note(Action.SIGN_IN_CODE, peer, None, reason)
            return text(HTTPStatus.UNAUTHORIZED, reason, _NO_STORE)
        return _json(HTTPStatus.OK, token=token)

    def _note(self, action: Action, peer: str, bearer: Bearer | None, reason: str = "") -> None:
        who = Actor(
            peer=peer or None,
            tenant_id=bearer.tenant_id if bearer else None,
            subject=bearer.subject if bearer else None,
        )
        self.audit.note(Audit(action, allowed=bearer is not None, reason=reason), who, self.clock())


def _json(status: HTTPStatus, **body: Any) -> HttpReply:
    return HttpReply(status, "application/json", json.dumps(body).encode(), _NO_STORE)
