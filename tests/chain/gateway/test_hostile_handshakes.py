"""Handshakes that nobody well-behaved would make: each is refused or bounded, and the gateway serves on."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.attacked_gateway import TunedGateway, unharmed
from support.gateway_process import FeedWriter, GatewayProcess
from support.raw_socket import CLOSE, TEXT, RawSocket, frame
from support.waiting import until

HANDSHAKE_S_MAX = 2.0
"""As the tests' gateways are set."""
HANDSHAKES_MAX = 20


@pytest.fixture(autouse=True)
def serves_on(gateway: GatewayProcess) -> Iterator[None]:
    with unharmed(gateway):
        yield


@pytest.fixture(scope="module")
def narrow(feed: FeedWriter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    limits = {"gateway": {"handshake.pending_max": str(HANDSHAKES_MAX), "session.authenticate_timeout_s": "30"}}
    with TunedGateway(feed, tmp_path_factory.mktemp("narrow"), limits) as running:
        yield running


# --- slow -----------------------------------------------------------------------------------------------------------


def test_a_handshake_of_one_byte_a_second_is_ended_in_time(gateway: GatewayProcess) -> None:
    with RawSocket(gateway.port) as slow:
        began = time.monotonic()
        for byte in slow.request()[:-1]:
            slow.send(bytes([byte]))
            slow.socket.settimeout(0.5)
            try:
                if not slow.socket.recv(1):
                    break
            except TimeoutError:
                continue
            except ConnectionResetError:
                break
        assert HANDSHAKE_S_MAX - 0.5 < time.monotonic() - began < HANDSHAKE_S_MAX + 1.5


def test_a_socket_that_says_nothing_is_ended_in_time(gateway: GatewayProcess) -> None:
    with RawSocket(gateway.port) as silent:
        assert silent.dropped_after(HANDSHAKE_S_MAX + 1.5) > HANDSHAKE_S_MAX - 0.5


def test_somebody_who_opens_sockets_and_says_nothing_keeps_nobody_out(narrow: GatewayProcess) -> None:
    """Only so many wait at a time, the oldest goes first, and whoever speaks is let in."""
    refused = 'watchfloor_gateway_handshakes_refused_total{reason="handshakes"}'
    with ExitStack() as attack:
        sockets = [attack.enter_context(RawSocket(narrow.port)) for _ in range(3 * HANDSHAKES_MAX)]
        # The probe's own connection takes a place, so the last of the first forty may have gone too.
        until(lambda: narrow.metric(refused) >= 2 * HANDSHAKES_MAX, "the oldest are sent away")
        for first in sockets[: 2 * HANDSHAKES_MAX]:
            assert first.dropped_after(2.0) < 2.0
        assert sockets[-1].open() == 101  # it waited, and still may come in
        with narrow.sign_in(1) as good:
            good.say(type="ping")
            assert good.hear()["type"] == "pong"


def test_who_was_let_in_is_no_handshake_any_more(narrow: GatewayProcess) -> None:
    with ExitStack() as crowd:
        clients = [crowd.enter_context(narrow.sign_in(1)) for _ in range(HANDSHAKES_MAX + 5)]
        for client in clients:
            client.say(type="ping")
            assert client.hear()["type"] == "pong"


# --- large ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("X-Large", "x" * 9_000)], 431),
        ([(f"X-{number}", "x") for number in range(200)], 431),
        ([("Cookie", "x" * 8_000)] * 150, 431),
    ],
    ids=["one huge header", "many headers", "many huge headers"],
)
def test_huge_headers_are_refused(gateway: GatewayProcess, headers: list[tuple[str, str]], status: int) -> None:
    with RawSocket(gateway.port) as client:
        assert client.open(extra=headers) == status


def test_a_huge_address_is_refused(gateway: GatewayProcess) -> None:
    with RawSocket(gateway.port) as client:
        assert client.open("/ws/noc/?" + "a" * 9_000) == 414


def test_a_header_without_end_is_not_read_on(gateway: GatewayProcess) -> None:
    with RawSocket(gateway.port) as client:
        client.send(b"GET /ws/noc/ HTTP/1.1\r\nX-Endless: ")
        for _ in range(64):
            client.send(b"x" * 65_536)
        client.socket.shutdown(1)
        assert client.dropped_after(HANDSHAKE_S_MAX + 2) >= 0


