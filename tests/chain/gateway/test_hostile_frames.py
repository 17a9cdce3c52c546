"""Frames that no well-behaved client sends: each is refused or bounded, and the gateway serves on."""

import json
import time
from collections.abc import Iterator

import pytest
from support.attacked_gateway import unharmed
from support.gateway_process import GatewayProcess
from support.raw_socket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawSocket, frame
from support.waiting import until

CLOSE_TIMEOUT_S = 3.0
"""Of the gateway's settings."""
READ_LIMIT_BYTES = 4 * 64 * 1024


@pytest.fixture(autouse=True)
def serves_on(gateway: GatewayProcess) -> Iterator[None]:
    with unharmed(gateway):
        yield


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[RawSocket]:
    """Signed in."""
    with RawSocket(gateway.port) as raw:
        assert raw.open() == 101
        raw.say(type="authenticate", token=gateway.token())
        assert raw.hear()["type"] == "connection_established"
        yield raw


PING_MESSAGE = json.dumps({"type": "ping"}).encode()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, PING_MESSAGE, masked=False), 1002),
        *((frame(opcode, b"x"), 1002) for opcode in (0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF)),
        *((frame(TEXT, PING_MESSAGE, rsv=rsv), 1002) for rsv in range(1, 8)),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"", fin=False), 1002),
        (frame(CLOSE, b"", fin=False), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
        (frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"(" * 9), 1007),
        (frame(CLOSE, b"\x03"), 1002),
        *((frame(CLOSE, code.to_bytes(2, "big")), 1002) for code in (0, 999, 1004, 1005, 1006, 1016, 2999, 5000)),
        (frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007),
        (frame(TEXT, b"x", length=READ_LIMIT_BYTES + 1), 1009),
        (frame(TEXT, b"x", length=2**31), 1009),
        (frame(TEXT, b"x", length=2**63 - 1), 1009),
    ],
)
def test_what_the_protocol_forbids_ends_the_connection(client: RawSocket, data: bytes, code: int) -> None:
    client.send(data)
    assert client.close_code() == code


def test_a_connection_that_failed_does_not_linger(client: RawSocket) -> None:
    """It is cut even where its client goes on sending and never closes."""
    client.send(frame(0x3))
    assert client.close_code() == 1002
    client.socket.settimeout(0.2)

    def cut() -> bool:
        try:
            client.socket.sendall(b"x" * 100)
        except OSError:
            return True
        return False

    until(cut, "the connection is cut", within_s=CLOSE_TIMEOUT_S + 1.5)


def test_binary_frames_are_answered_and_the_connection_goes_on(client: RawSocket) -> None:
    client.send(frame(BINARY, PING_MESSAGE))
    assert client.hear()["code"] == "malformed"
    client.say(type="ping")
    assert client.hear()["type"] == "pong"


def test_a_binary_frame_before_sign_in_is_4401(gateway: GatewayProcess) -> None:
    with RawSocket(gateway.port) as raw:
        assert raw.open() == 101
        raw.send(frame(BINARY, json.dumps({"type": "authenticate", "token": gateway.token()}).encode()))
        assert raw.close_code() == 4401


@pytest.mark.parametrize("size", [1, 7, 500])
def test_a_message_in_fragments_is_one_message(client: RawSocket, size: int) -> None:
    """The good case beside the bad ones, with a ping between the fragments."""
    message = json.dumps({"type": "ping", "request_id": "in parts"}).encode()
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    for number, part in enumerate(parts):
        opcode = CONTINUATION if number else TEXT
        client.send(frame(opcode, part, fin=number == len(parts) - 1))
        if number % 10 == 0:
            client.send(frame(PING, b"between"))
    assert client.hear()["request_id"] == "in parts"


def test_fragments_that_are_too_large_together_are_not_read(client: RawSocket) -> None:
    client.send(frame(TEXT, b"x" * 60_000, fin=False))
    for _ in range(5):
        client.send(frame(CONTINUATION, b"x" * 60_000, fin=False))
    assert client.close_code() == 1009


