import asyncio
import json
from http import HTTPStatus

import pytest
from support.feed_samples import AUTH, NOW

from common.settings.gateway import ConnectionSettings, SignInSettings
from common.settings.load import Settings
from contracts.audit import AuditRecord
from contracts.revocations import decode_key
from gateway.access.admission import ConnectionCounts
from gateway.access.revocation import RevocationRecord, RevocationView
from gateway.access.sign_in_codes import SignInCodes
from gateway.access.signed_in import SignedIn
from gateway.access.tokens import TokenVerifier, mint_token
from gateway.delivery.audit import AuditTrail
from gateway.metrics import GatewayMetrics
from gateway.sockets.http_routes import HttpReply
from gateway.sockets.sign_in_routes import CODES_PATH, SIGN_IN_PATH, SIGN_OUT_PATH, SignInRoutes


class Desk:
    def __init__(self) -> None:
        metrics, limits = GatewayMetrics(), SignInSettings(codes_max=2)
        self.trail: list[AuditRecord] = []
        self.revoked: list[RevocationRecord] = []
        signed_in = SignedIn(ConnectionCounts(ConnectionSettings()), metrics)
        revocations = RevocationView(Settings(auth=AUTH), signed_in, metrics, publish=self.revoked.append)
        audit = AuditTrail("g", self.trail.append, window_s=60, kinds_max=9)
        self.routes = SignInRoutes(limits, TokenVerifier(AUTH), revocations, SignInCodes(limits), audit, lambda: NOW)

    def post(self, path: str, authorization: str) -> HttpReply:
        return asyncio.run(self.routes.reply(path, authorization, "10.0.0.1"))

    def trailed(self) -> list[tuple[str, bool]]:
        return [(record.action, record.allowed) for record in self.trail]


def token(user: str = "ops", *capabilities: str) -> str:
    return mint_token(AUTH, tenant_id=1, user=user, capabilities=capabilities or ("noc:view",), lifetime_s=600)


def test_a_token_gives_a_code_and_the_code_gives_the_token_once() -> None:
    desk, mine = Desk(), token()
    answer = desk.post(CODES_PATH, f"Bearer {mine}")
    assert (answer.status, answer.headers["Cache-Control"]) == (HTTPStatus.CREATED, "no-store")
    code = json.loads(answer.body)["code"]
    assert mine not in code
    answer = desk.post(SIGN_IN_PATH, f"Code {code}")
    assert (answer.status, json.loads(answer.body)) == (HTTPStatus.OK, {"token": mine})
    answer = desk.post(SIGN_IN_PATH, f"Code {code}")
    assert answer.status is HTTPStatus.UNAUTHORIZED
    assert code not in answer.body.decode()
    assert desk.trailed() == [("sign_in_code", True), ("sign_in_code", False)]


def test_signing_out_ends_that_token_here_and_everywhere() -> None:
    desk, mine, other = Desk(), token(), token()
    assert desk.post(SIGN_OUT_PATH, f"Bearer {mine}").status is HTTPStatus.NO_CONTENT
    answer = desk.post(CODES_PATH, f"Bearer {mine}")
    assert (answer.status, answer.body) == (HTTPStatus.UNAUTHORIZED, b"the token was revoked\n")
    assert desk.post(CODES_PATH, f"Bearer {other}").status is HTTPStatus.CREATED
    (record,) = desk.revoked
    assert decode_key(record.key_bytes) == record.key
    assert ("sign_out", True) in desk.trailed()


@pytest.mark.parametrize("path", [CODES_PATH, SIGN_IN_PATH, SIGN_OUT_PATH])
@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x.y.z", "Code", "Code x", "Basic b3BzOng=", "\ud800", "Bearer " + "x" * 100_000]
)
def test_what_is_no_credential_is_refused(path: str, header: str) -> None:
    desk = Desk()
    assert desk.post(path, header).status is HTTPStatus.UNAUTHORIZED
    assert not any(allowed for _, allowed in desk.trailed())


def test_too_many_codes_are_refused() -> None:
    desk = Desk()
    answers = [desk.post(CODES_PATH, f"Bearer {token(f'user {number}')}") for number in range(3)]
    assert [answer.status for answer in answers] == [201, 201, 503]
    assert desk.post(CODES_PATH, f"Bearer {token('ops', 'noc:view_pii')}").status is HTTPStatus.FORBIDDEN
