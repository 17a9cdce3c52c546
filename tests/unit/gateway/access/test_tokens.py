"""Tokens: which are accepted, and what they say of their bearer.

Also of gateway/access/bearer.py.
"""

import asyncio
import base64
import hmac
import json
import re
import time
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.feed_samples import AUTH, SECRET

from common.errors import SettingsError
from common.settings.auth import AuthSettings
from contracts.messages import CloseCode
from gateway.access.bearer import AccessRefusedError, Bearer, Capability
from gateway.access.scope import Scope
from gateway.access.tokens import TokenVerifier, mint_token


def verify(token: str, auth: AuthSettings = AUTH) -> Bearer:
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
    return signed_text(json.dumps(claims(**other)))


def signed_text(payload: str, header: str = '{"alg":"HS256"}') -> str:
    """A good signature over a payload that no JSON library would write."""
    head, body = (base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in (header, payload))
    mac = hmac.new(SECRET.encode(), f"{head}.{body}".encode(), "sha256").digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


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
        {"aud": []},
        {"aud": ["somebody else", "and another"]},
        {"aud": ["watchfloor", 7]},
        {"aud": 7},
        {"iss": ["watchfloor"]},
        {"exp": str(int(time.time()) + 60)},
        {"exp": [int(time.time()) + 60]},
        {"exp": 1e999},
        {"iat": str(int(time.time()))},
        {"iat": True},
        {"nbf": str(int(time.time()) - 60)},
        {"nbf": 1e999},
        {"sub": ""},
        {"sub": "x" * 257},
        {"sub": 7},
        {"jti": 7},
        {"jti": ""},
        {"tenant_id": "1"},
        {"tenant_id": True},
        {"tenant_id": 1.0},
        {"tenant_id": 1.5},
        {"tenant_id": -1},
        {"tenant_id": 2**63},
        {"tenant_id": [1]},
        {"capabilities": "noc:view"},
        {"capabilities": ["noc:view", 7]},
        {"sites": ["3"]},
        {"sites": [True]},
        {"sites": [-3]},
        {"sites": [3.0]},
        {"sites": 3},
        {"clients": [True]},
        {"clients": {"2": 2}},
    ],
    ids="-".join,  # not the values: some are times, and every process that collects must see the same names
)
def test_a_claim_that_is_wrong_or_missing_is_not_authenticated(other: dict[str, Any]) -> None:
    assert refusal(signed(**other)).code is CloseCode.NOT_AUTHENTICATED


@pytest.mark.parametrize(
    "other", [{"tenant_id": ...}, {"tenant_id": None}, {"capabilities": []}, {"capabilities": ...}], ids=str
)
def test_without_a_tenant_or_noc_view_it_is_forbidden(other: dict[str, Any]) -> None:
    assert refusal(signed(**other)).code is CloseCode.FORBIDDEN


def test_one_of_several_audiences_is_enough() -> None:
    assert verify(signed(aud=["somebody else", "watchfloor"])).tenant_id == 1


def test_a_token_that_lives_too_long_is_refused() -> None:
    auth = AuthSettings(hs256_secret=SECRET, token_lifetime_s_max=3600)
    assert verify(signed(iat=int(time.time()) - 3500, exp=int(time.time()) + 100), auth).tenant_id == 1
    with pytest.raises(AccessRefusedError, match="lives longer than this gateway allows") as caught:
        verify(signed(exp=int(time.time()) + 3700), auth)
    assert caught.value.code is CloseCode.NOT_AUTHENTICATED
    with pytest.raises(SettingsError, match=r"at most 1 hours here \(auth.token_lifetime_s_max\)"):
        mint_token(auth, tenant_id=1, user="u", capabilities=[], lifetime_s=3601)


def test_what_a_revocation_needs_is_known_of_a_bearer() -> None:
    who = verify(signed(iat=int(time.time()) - 7, jti="one"))
    assert (time.time() - who.issued_at, who.token_id) == (pytest.approx(7, abs=2), "one")
    minted = [mint_token(AUTH, tenant_id=1, user="u", capabilities=["noc:view"]) for _ in range(2)]
    assert len({verify(token).token_id for token in minted}) == 2


