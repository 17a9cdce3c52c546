"""What the page says of the feed itself, and what it tells the gateway. The page is real, its gateway is played."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from browser.page_reading import CONTRAST, titles
from playwright.sync_api import Page, WebSocketRoute, expect

from gateway.health.readiness import Readiness
from gateway.sockets.http_routes import SECURITY_HEADERS, HttpRoutes

LIVE_MS = 10_000
NOW = "2026-03-02T09:00:00.000Z"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The page's files as the gateway serves them, with the same headers."""
    files = HttpRoutes(lambda: Readiness(ready=True, reason=""), lambda: b"", lambda: (True, b"{}"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = files.reply("GET", self.path)
            self.send_response(answer.status)
            headers = {**SECURITY_HEADERS, **answer.headers, "Content-Type": answer.content_type}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class PlayedGateway:
    """The gateway's side of the page's connections."""

    def __init__(self, page: Page, welcome: Callable[["PlayedGateway", dict[str, Any]], None]) -> None:
        self.page = page
        self.heard: list[dict[str, Any]] = []
        self.socket: WebSocketRoute | None = None
        self._welcome = welcome
        page.route_web_socket("**/ws/noc/dashboard/", self._open)

    def say(self, **message: Any) -> None:
        assert self.socket is not None
        self.socket.send(json.dumps({"timestamp": NOW, **message}))

    def established(self, seq: int = 0, epoch: str = "e1") -> None:
        self.say(
            type="connection_established", tenant_id=7, epoch=epoch, seq=seq, capabilities=[], heartbeat_interval_s=25,
            expires_at="2026-03-02T10:00:00.000Z", max_events_per_second=100, server_version="0",
        )  # fmt: skip

    def resumed(self, first: int, last: int, reason: str | None = None) -> None:
        self.say(type="resumed", recovered=reason is None, reason=reason, **{"from": first, "to": last})

    def anomaly(self, seq: int, severity: str = "HIGH", index: int = 0, of: int = 1) -> None:
        self.say(
            type="anomaly_detected", seq=seq, prev_seq=seq - 1, part={"index": index, "of": of},
            anomaly_id=f"f{seq}.{index}", severity=severity, title=f"number {seq}.{index}", anomaly_type="WRONG_PERSON",
            description="", site_id=4, site_name="Main Gate", person_id=None, person_name=None, created_at=NOW,
            detection_latency_ms=20,
        )  # fmt: skip

    def close(self, code: int, reason: str = "") -> None:
        assert self.socket is not None
        self.socket.close(code=code, reason=reason)

    def hears(self, kind: str, timeout_ms: int = 6_000) -> list[dict[str, Any]]:
        """What the page has said of this type, when it has."""
        self.until(lambda: any(message["type"] == kind for message in self.heard), f"the page says {kind}", timeout_ms)
        return [message for message in self.heard if message["type"] == kind]

    def until(self, condition: Callable[[], bool], what: str, timeout_ms: int = 6_000) -> None:
        """As `support.waiting.until`; only while the page waits does what it says come here."""
        for _ in range(timeout_ms // 50):
            if condition():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"not within {timeout_ms} ms: {what}; heard {self.heard}")

    def never_hears(self, kind: str, for_ms: int) -> None:
        """Nothing of this type comes in that time."""
        self.page.wait_for_timeout(for_ms)
        assert [message for message in self.heard if message["type"] == kind] == []

    def _open(self, socket: WebSocketRoute) -> None:
        self.socket = socket
        socket.on_message(self._hear)

    def _hear(self, text: str | bytes) -> None:
        message = json.loads(text)
        self.heard.append(message)
        if message["type"] == "authenticate":
            self._welcome(self, message)


@pytest.fixture
def played(page: Page, address: str) -> Callable[..., PlayedGateway]:
    """`played(welcome)` opens the page, signed in; `welcome(gateway, sign_in)` answers each sign-in."""

    def start(welcome: Callable[[PlayedGateway, dict[str, Any]], None] | None = None) -> PlayedGateway:
        gateway = PlayedGateway(page, welcome or (lambda gateway, _: gateway.established()))
        page.goto(address)
        page.fill("#token", "t")
        page.click("#sign-in-form button")
        expect(page.locator("#state")).to_have_text("Live", timeout=LIVE_MS)
        return gateway

    return start


def test_a_lost_connection_is_resumed_and_nothing_is_said_of_it(
    page: Page, played: Callable[..., PlayedGateway]
) -> None:
    def welcome(gateway: PlayedGateway, sign_in: dict[str, Any]) -> None:
        if "resume" not in sign_in:
            gateway.established()
            return
        gateway.established(seq=3)
        gateway.resumed(sign_in["resume"]["seq"] + 1, 3)
        gateway.anomaly(2, index=0, of=2)
        gateway.anomaly(2, index=1, of=2)
        gateway.anomaly(3)

    gateway = played(welcome)
    gateway.anomaly(1)
    gateway.anomaly(2, index=0, of=2)
    expect(page.locator("#feed li")).to_have_count(2, timeout=LIVE_MS)
    gateway.close(1012, "the gateway stops")
    expect(page.locator("#banner")).to_contain_text("What happens meanwhile is listed then", timeout=LIVE_MS)
    expect(page.locator("#feed li")).to_have_count(4, timeout=LIVE_MS)
    assert titles(page) == ["number 3.0", "number 2.1", "number 2.0", "number 1.0"]
    expect(page.locator("#feed .between")).to_have_count(0)
    assert [message["resume"] for message in gateway.heard if "resume" in message] == [{"epoch": "e1", "seq": 1}]


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("too_old", "Messages 2 to 90 cannot be shown: the log does not reach back that far"),
        ("too_many", "Messages 2 to 90 cannot be shown: they are more than the gateway gives again at once"),
        ("a_later_word", "Messages 2 to 90 cannot be shown: a later word"),
    ],
)
def test_what_cannot_be_given_again_is_a_line_between_the_messages(
    page: Page, played: Callable[..., PlayedGateway], reason: str, line: str
) -> None:
    def welcome(gateway: PlayedGateway, sign_in: dict[str, Any]) -> None:
        gateway.established(seq=90 if "resume" in sign_in else 0)
        if "resume" in sign_in:
            gateway.resumed(2, 90, reason)

    gateway = played(welcome)
    gateway.anomaly(1)
    gateway.close(1006)
    expect(page.locator("#feed .between")).to_have_text(line, timeout=LIVE_MS)
    gateway.anomaly(91)
    expect(page.locator("#feed li")).to_have_count(3)
    expect(page.locator("#feed .between")).to_have_count(1)