# --- malformed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /ws/noc/\r\n\r\n",
        b"GET /ws/noc/ HTTP/1.0\r\n\r\n",
        b"GET /ws/noc/ HTTP/1.1\nHost: x\n\n",
        b"\r\n" * 5_000,
        b"\x00" * 20_000,
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /ws/noc/ HTTP/1.1\r\nHost\r\n\r\n",
        b"GET /ws/noc/ HTTP/1.1\r\nBad Name: x\r\n\r\n",
        b"GET /ws/noc/ HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        b"POST /ws/noc/ HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd",
        b"GET /ws/noc/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
        b"GET /ws/noc/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET //[::1/ws HTTP/1.1\r\nHost: x\r\n\r\n",
        frame(TEXT, b"{}") * 50,
    ],
    ids=[
        "TLS hello", "HTTP/2", "no version", "HTTP/1.0", "bare newlines", "empty lines", "zeros", "not ASCII",
        "header without a colon", "space in a name", "folded header", "POST with a body", "chunked", "negative length",
        "no address", "frames before the handshake",
    ],
)  # fmt: skip
def test_what_is_no_handshake_ends_soon(gateway: GatewayProcess, words: bytes) -> None:
    with RawSocket(gateway.port) as client:
        client.send(words)
        status = client.answer()
        assert status == 0 or 400 <= status <= 505, status
        client.socket.settimeout(HANDSHAKE_S_MAX + 2)
        assert client.dropped_after(HANDSHAKE_S_MAX + 2) >= 0


@pytest.mark.parametrize(
    ("without", "extra", "status"),
    [
        (["Sec-WebSocket-Key"], [], 400),
        (["Sec-WebSocket-Key"], [("Sec-WebSocket-Key", "short")], 400),
        ([], [("Sec-WebSocket-Key", "x3JJHMbDL1EzLkh9GBhXDw==")], 400),
        (["Sec-WebSocket-Version"], [("Sec-WebSocket-Version", "8")], 400),
        (["Sec-WebSocket-Version"], [], 400),
        (["Upgrade"], [], 426),
        (["Upgrade"], [("Upgrade", "h2c")], 426),
        (["Connection"], [("Connection", "close")], 426),
    ],
)
def test_an_incomplete_handshake_is_refused(
    gateway: GatewayProcess, without: list[str], extra: list[tuple[str, str]], status: int
) -> None:
    with RawSocket(gateway.port) as client:
        assert client.open(extra=extra, without=without) == status


# --- extensions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits; server_max_window_bits=8",
        "permessage-deflate; client_max_window_bits=99, permessage-deflate",
        "x-webkit-deflate-frame, permessage-bzip2",
        ", ".join(["permessage-deflate; client_max_window_bits=15"] * 100),
        'permessage-deflate; unknown="quoted; text"',
    ],
)  # fmt: skip
def test_compression_is_declined_and_the_connection_works(gateway: GatewayProcess, offer: str) -> None:
    """A compressed message would cost memory to read that its length does not tell."""
    with RawSocket(gateway.port) as client:
        assert client.open(extra=[("Sec-WebSocket-Extensions", offer)]) == 101
        assert "sec-websocket-extensions" not in client.headers
        client.say(type="authenticate", token=gateway.token())
        assert client.hear()["type"] == "connection_established"
        client.send(frame(TEXT, b"\xaa\x56\x4a", rsv=4))  # compressed all the same
        assert client.close_code() == 1002


# --- Origin ---------------------------------------------------------------------------------------------------------

ALLOWED = "https://noc.example.com"