def test_fragments_of_a_message_over_the_limit_are_4413(client: RawSocket) -> None:
    for opcode, fin in ((TEXT, False), (CONTINUATION, False), (CONTINUATION, True)):
        client.send(frame(opcode, b"x" * 30_000, fin=fin))
    assert client.hear()["code"] == "message_too_large"
    assert client.close_code() == 4413


def test_ten_thousand_tiny_fragments_of_one_message_are_not_collected(client: RawSocket) -> None:
    client.send(frame(TEXT, b"", fin=False))
    for _ in range(10):
        client.send(frame(CONTINUATION, b"", fin=False) * 1_000)
    assert client.close_code() == 1009


def test_ten_thousand_tiny_frames_are_a_hundred_messages_and_4429(client: RawSocket) -> None:
    for _ in range(10):
        client.send(frame(TEXT, b"1") * 1_000)
    frames = client.frames(10)
    answers = [json.loads(one.payload) for one in frames if one.opcode == TEXT]
    assert [answer["code"] for answer in answers] == ["malformed"] * 99 + ["too_many_messages"]
    assert frames[-1].payload[:2] == (4429).to_bytes(2, "big")


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_a_flood_of_pings_or_pongs_that_reads_nothing_is_cut_off(
    gateway: GatewayProcess, client: RawSocket, opcode: int
) -> None:
    """Each ping is answered: 200 MB of answers would wait for a client that does not read."""
    client.socket.settimeout(1.0)
    flood, sent, began = frame(opcode, b"x" * 125) * 1_000, 0, time.monotonic()
    while sent < 200 << 20 and time.monotonic() - began < 20:
        try:
            sent += client.socket.send(flood)
        except OSError:
            break
    assert sent < 20 << 20, "the flood was taken"
    assert '"code": 4429' in gateway.words()


def test_some_pings_a_minute_are_answered(client: RawSocket) -> None:
    for number in range(60):
        client.send(frame(PING, str(number).encode()))
    heard: list[bytes] = []
    while len(heard) < 60:
        heard += [one.payload for one in client.frames(0.3) if one.opcode == PONG]
    assert heard == [str(number).encode() for number in range(60)]


def test_a_frame_that_never_ends_holds_no_more_than_the_limit(client: RawSocket) -> None:
    client.send(frame(TEXT, b"x" * 60_000, length=READ_LIMIT_BYTES))
    client.say(type="ping")  # in the middle of it: only more of its payload
    heard = [one for one in client.frames(1.0) if one.opcode != PING]
    assert all(json.loads(one.payload)["type"] == "heartbeat" for one in heard)


@pytest.mark.parametrize(
    "words",
    [
        b"", b" ", b"null", b"[]", b"0", b'"ping"', b"{", b"{}", b'{"type":1}', b'{"type":"ping"', b'{"type":"nonsense"}',
        b'{"type":"subscribe_site"}', b'{"type":"subscribe_site","site_id":"3"}', b'{"type":"subscribe_site","site_id":1e400}',
        b'{"type":"ping","type":"authenticate"}',
        b'{"type":"resume","epoch":"x","seq":-1}', b'{"type":"seen","ids":[]}', b'{"type":"ping","request_id":{}}',
        b"[" * 60_000, b'{"a":' * 10_000, b'{"type":"ping","x":"\\ud800"}', b"\xef\xbb\xbf{}",
    ],
    ids=lambda words: words[:40].decode("latin-1"),
)  # fmt: skip
def test_malformed_messages_are_answered_with_an_error_that_the_log_knows(
    gateway: GatewayProcess, client: RawSocket, words: bytes
) -> None:
    client.send(frame(TEXT, words))
    answer = client.hear()
    assert answer.get("code") in {"malformed", "invalid", "unknown_type"}, answer
    assert answer["correlation_id"] in gateway.words()
    client.say(type="ping")
    assert client.hear()["type"] == "pong"


def test_messages_behind_the_close_are_not_read(client: RawSocket) -> None:
    client.send(frame(CLOSE, (1000).to_bytes(2, "big")) + frame(TEXT, PING_MESSAGE) * 50)
    frames = client.frames(3)
    assert [one.opcode for one in frames] == [CLOSE]
