"""The client on real sockets: sign-in, order, reconnection by close code, silence."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from contracts.messages import Advice, Reconnect
from watchfloor.client import Connected, Disconnected, Event, Feed, FeedOptions, Gap, Message, Stream
from watchfloor.errors import WatchfloorError


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


def test_a_restarting_gateway_is_joined_again_and_what_was_missed_is_said(scripted: Callable[..., Any]) -> None:
    def first(visit: Any) -> None:
        visit.welcome()
        visit.anomaly(1, 0)
        visit.close(1011)

    gateway = scripted(first, lambda visit: (visit.welcome(seq=3), visit.anomaly(4, 3), visit.stay()))
    # 1011 asks for five seconds; the test asks for the first delay only.
    events = collect(feed_at(gateway.url), 6, timeout_s=20)
    assert kinds(events) == ["Connected", "Message", "Disconnected", "Connected", "Gap", "Message"]
    assert events[4] == Gap(2, 3, "disconnected")
    assert isinstance(events[2], Disconnected)
    assert events[2].code == 1011


def test_delays_grow_up_to_their_limit(dead_port: int) -> None:
    feed = Feed(FeedOptions(f"ws://127.0.0.1:{dead_port}", lambda: "t", retry_delay_s=0.02), chance=lambda: 1.0)
    gone = [feed._retry(None, "", Advice(Reconnect.YES, 0, "")).retry_in_s for _ in range(14)]
    assert gone[:4] == [0.02, 0.04, 0.08, 0.16]
    assert gone[-1] == 60.0


@pytest.mark.parametrize(("chance", "delay_s"), [(0.0, 4.0), (0.5, 6.0), (1.0, 8.0)])
def test_a_share_of_the_delay_is_left_to_chance(chance: float, delay_s: float) -> None:
    feed = Feed(FeedOptions("ws://localhost:1", lambda: "t"), chance=lambda: chance)
    assert feed._retry(None, "", Advice(Reconnect.YES, 8, "")).retry_in_s == delay_s


def test_a_gateway_that_is_not_there_is_tried_again(dead_port: int) -> None:
    gone = collect(feed_at(f"ws://127.0.0.1:{dead_port}"), 2)
    assert all(isinstance(event, Disconnected) and "nothing listens" in event.reason for event in gone)


def test_a_close_code_asks_for_its_own_delay(scripted: Callable[..., Any]) -> None:
    [event] = collect(feed_at(scripted(lambda visit: visit.close(4429)).url), 1)
    assert isinstance(event, Disconnected)
    assert event.retry_in_s >= 30


def test_a_refused_token_ends_the_feed_unless_there_is_a_new_one(scripted: Callable[..., Any]) -> None:
    gateway = scripted(lambda visit: visit.close(4401))
    with pytest.raises(WatchfloorError, match="refuses the token"):
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
    with pytest.raises(WatchfloorError, match="refuses the token"):
        collect(feed_at(gateway.url, lambda: f"t{next(numbers)}"), 9)
    assert len(gateway.tokens) == 2


@pytest.mark.parametrize(("code", "advice"), [(4403, "noc:view"), (4413, "report")])
def test_codes_that_say_no_end_the_feed_with_what_to_do(scripted: Callable[..., Any], code: int, advice: str) -> None:
    gateway = scripted(lambda visit: visit.close(code))
    with pytest.raises(WatchfloorError, match=str(code)) as raised:
        collect(feed_at(gateway.url), 9)
    assert advice in raised.value.advice
    assert len(gateway.visits) == 1


def test_a_silent_connection_is_given_up(scripted: Callable[..., Any]) -> None:
    gateway = scripted(lambda visit: (visit.welcome(), visit.stay()))
    events = collect(feed_at(gateway.url, silence_s_max=0.3), 2)
    assert kinds(events) == ["Connected", "Disconnected"]
    assert isinstance(events[1], Disconnected)
    assert "nothing heard" in events[1].reason


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
    with pytest.raises(WatchfloorError, match="not a WebSocket address"):
        collect(feed_at("http://127.0.0.1:1"), 1)
    with pytest.raises(WatchfloorError, match="token in a file"):
        collect(feed_at("ws://127.0.0.1:1/?token=x"), 1)


def test_a_token_is_not_sent_readable_over_a_network() -> None:
    with pytest.raises(WatchfloorError, match="readable to everybody"):
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
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        feed = feed_at(f"ws://127.0.0.1:{server.server_port}")
        if final:
            with pytest.raises(WatchfloorError, match=str(status)):
                collect(feed, 1)
        else:
            [event] = collect(feed, 1)
            assert isinstance(event, Disconnected)
            assert str(status) in event.reason
        server.shutdown()
