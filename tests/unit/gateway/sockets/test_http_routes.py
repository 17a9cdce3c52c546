import json
import re
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from contracts.messages import ADVICE
from gateway.health.readiness import Readiness
from gateway.sockets.http_routes import SECURITY_HEADERS, STATIC_DIR, HttpRoutes

DOCS = Path(__file__).parents[4] / "docs" / "protocol.md"
SCRIPTS = sorted(STATIC_DIR.rglob("*.js"))


def files(*, ready: bool = True, well: bool = True) -> HttpRoutes:
    return HttpRoutes(lambda: Readiness(ready=ready, reason="because"), lambda: b"metric 1\n", lambda: (well, b"{}"))


def test_the_page_and_its_files() -> None:
    page = files().reply("GET", "/")
    assert (page.status, page.content_type) == (HTTPStatus.OK, "text/html; charset=utf-8")
    for linked in re.findall(r'(?:src|href)="(/[^"]+)"', page.body.decode()):
        assert files().reply("GET", linked).status is HTTPStatus.OK
    assert STATIC_DIR / "client" / "feed.js" in SCRIPTS
    for script in SCRIPTS:
        at = f"http://gateway/{script.relative_to(STATIC_DIR).as_posix()}"
        for imported in re.findall(r'from "([^"]+)"', script.read_text()):
            assert files().reply("GET", urlsplit(urljoin(at, imported)).path).status is HTTPStatus.OK


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/../access.py",
        "/web/app.js",
        "/%2e%2e/access.py",
        "//",
        "/index.html/",
        "/client",
        "/client/",
        "/client/../app.js",
        "/client/feed.ts",
    ],
)
def test_other_paths_are_not_found(path: str) -> None:
    assert files().reply("GET", path).status is HTTPStatus.NOT_FOUND


def test_readiness_and_health_are_different_questions() -> None:
    assert files(ready=False).reply("GET", "/healthz").status is HTTPStatus.OK
    answer = files(ready=False).reply("GET", "/readyz")
    assert (answer.status, json.loads(answer.body)) == (
        HTTPStatus.SERVICE_UNAVAILABLE,
        {"ready": False, "reason": "because"},
    )
    assert files().reply("GET", "/readyz").status is HTTPStatus.OK


@pytest.mark.parametrize("path", ["/api/noc/health/", "/api/noc/health"])
def test_the_chain_s_health_is_503_where_it_is_not_well(path: str) -> None:
    answer = files().reply("GET", path)
    assert (answer.status, answer.content_type, answer.body) == (HTTPStatus.OK, "application/json", b"{}")
    assert files(well=False).reply("GET", path).status is HTTPStatus.SERVICE_UNAVAILABLE
    assert answer.headers["Cache-Control"] == "no-store"


def test_metrics_and_methods() -> None:
    assert files().reply("GET", "/metrics", admin=True).body == b"metric 1\n"
    assert files().reply("HEAD", "/").body == b""
    assert files().reply("POST", "/").status is HTTPStatus.METHOD_NOT_ALLOWED


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    policy = dict(part.strip().split(" ", 1) for part in SECURITY_HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    page = (STATIC_DIR / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)
    for file in (STATIC_DIR / "index.html", STATIC_DIR / "style.css", *SCRIPTS):
        assert not re.search(r"https?://|url\(|@import|data:", file.read_text()), file


def test_text_from_messages_never_becomes_markup() -> None:
    for script in SCRIPTS:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script.read_text()
        )


def test_the_docs_tell_the_same_close_code_advice_as_the_contract() -> None:
    rows = re.findall(r"^\| (\d{4}) \| ([^|]+) \| (\w+) \| (\d+) s \|$", DOCS.read_text(), re.MULTILINE)
    assert {int(code): (meaning.strip(), reconnect, int(delay)) for code, meaning, reconnect, delay in rows} == {
        int(code): (advice.meaning, advice.reconnect.value, advice.delay_s_min) for code, advice in ADVICE.items()
    }
