"""An identity provider that changes its keys while the real gateway runs."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from support.gateway_process import FeedWriter, GatewayProcess
from support.waiting import until

from common.settings.kafka import KafkaSettings
from gateway.access.jwks import REFETCH_INTERVAL_S

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def new_key(algorithm: str) -> Private:
    return rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())


class Provider:
    """Gives out the public halves of its keys, and signs with any of them."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.keys: dict[str, Private] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"keys": [provider.public(kid) for kid in provider.keys]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/keys"

    def public(self, kid: str) -> dict[str, Any]:
        kind = RSAAlgorithm if self.algorithm == "RS256" else ECAlgorithm
        made = kind.to_jwk(self.keys[kid].public_key(), as_dict=True)
        return made | {"kid": kid, "use": "sig", "alg": self.algorithm}

    def token(self, kid: str, key: Any = None, algorithm: str | None = None, **claims: Any) -> str:
        now = int(time.time())
        content = {
            "sub": "ops",
            "tenant_id": 1,
            "capabilities": ["noc:view"],
            "iss": "https://id.example.com",
            "aud": ["watchfloor", "something else"],
            "iat": now,
            "exp": now + 60,
        } | claims
        return jwt.encode(
            content, self.keys[kid] if key is None else key, algorithm or self.algorithm, headers={"kid": kid}
        )


@pytest.fixture(params=["RS256", "ES256"])
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    made = Provider(request.param)
    made.keys["one"] = new_key(request.param)
    yield made
    made.server.shutdown()
    made.server.server_close()


def answer(gateway: GatewayProcess, token: str) -> str:
    with gateway.connect() as client:
        client.say(type="authenticate", token=token)
        heard = client.hear()
        return str(heard.get("message", heard["type"]))


def test_keys_are_rotated_without_a_restart(provider: Provider, kafka_address: KafkaSettings, tmp_path: Path) -> None:
    auth = {
        "algorithm": provider.algorithm,
        "jwks_url": provider.url,
        "jwks_cache_s": 300,
        "issuer": "https://id.example.com",
    }
    with GatewayProcess(FeedWriter(kafka_address), tmp_path, auth) as gateway:
        old = provider.token("one")
        with gateway.connect(subprotocols=["noc.v1", f"bearer.{old}"]) as open_before:
            assert open_before.hear()["type"] == "connection_established"
            refused = {
                "the algorithm none": provider.token("one", key="", algorithm="none"),
                "another issuer": provider.token("one", iss="https://evil.example.com"),
                "another audience": provider.token("one", aud=["something else"]),
                "another key": provider.token("one", key=new_key(provider.algorithm)),
                "the public key as a secret": confused(provider),
            }
            for what, token in refused.items():
                assert answer(gateway, token).startswith("the token is not valid"), what
            provider.keys = {"two": new_key(provider.algorithm)}
            new = provider.token("two")
            until(
                lambda: answer(gateway, new) == "connection_established",
                "the new key is found",
                within_s=REFETCH_INTERVAL_S + 5,
            )
            assert answer(gateway, old) == "the token's key is unknown"
            open_before.say(type="refresh", token=new)
            assert open_before.hear()["type"] == "refreshed"
        assert "eyJ" not in gateway.words()


def confused(provider: Provider) -> str:
    """HS256 with what everybody knows as the secret."""
    public = provider.keys["one"].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return provider.token("one", key=public.hex(), algorithm="HS256")
