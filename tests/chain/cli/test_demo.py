"""`watchfloor demo` as its users run it: what it plants is what the feed shows, also on the second day.

Also of watchfloor/cli/demo.py.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
from support.waiting import until

from simulation.live.planting import PLANTED_TYPES
from simulation.live.transactions import RATE_LIMITED, TICKET_UPDATED

START_TIMEOUT_S = 180


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A directory that PostgreSQL's own user can reach, where the tests run as root."""
    for directory in (tmp_path, *tmp_path.parents[:3]):
        directory.chmod(directory.stat().st_mode | 0o011)
    return tmp_path / "state"


class Demo:
    """A demo in a process of its own."""

    def __init__(self, state_dir: Path, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WATCHFLOOR_STATE")}
        state_dir.mkdir(exist_ok=True)
        self._words = state_dir / "demo.err"
        self._output = state_dir / "demo.out"
        with self._words.open("w") as err, self._output.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "watchfloor", "demo", "--state-dir", str(state_dir), *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def address(self) -> str:
        """The page's address with its sign-in, once it is printed."""

        def printed() -> str | None:
            assert self.process.poll() is None, self._words.read_text()
            found = re.match(r"ready: (\S+)\n", self._output.read_text())
            return found[1] if found else None

        return until(printed, "the demo is ready", within_s=START_TIMEOUT_S)

    def ended(self, timeout_s: float = 120) -> str:
        """What it said, after its end."""
        assert self.process.wait(timeout_s) == 0, self._words.read_text()
        return self._words.read_text()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)


@pytest.fixture
def demo(state_dir: Path, request: pytest.FixtureRequest) -> Callable[..., Demo]:
    def start(*arguments: str) -> Demo:
        started = Demo(state_dir, *arguments)
        request.addfinalizer(started.kill)
        return started

    return start


def counts(words: str) -> dict[str, tuple[int, int]]:
    """Kind to (planted, seen), of the summary at the end."""
    return {
        kind: (int(planted), int(seen))
        for kind, planted, seen in re.findall(r"^watchfloor: (\S+) +planted +(\d+) +seen +(\d+)$", words, re.MULTILINE)
    }


@pytest.mark.timeout(500)
def test_the_feed_shows_exactly_what_was_planted_and_a_second_day_goes_on(
    demo: Callable[..., Demo], state_dir: Path
) -> None:
    arguments = ("--rate", "60", "--anomaly-rate", "0.05", "--burst-every", "4", "--tenants", "2")
    first = demo(*arguments, "--seconds", "12")
    page, _, code = first.address().partition("/#code=")
    assert httpx.get(f"{page}/").status_code == 200
    assert "." not in code
    given = httpx.post(f"{page}/api/noc/sign-in", headers={"Authorization": f"Code {code}"})
    assert given.json()["token"].count(".") == 2
    assert httpx.post(f"{page}/api/noc/sign-in", headers={"Authorization": f"Code {code}"}).status_code == 401
    words = first.ended()
    planted = counts(words)
    assert set(planted) == {*PLANTED_TYPES, TICKET_UPDATED, RATE_LIMITED}
    assert {kind: both for kind, both in planted.items() if both[0] != both[1]} == {}, words
    assert "watchfloor: unplanned findings 0\n" in words
    assert sum(planted[kind][0] for kind in PLANTED_TYPES) >= 15
    assert len([kind for kind in PLANTED_TYPES if planted[kind][0]]) >= 8
    assert planted["rate_limited"][0] >= 1
    assert not (state_dir / "endpoints.json").exists()

    second = demo(*arguments, "--seed", "9")
    second.address()
    until(lambda: "rows written" in (state_dir / "demo.err").read_text(), "rows are written again", within_s=30)
    dsn = re.search(r'"postgres": "([^"]+)"', (state_dir / "endpoints.json").read_text())
    assert dsn is not None
    with psycopg.connect(dsn[1]) as connection:
        assert connection.execute("SELECT count(DISTINCT id) = count(*) FROM location").fetchone() == (True,)
        assert connection.execute("SELECT count(*) FROM tenant").fetchone() == (2,)
    second.process.send_signal(signal.SIGINT)
    words = second.ended()
    assert "Traceback" not in words
    assert {kind: both for kind, both in counts(words).items() if both[0] != both[1]} == {}, words
    assert "watchfloor: unplanned findings 0\n" in words