@pytest.mark.parametrize(
    "origin",
    [
        "https://noc.example.com.evil.com",
        "https://evil-noc.example.com",
        "https://xnoc.example.com",
        "https://example.com",
        "https://a.noc.example.com",
        "http://noc.example.com",
        "wss://noc.example.com",
        "https://noc.example.com:444",
        "https://noc.example.com:8443",
        "https://noc.example.com.",
        "https://noc.example.com/",
        "https://noc.example.com/path",
        "https://noc.example.com@evil.com",
        "https://evil.com@noc.example.com",
        "https://user:word@noc.example.com",
        "https://noc.example.com?evil.com",
        "https://noc.example.com#evil.com",
        "https://noc.example.com\\evil.com",
        "https://noc.example.com%00.evil.com",
        "https://nос.example.com",  # noqa: RUF001 - Cyrillic letters, as a lookalike has them
        "https://xn--n-0tba.example.com",
        "https://noc.example.com https://evil.com",
        "https://evil.com, https://noc.example.com",
        "null",
        "*",
        "",
        "noc.example.com",
        "//noc.example.com",
        "file://",
        "http://127.0.0.1",
        "http://127.0.0.1:{other}",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1.evil.com:{port}",
        "http://localhost.evil.com:{port}",
        "http://127.0.0.2:{port}",
        "http://2130706433:{port}",
        "http://0.0.0.0:{port}",
    ],
)
def test_foreign_and_lookalike_origins_are_refused(gateway: GatewayProcess, origin: str) -> None:
    origin = origin.format(port=gateway.port, other=gateway.port + 1)
    with RawSocket(gateway.port) as client:
        assert client.open(extra=[("Origin", origin)]) in {403, 0}


@pytest.mark.parametrize(
    "origin", [ALLOWED, "https://NOC.example.com", "HTTPS://noc.EXAMPLE.com", "http://127.0.0.1:{port}"]
)
def test_the_same_origin_in_other_letters_connects(gateway: GatewayProcess, origin: str) -> None:
    """Scheme and host have no case; without this the table above could hold by refusing everybody."""
    with RawSocket(gateway.port) as client:
        assert client.open(extra=[("Origin", origin.format(port=gateway.port))]) == 101


@pytest.mark.parametrize("origins", [[ALLOWED, "https://evil.com"], ["https://evil.com", ALLOWED], [ALLOWED, ALLOWED]])
def test_two_origins_are_refused(gateway: GatewayProcess, origins: list[str]) -> None:
    with RawSocket(gateway.port) as client:
        assert client.open(extra=[("Origin", origin) for origin in origins]) == 403


# --- the address ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "token={token}",
        "TOKEN={token}",
        "access_token={token}",
        "jwt={token}",
        "bearer={token}",
        "a=b&token={token}",
        "%74oken={token}",
        "token",
        "token=",
        "x={token}",
        "{token}",
    ],
)
def test_a_token_in_the_address_is_refused_and_not_logged(gateway: GatewayProcess, query: str) -> None:
    token = gateway.token()
    with RawSocket(gateway.port) as client:
        status = client.open("/ws/noc/dashboard/?" + query.format(token=token))
        assert status == 400
    assert token not in gateway.words()
    assert token.rsplit(".", 1)[1] not in gateway.words()


@pytest.mark.parametrize("target", ["/WS/NOC/", "/ws/noc/dashboard/x"])
def test_other_addresses_are_not_found(gateway: GatewayProcess, target: str) -> None:
    with RawSocket(gateway.port) as client:
        assert client.open(target) == 404


@pytest.mark.parametrize(
    "target",
    [
        "/ws/noc/dashboard/../../../etc/passwd",
        "/ws/noc/%2e%2e/",
        "/ws/noc//dashboard/",
        "//evil.com/ws/noc/x",
        "*",
        "/..%5c..%5cwindows",
    ],
)
def test_addresses_that_can_be_read_in_two_ways_are_refused(gateway: GatewayProcess, target: str) -> None:
    with RawSocket(gateway.port) as client:
        assert client.open(target) == 400


def test_a_client_that_is_let_in_and_says_nothing_is_ended_in_time(gateway: GatewayProcess) -> None:
    with RawSocket(gateway.port) as client:
        assert client.open() == 101
        began = time.monotonic()
        assert [one.payload[:2] for one in client.frames(5) if one.opcode == CLOSE] == [(4408).to_bytes(2, "big")]
        assert time.monotonic() - began < HANDSHAKE_S_MAX + 1


def test_the_log_says_why_without_what(gateway: GatewayProcess) -> None:
    with RawSocket(gateway.port) as client:
        assert client.open(extra=[("Origin", "https://planted-evil.example")]) == 403
    words = gateway.words()
    assert '"reason": "origin"' in words
    assert "planted-evil" not in words