def test_an_expired_token_says_so() -> None:
    assert refusal(mint_token(AUTH, tenant_id=1, user="u", capabilities=["noc:view"], lifetime_s=-60)).reason == (
        "the token has expired"
    )


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps(claims())[:-1] + ', "tenant_id": 2}',
        json.dumps(claims())[:-1] + ', "exp": 99999999999}',
        json.dumps(claims())[:-1] + ', "nested": {"a": 1, "a": 2}}',
        json.dumps(claims(tenant_id=float("nan"))),
        json.dumps(claims(exp=float("inf"))),
        json.dumps(claims(something=float("nan"))),
        json.dumps([claims()]),
        '"ops"',
        "[" * 5_000,
        '{"tenant_id": ' + "9" * 5_000 + "}",
        "",
    ],
    ids=lambda payload: re.sub(r"\d{6,}", "time", payload)[-30:],  # the same names in every process that collects
)
def test_a_good_signature_does_not_help_a_bad_payload(payload: str) -> None:
    assert refusal(signed_text(payload)).code is CloseCode.NOT_AUTHENTICATED


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"HS256","alg":"none"}',
        '{"alg":"HS256","b64":false,"crit":["b64"]}',
        '{"alg":"HS256","crit":["something"]}',
        '{"alg":["HS256"]}',
        '{"alg":"hs256"}',
        '["HS256"]',
        "{" * 5_000,
    ],
)
def test_a_header_that_is_unusual_is_refused(header: str) -> None:
    assert refusal(signed_text(json.dumps(claims()), header)).code is CloseCode.NOT_AUTHENTICATED


def test_a_huge_token_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    token = signed(padding="x" * AUTH.token_bytes_max)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a signature was computed")

    monkeypatch.setattr(jwt, "decode", never)
    assert refusal(token).reason == "a token has at most 16384 characters"


@settings(deadline=None)  # each runs an event loop of its own
@given(st.one_of(st.text(), st.text("abcdefgh._-=", max_size=200), st.binary().map(lambda raw: raw.decode("latin1"))))
def test_no_text_signs_in_or_breaks_the_verifier(token: str) -> None:
    assert refusal(token).code is CloseCode.NOT_AUTHENTICATED


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["sub", "tenant_id", "capabilities", "clients", "sites", "exp", "iat", "nbf", "jti", "aud", "iss"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=4,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_whatever_the_claims_say_there_is_an_identity_of_numbers_or_a_refusal(strange: dict[str, Any]) -> None:
    try:
        who = verify(signed(**strange))
    except AccessRefusedError:  # and nothing else may be raised
        return
    asked = claims(**strange)
    assert type(who.tenant_id) is int
    assert (who.tenant_id, who.subject) == (asked["tenant_id"], asked["sub"])
    assert all(type(number) is int and number >= 0 for limit in (who.clients, who.sites) for number in limit or ())
    assert time.time() < who.expires_at <= time.time() + AUTH.token_lifetime_s_max + AUTH.clock_skew_s


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


def test_those_who_may_do_the_same_share_one_set() -> None:
    first = verify(signed(capabilities=["noc:view", "noc:view_pii"]))
    second = verify(signed(capabilities=["noc:view_pii", "noc:view"], sub="another"))

    assert first.capabilities is second.capabilities
    assert first.capabilities == {"noc:view", "noc:view_pii"}


_odd = st.sampled_from(
    ["\ud800", "a\udfff", "\u202eops", "op\u2066s", "ops\u200f", "ops\n", "\x00", "\x7f", "a\u2028b", "x" * 257, ""]
)
_names = st.sampled_from(["sub", "jti"])


@given(_names, _odd)
def test_names_that_cannot_be_written_or_shown_are_refused(name: str, value: str) -> None:
    assert refusal(signed(**{name: value})).code is CloseCode.NOT_AUTHENTICATED
    assert refusal(signed(capabilities=["noc:view", value])).code is CloseCode.NOT_AUTHENTICATED


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=5)
    | _odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(
        [
            "sub",
            "jti",
            "tenant_id",
            "capabilities",
            "clients",
            "sites",
            "iat",
            "exp",
            "nbf",
            "aud",
            "iss",
            "name",
            "sid",
        ]
    ),
    _json | st.sampled_from([10**400, -(10**400), 2**63, 1e308]),
)
@settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_whatever_a_claim_holds_the_answer_is_a_bearer_or_a_refusal(name: str, value: Any) -> None:
    try:
        who = verify(signed(**{name: value}))
    except AccessRefusedError:
        return
    for text in (who.subject, who.token_id or "", *who.capabilities):
        text.encode()


def with_claim(claim: str) -> str:
    return f"{json.dumps(claims(**{json.loads(f'[{claim.partition(chr(58))[0]}]')[0]: ...}))[:-1]}, {claim}}}"


@pytest.mark.parametrize(
    "claim", ['"name": "\\ud800"', '"x": {"y": ["\\udc00"]}', '"\\ud800": 1', '"sid": "\\ud800\\ud800"']
)
def test_a_lone_surrogate_in_any_claim_is_refused(claim: str) -> None:
    assert refusal(signed_text(with_claim(claim))).reason == "the token is not valid (its JSON)"


@pytest.mark.parametrize(
    "claim", ['"iat": 1e400', '"iat": -1e400', '"exp": 1e400', '"nbf": 1e400', '"iat": 1' + "0" * 5000]
)
def test_a_number_beyond_all_numbers_is_refused(claim: str) -> None:
    assert refusal(signed_text(with_claim(claim))).code is CloseCode.NOT_AUTHENTICATED
