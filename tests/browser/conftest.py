"""The page in a real browser: Debian's chromium, driven from outside; nothing is downloaded."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from support.gateway_fixtures import kafka_address, own_gateway

__all__ = ["kafka_address", "own_gateway"]

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} is missing: install chromium (Debian: apt-get install chromium), or set CHROMIUM")
    # Per module: while it is open this thread has a running event loop, which other tests cannot have.
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A fresh page. It fails the test on a script error or a breach of the content policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 760}, color_scheme="dark")
    fresh = context.new_page()
    complaints: list[str] = []
    fresh.on("pageerror", lambda error: complaints.append(str(error)))
    fresh.on("console", _collector(complaints))
    yield fresh
    fresh.screenshot(path=tmp_path / "last.png")
    context.close()
    assert complaints == []


def _collector(complaints: list[str]) -> Callable[..., None]:
    def collect(message: object) -> None:
        text = str(getattr(message, "text", message))
        if "Content Security Policy" in text:
            complaints.append(text)

    return collect
