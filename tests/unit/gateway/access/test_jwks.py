"""RS256 and ES256 against a key set that a real HTTP server gives out."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from common.errors import SettingsError
from common.settings.auth import AuthSettings
from contracts.messages import CloseCode
from gateway.access.bearer import AccessRefusedError
from gateway.access.jwks import REFETCH_INTERVAL_S, JwksKeys, usable_keys
from gateway.access.tokens import TokenVerifier

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Provider:
    """An identity provider: keys by id, and how often they were asked for."""

    def __init__(self) -> None:
        self.keys: dict[str, Private] = {}
        self.fetches = 0
        self.broken = False
        self.redirect = ""
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.fetches += 1
                self.send_response(302 if provider.redirect else 500 if provider.broken else 200)
                if provider.redirect:
                    self.send_header("Location", provider.redirect)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": [provider.jwk(kid) for kid in provider.keys]}).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def jwk(self, kid: str) -> dict[str, Any]:
        key = self.keys[kid]
        made = (RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm).to_jwk(
            key.public_key(), as_dict=True
        )
        return made | {"kid": kid, "use": "sig", "alg": "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"}

    def token(self, kid: str, key: Private | None = None, algorithm: str | None = None) -> str:
        key = key or self.keys[kid]
        now = int(time.time())
        return jwt.encode(
            {
                "sub": "ops",
                "tenant_id": 1,
                "capabilities": ["noc:view"],
                "iss": "watchfloor",
                "aud": "watchfloor",
                "iat": now,
                "exp": now + 60,
            },
            key,
            algorithm=algorithm or ("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"),
            headers={"kid": kid},
        )


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.server.shutdown()
    made.server.server_close()


def new_key(algorithm: str) -> Private:
    return rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_token_of_the_identity_provider_signs_in_and_keys_are_cached(provider: Provider, algorithm: Any) -> None:
    provider.keys["one"] = new_key(algorithm)
    verifier = TokenVerifier(
        AuthSettings(algorithm=algorithm), JwksKeys(AuthSettings(algorithm=algorithm), provider.url)
    )

    async def twice() -> None:
        for _ in range(2):
            assert (await verifier.verify(provider.token("one"))).tenant_id == 1

    asyncio.run(twice())
    assert provider.fetches == 1


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_forged_signature_is_refused(provider: Provider, algorithm: Any) -> None:
    provider.keys["one"] = new_key(algorithm)
    verifier = TokenVerifier(
        AuthSettings(algorithm=algorithm), JwksKeys(AuthSettings(algorithm=algorithm), provider.url)
    )
    with pytest.raises(AccessRefusedError) as caught:
        asyncio.run(verifier.verify(provider.token("one", new_key(algorithm))))
    assert caught.value.code is CloseCode.NOT_AUTHENTICATED


def test_the_public_key_is_no_secret_of_hs256(provider: Provider) -> None:
    key = new_key("RS256")
    provider.keys["one"] = key
    verifier = TokenVerifier(AuthSettings(algorithm="RS256"), JwksKeys(AuthSettings(algorithm="RS256"), provider.url))
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex()
    confused = jwt.encode({"sub": "ops"}, public, algorithm="HS256", headers={"kid": "one"})
    with pytest.raises(AccessRefusedError):
        asyncio.run(verifier.verify(confused))
    assert provider.fetches == 0


def test_a_rotated_key_is_found_and_an_invented_one_costs_one_fetch(provider: Provider) -> None:
    provider.keys["one"] = new_key("ES256")
    now = [1000.0]
    verifier = TokenVerifier(
        AuthSettings(algorithm="ES256"), JwksKeys(AuthSettings(algorithm="ES256"), provider.url, clock=lambda: now[0])
    )

    async def story() -> None:
        await verifier.verify(provider.token("one"))
        provider.keys["two"] = new_key("ES256")
        now[0] += REFETCH_INTERVAL_S
        await verifier.verify(provider.token("two"))
        assert provider.fetches == 2
        for number in range(50):
            with pytest.raises(AccessRefusedError, match="unknown"):
                await verifier.verify(provider.token(f"invented-{number}", provider.keys["one"]))
        assert provider.fetches == 2

    asyncio.run(story())


def test_known_keys_outlive_an_absent_provider(provider: Provider) -> None:
    provider.keys["one"] = new_key("ES256")
    now = [1000.0]
    verifier = TokenVerifier(
        AuthSettings(algorithm="ES256"), JwksKeys(AuthSettings(algorithm="ES256"), provider.url, clock=lambda: now[0])
    )

    async def story() -> None:
        await verifier.verify(provider.token("one"))
        provider.broken = True
        now[0] += 301
        await verifier.verify(provider.token("one"))

    asyncio.run(story())
    assert provider.fetches == 2


@pytest.mark.parametrize(("algorithm", "other"), [("RS256", "ES256"), ("ES256", "RS256")])
def test_a_key_of_another_kind_under_the_named_id_verifies_nothing(
    provider: Provider, algorithm: Any, other: str
) -> None:
    provider.keys["one"] = new_key(other)
    verifier = TokenVerifier(
        AuthSettings(algorithm=algorithm), JwksKeys(AuthSettings(algorithm=algorithm), provider.url)
    )
    for token in (provider.token("one"), provider.token("one", new_key(algorithm), algorithm)):
        with pytest.raises(AccessRefusedError) as caught:
            asyncio.run(verifier.verify(token))
        assert caught.value.code is CloseCode.NOT_AUTHENTICATED


def usable(*entries: dict[str, Any], algorithm: str = "RS256") -> list[str | None]:
    return [key.key_id for key in usable_keys(json.dumps({"keys": entries}), algorithm)]


def public(kid: str, key: Private, **changes: Any) -> dict[str, Any]:
    made = (RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm).to_jwk(key.public_key(), as_dict=True)
    return made | {"kid": kid} | changes


def test_only_strong_public_keys_that_verify_are_used() -> None:
    strong, curve = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what is to be refused
    secret = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "secret"}
    entries = (
        public("plain", strong),
        public("sig", strong, use="sig", key_ops=["verify"], alg="RS256"),
        public("enc", strong, use="enc"),
        public("wrap", strong, key_ops=["wrapKey"]),
        public("odd", strong, key_ops="verify"),
        public("pss", strong, alg="PS256"),
        public("weak", weak),
        RSAAlgorithm.to_jwk(strong, as_dict=True) | {"kid": "private"},
        public("curve", curve),
        secret,
        {"kid": "nothing"},
        {"kty": "RSA", "kid": "broken", "n": "?", "e": 3},
    )
    assert usable(*entries) == ["plain", "sig"]
    others = (public("p384", ec.generate_private_key(ec.SECP384R1())), public("enc", curve, use="enc"))
    assert usable(*entries, *others, algorithm="ES256") == ["curve"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": 3}', '{"keys": [3]}'])
def test_what_is_no_key_set_is_said_to_be_none(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        usable_keys(text, "RS256")


@pytest.mark.parametrize(
    "url", ["http://id.example.com/keys", "http://10.0.0.1/keys", "ftp://127.0.0.1/x", "file:///etc/keys", "keys"]
)
def test_keys_are_fetched_with_tls_only(url: str) -> None:
    with pytest.raises(SettingsError, match="https"):
        JwksKeys(AuthSettings(algorithm="RS256"), url)


def test_an_emptied_set_ends_its_keys_after_a_while_and_a_removed_key_at_once(provider: Provider) -> None:
    provider.keys |= {name: ec.generate_private_key(ec.SECP256R1()) for name in ("one", "two")}
    now = [1_000.0]
    auth = AuthSettings(algorithm="ES256", jwks_cache_s=60, jwks_emptied_s_max=100)
    verifier = TokenVerifier(auth, JwksKeys(auth, provider.url, clock=lambda: now[0]))
    one, two = provider.token("one"), provider.token("two")

    def accepted(token: str) -> bool:
        try:
            asyncio.run(verifier.verify(token))
        except AccessRefusedError:
            return False
        return True

    assert accepted(one)
    del provider.keys["two"]
    now[0] += 61
    assert (accepted(one), accepted(two)) == (True, False)
    provider.keys.clear()
    now[0] += 61
    assert accepted(one)
    now[0] += 99
    assert accepted(one)
    now[0] += 11
    assert not accepted(one)
    provider.keys["three"] = ec.generate_private_key(ec.SECP256R1())
    now[0] += 11
    assert accepted(provider.token("three"))


def test_a_redirect_is_not_followed(provider: Provider) -> None:
    provider.keys["one"] = ec.generate_private_key(ec.SECP256R1())
    provider.redirect = f"{provider.url}?again"
    verifier = TokenVerifier(AuthSettings(algorithm="ES256"), JwksKeys(AuthSettings(algorithm="ES256"), provider.url))
    with pytest.raises(AccessRefusedError):
        asyncio.run(verifier.verify(provider.token("one")))
    assert provider.fetches == 1
