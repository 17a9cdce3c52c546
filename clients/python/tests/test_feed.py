"""The client on real sockets: sign-in, order, reconnection by close code, silence."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from watchfloor_client import (
    AddressError,
    Connected,
    Disconnected,
    Event,
    Feed,
    FeedOptions,
    Gap,
    Message,
    Position,
    RefusedError,
    Resumed,
    Stream,
    upkeep,
)


def collect(feed: Feed, count: int, timeout_s: float = 10) -> list[Event]:
    """The first so many events of a feed."""

    async def read() -> list[Event]:
        events: list[Event] = []
        async with asyncio.timeout(timeout_s), aclosing(feed.events()) as source:
            async for event in source:
                events.append(event)
                if len(events) == count:
                    break
        return events

    return asyncio.run(read())


def feed_at(url: str, token: str | Callable[[], str] = "t", **options: Any) -> Feed:  # noqa: S107
    provider = (lambda: token) if isinstance(token, str) else token
    return Feed(FeedOptions(url, provider, retry_delay_s=0.02, **options), chance=lambda: 0.0)


def body_of(event: Event) -> Any:
    assert isinstance(event, Message)
    return event.body


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_the_token_goes_into_the_first_message_and_not_into_the_address(scripted: Callable[..., Any]) -> None:
    gateway = scripted(lambda visit: (visit.welcome(seq=4), visit.stay()))
    assert collect(feed_at(gateway.url, "secret"), 1) == [Connected(1, "e1", 4)]
    assert gateway.visits[0].first == {"type": "authenticate", "token": "secret"}
    assert gateway.paths == ["/ws/noc/dashboard/"]


def test_each_stream_has_its_endpoint(scripted: Callable[..., Any]) -> None:
    gateway = scripted(lambda visit: (visit.welcome(), visit.stay()))
    collect(feed_at(gateway.url, stream=Stream.ANOMALY), 1)
    assert gateway.paths == ["/ws/noc/anomaly-stream/"]


def test_messages_come_once_with_gaps_before_what_they_precede(scripted: Callable[..., Any]) -> None:
    def script(visit: Any) -> None:
        visit.welcome()
        visit.anomaly(1, 0)
        visit.anomaly(1, 0)
        visit.send_raw("no JSON")
        visit.send_raw("[1]")
        visit.send(type="heartbeat")
        visit.anomaly(4, 3)
        visit.stay()

    events = collect(feed_at(scripted(script).url), 4)
    assert kinds(events) == ["Connected", "Message", "Gap", "Message"]
    assert events[2] == Gap(2, 3, "lost")


def test_a_restarting_gateway_is_joined_again_where_the_reader_was(scripted: Callable[..., Any]) -> None:
    def first(visit: Any) -> None:
        visit.welcome()
        visit.anomaly(1, 0)
        visit.anomaly(2, 1, 0, 2)
        visit.close(1012)

    def second(visit: Any) -> None:
        visit.welcome(seq=3)
        visit.resumed(2, 3)
        visit.anomaly(2, 1, 0, 2)
        visit.anomaly(2, 1, 1, 2)
        visit.anomaly(3, 2)
        visit.stay()

    gateway = scripted(first, second)
    events = collect(feed_at(gateway.url), 8)
    assert kinds(events) == ["Connected", *["Message"] * 2, "Disconnected", "Connected", "Resumed", *["Message"] * 2]
    assert events[5] == Resumed(2, 3)
    assert [body_of(event)["seq"] for event in (*events[1:3], *events[6:])] == [1, 2, 2, 3]
    assert isinstance(events[3], Disconnected)
    assert events[3].code == 1012
    assert "resume" not in gateway.visits[0].first
    assert gateway.visits[1].first["resume"] == {"epoch": "e1", "seq": 1}


def test_what_cannot_be_given_again_is_a_gap_with_its_reason(scripted: Callable[..., Any]) -> None:
    def second(visit: Any) -> None:
        visit.welcome(seq=9)
        visit.resumed(5, 9, "too_old")
        visit.anomaly(10, 9)
        visit.stay()

    gateway = scripted(lambda visit: (visit.welcome(seq=4), visit.close(1001)), second)
    events = collect(feed_at(gateway.url), 5)
    assert kinds(events) == ["Connected", "Disconnected", "Connected", "Gap", "Message"]
    assert events[3] == Gap(5, 9, "too_old")


def test_a_program_goes_on_from_the_position_that_it_stored(scripted: Callable[..., Any]) -> None:
    def script(visit: Any) -> None:
        visit.welcome(seq=4)
        visit.anomaly(5, 4, 0, 2)
        visit.stay()

    first = feed_at(scripted(script).url)
    assert first.position is None
    collect(first, 2)
    assert first.position == Position("e1", 4, parts=1)

    def again(visit: Any) -> None:
        visit.welcome(seq=5)
        visit.resumed(5, 5)
        visit.anomaly(5, 4, 0, 2)
        visit.anomaly(5, 4, 1, 2)
        visit.stay()

    gateway = scripted(again)
    second = feed_at(gateway.url, since=first.position)
    assert second.position == first.position
    events = collect(second, 3)
    assert body_of(events[2])["part"] == {"index": 1, "of": 2}
    assert gateway.visits[0].first["resume"] == {"epoch": "e1", "seq": 4}
    assert second.position == Position("e1", 5)


def test_the_position_is_behind_what_the_reader_was_given_and_not_further(scripted: Callable[..., Any]) -> None:
    def script(visit: Any) -> None:
        visit.welcome()
        visit.anomaly(1, 0)
        visit.anomaly(5, 4)
        visit.stay()

    feed = feed_at(scripted(script).url)

    async def read() -> list[tuple[str, Position | None]]:
        seen = []
        async with asyncio.timeout(10), aclosing(feed.events()) as events:
            async for event in events:
                seen.append((type(event).__name__, feed.position))
                if len(seen) == 4:
                    break
        return seen

    # A gap that comes with a message: who stops there has not had the message.
    assert asyncio.run(read()) == [
        ("Connected", Position("e1", 0)),
        ("Message", Position("e1", 1)),
        ("Gap", Position("e1", 1)),
        ("Message", Position("e1", 5)),
    ]


def test_filters_go_with_the_sign_in(scripted: Callable[..., Any]) -> None:
    gateway = scripted(lambda visit: (visit.welcome(), visit.stay()))
    collect(feed_at(gateway.url, client_ids=(3,), site_ids=(4, 5)), 1)
    assert gateway.visits[0].first == {"type": "authenticate", "token": "t", "client_ids": [3], "site_ids": [4, 5]}


def test_a_server_that_takes_connections_and_drops_them_is_not_hammered(scripted: Callable[..., Any]) -> None:
    gateway = scripted(lambda visit: (visit.welcome(), visit.close(1001)))
    feed = feed_at(gateway.url, stable_after_s=5)
    waits = [event.retry_in_s for event in collect(feed, 4) if isinstance(event, Disconnected)]
    assert waits == [0.5, 1.0]
    patient = feed_at(gateway.url, stable_after_s=0)
    waits = [event.retry_in_s for event in collect(patient, 6) if isinstance(event, Disconnected)]
    assert waits == [0.5, 0.5, 0.5]


def test_a_slow_reader_waits_as_long_as_the_gateway_says(scripted: Callable[..., Any]) -> None:
    gateway = scripted(lambda visit: visit.close(4409, "retry_after_s=40; messages waited too long"))
    [event] = collect(feed_at(gateway.url), 1)
    assert event == Disconnected(4409, "messages waited too long", 40.0)


def test_a_gateway_that_is_not_there_is_tried_again(dead_port: int) -> None:
    gone = collect(feed_at(f"ws://127.0.0.1:{dead_port}"), 2)
    assert all(isinstance(event, Disconnected) and "nothing listens" in event.reason for event in gone)


def test_a_close_code_asks_for_its_own_delay(scripted: Callable[..., Any]) -> None:
    [event] = collect(feed_at(scripted(lambda visit: visit.close(4429)).url), 1)
    assert isinstance(event, Disconnected)
    assert event.retry_in_s >= 30


def test_a_refused_token_ends_the_feed_unless_there_is_a_new_one(scripted: Callable[..., Any]) -> None:
    gateway = scripted(lambda visit: visit.close(4401))
    with pytest.raises(RefusedError, match="refuses the token"):
        collect(feed_at(gateway.url, "old"), 9)
    assert gateway.tokens == ["old"]

    tokens = iter(["expired", "renewed"])
    renewing = scripted(lambda visit: visit.close(4401), lambda visit: (visit.welcome(), visit.stay()))
    events = collect(feed_at(renewing.url, lambda: next(tokens)), 2)
    assert kinds(events) == ["Disconnected", "Connected"]
    assert renewing.tokens == ["expired", "renewed"]


def test_tokens_that_are_new_each_time_and_always_refused_are_not_made_for_ever(scripted: Callable[..., Any]) -> None:
    numbers = iter(range(100))
    gateway = scripted(lambda visit: visit.close(4401))
    with pytest.raises(RefusedError, match="refuses the token"):
        collect(feed_at(gateway.url, lambda: f"t{next(numbers)}"), 9)
    assert len(gateway.tokens) == 2


@pytest.mark.parametrize(("code", "advice"), [(4403, "noc:view"), (4413, "report")])
def test_codes_that_say_no_end_the_feed_with_what_to_do(scripted: Callable[..., Any], code: int, advice: str) -> None:
    gateway = scripted(lambda visit: visit.close(code))
    with pytest.raises(RefusedError, match=str(code)) as raised:
        collect(feed_at(gateway.url), 9)
    assert advice in raised.value.advice
    assert len(gateway.visits) == 1


def test_a_silent_connection_is_given_up(scripted: Callable[..., Any]) -> None:
    gateway = scripted(lambda visit: (visit.welcome(), visit.stay()))
    events = collect(feed_at(gateway.url, silence_s_max=0.3), 2)
    assert kinds(events) == ["Connected", "Disconnected"]
    assert isinstance(events[1], Disconnected)
    assert "nothing received" in events[1].reason


def test_a_quiet_connection_is_kept_by_pings(scripted: Callable[..., Any]) -> None:
    def script(visit: Any) -> None:
        visit.welcome()
        for _ in range(4):
            assert visit.receive() == {"type": "ping"}
            visit.send(type="pong")
        visit.anomaly(1, 0)
        visit.stay()

    events = collect(feed_at(scripted(script).url, heartbeat_interval_s=0.1, silence_s_max=0.3), 2)
    assert kinds(events) == ["Connected", "Message"]


def test_an_address_that_is_no_gateway_is_refused(scripted: Callable[..., Any]) -> None:
    with pytest.raises(AddressError, match="not a WebSocket address"):
        collect(feed_at("http://127.0.0.1:1"), 1)
    with pytest.raises(AddressError, match="token in a file"):
        collect(feed_at("ws://127.0.0.1:1/?token=x"), 1)


def test_a_token_is_not_sent_readable_over_a_network() -> None:
    with pytest.raises(AddressError, match="unencrypted"):
        _ = FeedOptions("ws://noc.example.com", lambda: "t").address
    allowed = FeedOptions("ws://noc.example.com", lambda: "t", allow_plaintext=True)
    assert allowed.address == "ws://noc.example.com/ws/noc/dashboard/"
    assert (
        FeedOptions("wss://noc.example.com/site/", lambda: "t").address
        == "wss://noc.example.com/site/ws/noc/dashboard/"
    )
    assert FeedOptions("ws://[::1]:80", lambda: "t").address == "ws://[::1]:80/ws/noc/dashboard/"


def test_options_do_not_show_their_token() -> None:
    assert "secret" not in repr(FeedOptions("ws://localhost:1", lambda: "secret"))


def test_a_reader_that_has_seen_enough_says_so(scripted: Callable[..., Any]) -> None:
    gateway = scripted(lambda visit: (visit.welcome(), visit.stay()))
    collect(feed_at(gateway.url), 1)
    gateway.stop()
    assert gateway.left == [1000]


def test_answers_are_passed_on_as_they_are(scripted: Callable[..., Any]) -> None:
    gateway = scripted(lambda visit: (visit.welcome(), visit.send(type="stats", uptime_seconds=3), visit.stay()))
    events = collect(feed_at(gateway.url), 2)
    assert events[1] == Message("stats", {"type": "stats", "uptime_seconds": 3})


@pytest.mark.parametrize(("status", "final"), [(404, True), (403, True), (503, False)])
def test_a_refused_handshake_is_tried_again_only_where_that_can_help(status: int, final: bool) -> None:
    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Retry-After", "30")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        feed = feed_at(f"ws://127.0.0.1:{server.server_port}")
        if final:
            with pytest.raises(AddressError, match=str(status)):
                collect(feed, 1)
        else:
            [event] = collect(feed, 1)
            assert isinstance(event, Disconnected)
            assert str(status) in event.reason
            assert event.retry_in_s == 30
        server.shutdown()


def test_the_gateway_is_told_what_was_received_and_seen(scripted: Callable[..., Any]) -> None:
    heard: list[Any] = []

    def script(visit: Any) -> None:
        visit.welcome(seq=3)
        visit.anomaly(4, 3)
        visit.anomaly(5, 4, 0, 2)
        heard.extend(visit.receive() for _ in range(2))
        visit.anomaly(5, 4, 1, 2)
        heard.append(visit.receive())
        visit.send(type="heartbeat", seq=9)
        visit.anomaly(10, 5)
        visit.stay()

    feed = feed_at(scripted(script).url, receipts_interval_s=0.05)

    async def read() -> None:
        async with asyncio.timeout(10), aclosing(feed.events()) as events:
            async for event in events:
                if isinstance(event, Message):
                    feed.seen([f"f{event.body['seq']}"])
                if isinstance(event, Message) and event.body["seq"] == 10:
                    break

    asyncio.run(read())
    # Of record 5 only a part had come: everything up to 4 was received.
    assert heard == [
        {"type": "received", "seq": 4},
        {"type": "seen", "ids": ["f4", "f5"]},
        {"type": "received", "seq": 5},
    ]


def test_a_new_token_is_given_before_the_old_one_ends(scripted: Callable[..., Any]) -> None:
    heard: list[Any] = []

    def script(visit: Any) -> None:
        visit.welcome(expires_in_s=0.4)
        heard.append(visit.receive())
        visit.send(type="refreshed", timestamp=visit.time(0), expires_at=visit.time(3600), capabilities=[])
        visit.anomaly(1, 0)
        visit.stay()

    tokens = iter(["first", "second", "third"])
    events = collect(feed_at(scripted(script).url, lambda: next(tokens)), 2)
    assert kinds(events) == ["Connected", "Message"]
    assert heard == [{"type": "refresh", "token": "second", "request_id": "refresh"}]


def test_a_token_source_without_a_new_token_is_asked_again(scripted: Callable[..., Any]) -> None:
    asked: list[str] = []
    heard: list[Any] = []

    def token() -> str:
        asked.append("")
        if len(asked) == 2:
            raise OSError("the token file cannot be read")
        return "old" if len(asked) < 4 else "new"

    def script(visit: Any) -> None:
        visit.welcome(expires_in_s=0.3)
        heard.append(visit.receive())
        visit.anomaly(1, 0)
        visit.stay()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "_RETRY_S_MIN", 0.05)
        collect(feed_at(scripted(script).url, token), 2)
    assert heard[0]["token"] == "new"
    assert len(asked) == 4