def test_a_feed_that_is_behind_says_how_far_and_where(page: Page, played: Callable[..., PlayedGateway]) -> None:
    gateway = played()
    expect(page.locator("#behind")).to_be_hidden()
    late = {"type": "feed_status", "state": "behind", "component": "worker", "behind_records": 1200, "since": NOW}
    gateway.say(**late, behind_seconds=42)
    expect(page.locator("#behind")).to_contain_text(
        "behind the database by 42 s (1,200 records), held up at the worker"
    )
    expect(page.locator("#announcer")).to_contain_text("42 s")
    gateway.say(**late, behind_seconds=52)
    expect(page.locator("#behind")).to_contain_text("52 s")
    expect(page.locator("#announcer")).to_contain_text("42 s")  # once is enough
    expect(page.locator("#state")).to_have_text("Live")
    gateway.say(type="feed_status", state="live", component=None, behind_seconds=0, behind_records=0, since=None)
    expect(page.locator("#behind")).to_be_hidden()
    expect(page.locator("#announcer")).to_have_text("The feed is up to date again")
    gateway.say(**late | {"state": "interrupted", "component": None}, behind_seconds=None)
    expect(page.locator("#behind")).to_contain_text("The feed is interrupted (1,200 records), since")
    gateway.close(1012)
    expect(page.locator("#behind")).to_be_hidden()


