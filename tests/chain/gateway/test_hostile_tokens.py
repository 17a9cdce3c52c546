"""Tokens that somebody forged, borrowed or bent: refused with the contract's code, and never in a log."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.attacked_gateway import TunedGateway, unharmed
from support.feed_samples import anomaly
from support.gateway_process import AUTH, SECRET, FeedWriter, GatewayProcess
from support.waiting import until

Json = dict[str, Any]
KID = "the only key"


@pytest.fixture(autouse=True)
def serves_on(gateway: GatewayProcess) -> Iterator[None]:
    with unharmed(gateway):
        yield


def claims(**changes: Any) -> Json:
    now = int(time.time())
    content: Json = {
        "sub": "tester", "tenant_id": 1, "capabilities": ["noc:view", "noc:view_all_clients"], "iss": AUTH.issuer,
        "aud": AUTH.audience, "iat": now, "exp": now + 600,
    } | changes  # fmt: skip
    return {name: value for name, value in content.items() if value is not ...}


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def by_hand(header: Json, body: Json, key: bytes = b"", digest: str = "sha256") -> str:
    """A token that no library would make."""
    start = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(body).encode())}"
    return f"{start}.{b64(hmac.new(key, start.encode(), digest).digest()) if key else ''}"


def refused(gateway: GatewayProcess, token: str) -> int | None:
    """The close code, and that neither the token nor its signature got into the log."""
    with gateway.connect() as client:
        client.say(type="authenticate", token=token)
        error = client.hear()
        assert error["type"] == "error", "the token was taken"
        code = client.close_code()
    words = gateway.words()
    signature = token.rsplit(".", 1)[-1]
    assert len(token) < 20 or token not in words
    assert len(signature) < 20 or signature not in words
    assert error["correlation_id"] in words
    return code


def accepted(gateway: GatewayProcess, token: str) -> Json:
    with gateway.connect() as client:
        client.say(type="authenticate", token=token)
        answer = client.hear()
        assert answer["type"] == "connection_established", answer
        return answer


def test_a_token_made_by_hand_opens_the_door_where_it_is_right(gateway: GatewayProcess) -> None:
    """Without this every refusal below could be that of a badly made token."""
    assert accepted(gateway, by_hand({"alg": "HS256", "typ": "JWT"}, claims(), SECRET.encode()))["tenant_id"] == 1


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "HS256\x00", "hs256", None, 7, ["HS256"], {}])
@pytest.mark.parametrize("key", [b"", SECRET.encode()], ids=["unsigned", "signed"])
def test_alg_none_and_its_spellings_are_4401(gateway: GatewayProcess, alg: Any, key: bytes) -> None:
    assert refused(gateway, by_hand({"alg": alg, "typ": "JWT"}, claims(), key)) == 4401


@pytest.mark.parametrize(("alg", "digest"), [("HS384", "sha384"), ("HS512", "sha512")])
def test_another_algorithm_with_the_right_secret_is_4401(gateway: GatewayProcess, alg: str, digest: str) -> None:
    assert refused(gateway, by_hand({"alg": alg, "typ": "JWT"}, claims(), SECRET.encode(), digest)) == 4401


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256", "jwk": {"kty": "oct", "k": b64(b"k" * 32)}},
        {"alg": "HS256", "jku": "http://127.0.0.1:9/keys"},
        {"alg": "HS256", "kid": "../../../../dev/null"},
        {"alg": "HS256", "x5u": "http://127.0.0.1:9/cert"},
        {"alg": "HS256", "crit": ["exp"]},
    ],
    ids=lambda header: str(max(header)),
)
def test_a_key_that_the_token_brings_along_is_not_used(gateway: GatewayProcess, header: Json) -> None:
    assert refused(gateway, by_hand(header, claims(), b"k" * 32)) == 4401


def test_a_changed_token_is_4401(gateway: GatewayProcess) -> None:
    head, body, signature = gateway.token(1).split(".")
    other = gateway.token(2).split(".")
    assert refused(gateway, f"{head}.{other[1]}.{signature}") == 4401
    assert refused(gateway, f"{head}.{body}.{other[2]}") == 4401
    assert refused(gateway, f"{head}.{body}.") == 4401
    assert refused(gateway, f"{head}.{body}") == 4401


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "somebody else"}, 4401),
        ({"iss": ...}, 4401),
        ({"iss": ["watchfloor"]}, 4401),
        ({"iss": "watchfloor "}, 4401),
        ({"aud": "another service"}, 4401),
        ({"aud": ...}, 4401),
        ({"aud": ["another", "third"]}, 4401),
        ({"aud": "Watchfloor"}, 4401),
        ({"exp": ...}, 4401),
        ({"exp": 0}, 4401),
        ({"exp": "soon"}, 4401),
        ({"exp": None}, 4401),
        ({"exp": 10**12}, 4401),
        ({"exp": 10**30}, 4401),
        ({"exp": 1e308}, 4401),
        ({"iat": ...}, 4401),
        ({"iat": "x"}, 4401),
        ({"nbf": 4_000_000_000}, 4401),
        ({"sub": ...}, 4401),
        ({"sub": 7}, 4401),
        ({"tenant_id": ...}, 4403),
        ({"tenant_id": None}, 4403),
        ({"tenant_id": "1"}, 4401),
        ({"tenant_id": 1.5}, 4401),
        ({"tenant_id": True}, 4401),
        ({"tenant_id": [1]}, 4401),
        ({"capabilities": ...}, 4403),
        ({"capabilities": []}, 4403),
        ({"capabilities": "noc:view"}, 4401),
        ({"capabilities": ["NOC:VIEW", "noc:view ", "noc:*", "*"]}, 4403),
        ({"capabilities": {"noc:view": True}}, 4401),
        ({"clients": "1"}, 4401),
        ({"clients": ["1"]}, 4401),
        ({"sites": 3}, 4401),
    ],
    ids=str,
)
def test_claims_that_do_not_fit_are_refused(gateway: GatewayProcess, changes: Json, code: int) -> None:
    token = by_hand({"alg": "HS256", "typ": "JWT"}, claims(**changes), SECRET.encode())
    assert refused(gateway, token) == code


@pytest.mark.parametrize("token", ["a" * 60_000, ".", "..", "....", "eyJ.eyJ.eyJ", "\u0000", "ключ", "a.b.c" * 1_000])
def test_what_is_no_token_is_4401(gateway: GatewayProcess, token: str) -> None:
    assert refused(gateway, token) == 4401


def test_a_token_of_another_tenant_shows_that_tenant_and_no_other(gateway: GatewayProcess, feed: FeedWriter) -> None:
    """A bearer cannot name a tenant beside the token: not in a message, not by a filter."""
    mine, other = 7_001, 7_002
    feed.write(anomaly(other, 1), anomaly(mine, 1))
    with gateway.connect() as client:
        until(lambda: gateway.metric("watchfloor_gateway_feed_lag_records") == 0, "the gateway has read the feed")
        client.say(
            type="authenticate",
            token=gateway.token(mine, "noc:view", "noc:view_all_clients", "noc:view_pii"),
            tenant_id=other,
        )
        established = client.hear()
        assert established["tenant_id"] == mine
        client.say(type="subscribe_client", client_id=2, tenant_id=other)
        assert client.hear()["type"] == "subscribed"
        feed.write(anomaly(other, 2, person_name="Olga Planted"), anomaly(mine, 2))
        heard = client.hear_all()
        assert [message["seq"] for message in heard] == [2]
        assert "Planted" not in json.dumps(heard)


# --- a key set of an identity provider ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def rs256(
    feed: FeedWriter, key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    keys = json.dumps({"keys": [public | {"kid": KID, "use": "sig", "alg": "RS256"}]}).encode()

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(keys)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as provider:
        threading.Thread(target=provider.serve_forever, daemon=True).start()
        auth = {"algorithm": '"RS256"', "jwks_url": f'"http://127.0.0.1:{provider.server_port}/keys"'}
        with TunedGateway(feed, tmp_path_factory.mktemp("rs256"), {"auth": auth}) as running:
            yield running
        provider.shutdown()


def test_the_provider_s_key_opens_the_door(rs256: GatewayProcess, key: rsa.RSAPrivateKey) -> None:
    assert accepted(rs256, jwt.encode(claims(), key, "RS256", {"kid": KID}))["tenant_id"] == 1


def test_the_public_key_is_no_secret(rs256: GatewayProcess, key: rsa.RSAPrivateKey) -> None:
    """Everybody has it: a gateway that let the token choose HS256 would take it for the shared secret."""
    public = key.public_key()
    for encoding, form in (
        (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
    ):
        secret = public.public_bytes(encoding, form)
        for body in (secret, secret.strip()):
            assert refused(rs256, by_hand({"alg": "HS256", "kid": KID}, claims(), body)) == 4401


def test_other_keys_and_algorithms_of_the_provider_are_4401(rs256: GatewayProcess, key: rsa.RSAPrivateKey) -> None:
    stranger = rsa.generate_private_key(65537, 2048)
    assert refused(rs256, jwt.encode(claims(), stranger, "RS256", {"kid": KID})) == 4401
    assert refused(rs256, jwt.encode(claims(), key, "RS512", {"kid": KID})) == 4401
    assert refused(rs256, jwt.encode(claims(), key, "PS256", {"kid": KID})) == 4401
    assert refused(rs256, jwt.encode(claims(), SECRET, "HS256", {"kid": KID})) == 4401
    assert refused(rs256, by_hand({"alg": "none", "kid": KID}, claims())) == 4401


@pytest.mark.parametrize("kid", [None, 7, "", "x" * 10_000, "../keys", ["the only key"]])
def test_a_key_that_is_not_in_the_set_is_4401(rs256: GatewayProcess, kid: Any) -> None:
    stranger = rsa.generate_private_key(65537, 2048)
    signed = jwt.encode(claims(), stranger, "RS256").split(".")
    head = b64(json.dumps({"alg": "RS256", "typ": "JWT", "kid": kid}).encode())
    assert refused(rs256, f"{head}.{signed[1]}.{signed[2]}") == 4401


def test_what_a_signature_hides_is_not_logged(gateway: GatewayProcess) -> None:
    secret = hashlib.sha256(b"planted").hexdigest()
    assert refused(gateway, by_hand({"alg": "HS256", "kid": secret}, claims(sub=secret), b"k" * 32)) == 4401
    assert secret not in gateway.words()
