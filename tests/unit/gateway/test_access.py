import asyncio
import base64
import json
import time
from typing import Any

import jwt
import pytest
from unit.gateway.gateway_values import AUTH, SECRET

from contracts.messages import CloseCode
from gateway.access import AccessRefusedError, Capability, Identity, TokenVerifier, mint_token
from gateway.scope import Scope
from watchfloor.errors import SettingsError
from watchfloor.settings import AuthSettings


def verify(token: str, auth: AuthSettings = AUTH) -> Identity:
    return asyncio.run(TokenVerifier(auth).verify(token))


def refusal(token: str) -> AccessRefusedError:
    with pytest.raises(AccessRefusedError) as caught:
        verify(token)
    return caught.value


def claims(**other: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {
        "sub": "ops",
        "tenant_id": 1,
        "capabilities": ["noc:view"],
        "iss": "watchfloor",
        "aud": "watchfloor",
        "iat": now,
        "exp": now + 60,
    }
    return {name: value for name, value in (good | other).items() if value is not ...}


def signed(**other: Any) -> str:
    return jwt.encode(claims(**other), SECRET, algorithm="HS256")


def test_a_minted_token_signs_in() -> None:
    token = mint_token(
        AUTH,
        tenant_id=4,
        user="ops",
        capabilities=["noc:view", "noc:view_pii"],
        clients=[1, 2],
        sites=[7],
        lifetime_s=60,
    )
    who = verify(token)
    assert (who.subject, who.tenant_id, who.clients, who.sites) == ("ops", 4, frozenset({1, 2}), frozenset({7}))
    assert who.may(Capability.VIEW_PII)
    assert not who.may(Capability.ACK_ALERTS)
    assert who.expires_at == pytest.approx(time.time() + 60 + AUTH.clock_skew_s, abs=2)


PLACES = [(client, site) for client in (1, 2) for site in (1, 2)] + [(None, None), (1, None), (None, 1)]


@pytest.mark.parametrize(
    ("limits", "seen"),
    [
        ({}, []),
        ({"clients": None, "sites": None}, []),
        ({"clients": []}, []),
        ({"sites": []}, []),
        ({"clients": [1]}, [(1, 1), (1, 2), (1, None)]),
        ({"sites": [1]}, [(1, 1), (2, 1), (None, 1)]),
        ({"clients": [1], "sites": [2]}, [(1, 2)]),
        ({"clients": [], "sites": [1]}, []),
        ({"clients": [1], "sites": []}, []),
    ],
    ids=str,
)
def test_without_view_all_clients_only_what_is_named_is_seen(
    limits: dict[str, Any], seen: list[tuple[int | None, int | None]]
) -> None:
    scope = Scope.of(verify(signed(**limits)))
    assert not scope.everything
    assert [place for place in PLACES if scope.shows(*place)] == seen


@pytest.mark.parametrize("clients", [..., [], [2]], ids=str)
def test_view_all_clients_lifts_the_limit_of_clients_and_leaves_that_of_sites(clients: Any) -> None:
    everything = ["noc:view", "noc:view_all_clients"]
    assert Scope.of(verify(signed(capabilities=everything, clients=clients))).everything
    scope = Scope.of(verify(signed(capabilities=everything, clients=clients, sites=[1])))
    assert [place for place in PLACES if scope.shows(*place)] == [(1, 1), (2, 1), (None, 1)]


@pytest.mark.parametrize(
    "other",
    [
        {"aud": "somebody else"},
        {"aud": ...},
        {"iss": "somebody else"},
        {"iss": ...},
        {"exp": 1},
        {"exp": ...},
        {"iat": ...},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"sub": ...},
        {"tenant_id": "1"},
        {"tenant_id": True},
        {"capabilities": "noc:view"},
        {"sites": ["3"]},
    ],
    ids=str,
)
def test_a_claim_that_is_wrong_or_missing_is_not_authenticated(other: dict[str, Any]) -> None:
    assert refusal(signed(**other)).code is CloseCode.NOT_AUTHENTICATED


@pytest.mark.parametrize(
    "other", [{"tenant_id": ...}, {"tenant_id": None}, {"capabilities": []}, {"capabilities": ...}], ids=str
)
def test_without_a_tenant_or_noc_view_it_is_forbidden(other: dict[str, Any]) -> None:
    assert refusal(signed(**other)).code is CloseCode.FORBIDDEN


def test_an_expired_token_says_so() -> None:
    assert refusal(mint_token(AUTH, tenant_id=1, user="u", capabilities=["noc:view"], lifetime_s=-60)).reason == (
        "the token has expired"
    )


def _unsigned(algorithm: str) -> str:
    parts = ({"alg": algorithm, "typ": "JWT"}, claims())
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{head}.{body}."


@pytest.mark.parametrize(
    "token",
    [
        _unsigned("none"),
        _unsigned("None"),
        _unsigned("HS256"),
        jwt.encode(claims(), SECRET, algorithm="HS512"),
        jwt.encode(claims(), "another secret that is long enough", algorithm="HS256"),
        "",
        "a.b.c",
        "ü",
        "x" * 10_000,
    ],
)
def test_a_forged_token_is_not_authenticated(token: str) -> None:
    assert refusal(token).code is CloseCode.NOT_AUTHENTICATED


def test_a_refusal_never_holds_the_token() -> None:
    for token in (signed(exp=1), "a.b.c", signed(aud="x")):
        assert token not in refusal(token).reason


@pytest.mark.parametrize("secret", [None, "short"])
def test_a_gateway_without_a_good_secret_does_not_start(secret: str | None) -> None:
    with pytest.raises(SettingsError, match="hs256_secret"):
        TokenVerifier(AuthSettings(hs256_secret=secret))


def test_a_production_gateway_without_keys_does_not_start() -> None:
    with pytest.raises(SettingsError, match="jwks_url"):
        TokenVerifier(AuthSettings(algorithm="RS256"))


def test_production_tokens_are_not_minted_here() -> None:
    with pytest.raises(SettingsError, match="identity provider"):
        mint_token(AuthSettings(algorithm="ES256"), tenant_id=1, user="u", capabilities=[])