def test_a_critical_row_says_who_has_looked_at_it(page: Page, played: Callable[..., PlayedGateway]) -> None:
    gateway = played()
    gateway.anomaly(1, "CRITICAL")
    row = page.locator("#feed li", has_text="number 1.0")
    expect(row).to_have_count(1)
    unseen = {"type": "critical_unseen", "seq": 1, "site_id": 4, "client_id": 2, "since": NOW, "recipients": 3}
    gateway.say(**unseen, id="f1.0", unseen_seconds=300)
    expect(row.locator(".mark")).to_have_text("Nobody has looked at this for 5 min")
    expect(page.locator("#announcer")).to_contain_text("Nobody has looked at a critical message of site 4 for 5 min")
    gateway.say(**unseen, id="of yesterday", unseen_seconds=90)
    expect(page.locator("#feed .between")).to_contain_text("a critical message of site 4 for 90 s")
    seen = [{"user": "amina <b>", "at": NOW}, {"user": "jo", "at": "?"}]
    gateway.say(type="message_seen", seq=1, id="f1.0", seen_by=seen)
    expect(row.locator(".mark")).to_contain_text("Seen by amina <b> ")
    expect(row.locator(".mark")).to_contain_text(", jo")
    expect(row.locator(".mark")).to_have_count(1)


def test_rows_that_were_in_view_for_a_second_are_told_once(page: Page, played: Callable[..., PlayedGateway]) -> None:
    gateway = played()
    page.get_by_role("button", name="Low").click()
    gateway.anomaly(1, "LOW")
    for seq in range(2, 102):
        gateway.anomaly(seq)
    assert gateway.hears("received")[-1]["seq"] == 101
    ids = [name for message in gateway.hears("seen") for name in message["ids"]]
    in_view = page.locator("#feed li").evaluate_all(
        "rows => rows.filter(row => row.getBoundingClientRect().bottom < innerHeight).map(row => row.dataset.id)"
    )
    assert "f101.0" in ids
    assert set(ids) <= set(in_view) | {in_view[-1]}
    assert len(ids) < 40
    page.locator("#feed").evaluate("list => list.scrollTo(0, list.scrollHeight)")

    def told() -> list[str]:
        return [name for message in gateway.hears("seen") for name in message["ids"]]

    gateway.until(lambda: "f2.0" in told(), "what came into view is told")
    later = told()
    assert "f1.0" not in later  # its severity is hidden
    assert "f50.0" not in later  # scrolled past
    assert len(later) == len(set(later))


@pytest.mark.parametrize(
    "away",
    [
        "document.hasFocus = () => false",
        "Object.defineProperty(document, 'visibilityState', {get: () => 'hidden', configurable: true})",
    ],
)
def test_a_page_that_nobody_looks_at_tells_nothing(page: Page, played: Callable[..., PlayedGateway], away: str) -> None:
    page.add_init_script(away)
    gateway = played()
    gateway.anomaly(1, "CRITICAL")
    gateway.hears("received")
    gateway.never_hears("seen", 4_000)
    page.evaluate("document.hasFocus = () => true")
    page.evaluate("Object.defineProperty(document, 'visibilityState', {get: () => 'visible'})")
    page.evaluate("dispatchEvent(new Event('focus'))")
    assert gateway.hears("seen")[0]["ids"] == ["f1.0"]


def test_notices_read_well_in_both_colour_schemes(page: Page, played: Callable[..., PlayedGateway]) -> None:
    gateway = played()
    for seq in (1, 2):
        gateway.anomaly(seq, "CRITICAL")
    gateway.say(type="gap", **{"from": 3, "to": 4}, reason="log_hole")
    gateway.say(type="message_seen", seq=1, id="f1.0", seen_by=[{"user": "amina", "at": NOW}])
    gateway.say(type="critical_unseen", seq=2, id="f2.0", site_id=4, unseen_seconds=300)
    gateway.say(type="feed_status", state="behind", component="worker", behind_seconds=42, behind_records=1, since=NOW)
    expect(page.locator("#feed .mark")).to_have_count(2)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for selector in (".mark", ".between", "#behind"):
            ratios = page.locator(selector).evaluate_all(CONTRAST)
            assert ratios
            assert min(ratios) >= 4.5, f"{selector} in {scheme} has a contrast of {min(ratios):.2f}"


def test_a_token_that_ends_asks_for_another(page: Page, played: Callable[..., PlayedGateway]) -> None:
    gateway = played()
    gateway.close(4401, "the token has expired")
    expect(page.get_by_role("alert")).to_contain_text("Not signed in: the token has expired", timeout=LIVE_MS)
    expect(page.get_by_label("Token")).to_be_focused()
