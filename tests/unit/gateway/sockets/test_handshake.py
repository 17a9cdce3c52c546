import pytest

from gateway.feed.rendering import Endpoint
from gateway.sockets import handshake
from gateway.sockets.handshake import allowed_origins, check, chosen_subprotocol, endpoint_of
from watchfloor_client import addresses, options

OWN = allowed_origins(["https://noc.example.com"], "127.0.0.1", 8080, secure=False)


@pytest.mark.parametrize(
    ("target", "endpoint"),
    [
        ("/ws/noc/dashboard/", Endpoint.DASHBOARD),
        ("/ws/noc/dashboard", Endpoint.DASHBOARD),
        ("/ws/noc/", Endpoint.DASHBOARD),
        ("/ws/noc/anomaly-stream/?x=1", Endpoint.ANOMALY_STREAM),
        ("/ws/noc/other/", None),
        ("/ws/", None),
        ("/", None),
    ],
)
def test_endpoints(target: str, endpoint: Endpoint | None) -> None:
    assert endpoint_of(target) is endpoint


@pytest.mark.parametrize(
    "origins",
    [[], ["http://127.0.0.1:8080"], ["http://localhost:8080"], ["http://[::1]:8080"], ["https://noc.example.com"]],
    ids=str,
)
def test_the_own_page_configured_origins_and_programs_may_connect(origins: list[str]) -> None:
    assert check("/ws/noc/", origins, OWN) is None


@pytest.mark.parametrize(
    "origins",
    [
        ["http://evil.example"],
        ["null"],
        [""],
        ["http://127.0.0.1:8081"],
        ["http://127.0.0.1"],
        ["https://127.0.0.1:8080"],
        ["http://127.0.0.1:8080.evil.example"],
        ["http://127.0.0.1:8080@evil.example"],
        ["https://noc.example.com.evil.example"],
        ["https://xnoc.example.com"],
        ["https://noc.example.com:444"],
        ["http://noc.example.com"],
        ["http://127.0.0.1:8080", "http://evil.example"],
    ],
    ids=str,
)
def test_foreign_and_lookalike_origins_are_refused(origins: list[str]) -> None:
    refusal = check("/ws/noc/", origins, OWN)
    assert refusal is not None
    assert (refusal.status, refusal.kind) == (403, "origin")


def test_a_gateway_on_all_addresses_allows_only_what_is_configured() -> None:
    assert allowed_origins([], "0.0.0.0", 8080, secure=False) == frozenset()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("", False),
    ],
)
def test_loopback_is_the_same_to_the_gateway_and_to_its_client(host: str, loopback: bool) -> None:
    assert addresses.is_loopback(host) is loopback
    assert handshake.is_loopback is options.is_loopback is addresses.is_loopback


@pytest.mark.parametrize("query", ["token=x", "TOKEN=x", "a=1&access_token=", "jwt=x"])
def test_a_token_in_the_query_is_refused_and_not_repeated(query: str) -> None:
    refusal = check(f"/ws/noc/?{query}", [], OWN)
    assert refusal is not None
    assert (refusal.status, refusal.kind) == (400, "token_in_url")


def test_the_subprotocol_brings_the_token() -> None:
    assert chosen_subprotocol(["noc.v1", "bearer.a.b-c_d"]) == ("noc.v1", "a.b-c_d")
    assert chosen_subprotocol(["bearer.x", "noc.v1"]) == ("noc.v1", "x")
    assert chosen_subprotocol(["noc.v1"]) == ("noc.v1", None)
    assert chosen_subprotocol(["bearer.x"]) == (None, None)
    assert chosen_subprotocol([]) == (None, None)
