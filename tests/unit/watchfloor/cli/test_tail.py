"""`watchfloor tail` as a process: what it prints, and how it ends.

Also of watchfloor/cli/terminal.py.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.waiting import let_pass

Run = Callable[..., subprocess.CompletedProcess[str]]


def steady(visit: Any) -> None:
    """A gateway that shows a message now and then for as long as somebody watches."""
    visit.welcome()
    for seq in range(1, 200):
        visit.anomaly(seq, seq - 1, anomaly_type="WRONG_PERSON", severity="HIGH", title=f"number {seq}")
        let_pass(0.05)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("t\n")
    return file


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `watchfloor tail …` and end it with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WATCHFLOOR_")}
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "watchfloor", "tail", *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_messages_go_to_output_and_notices_to_error(
    watchfloor: Run, scripted: Callable[..., Any], token_file: Path
) -> None:
    gateway = scripted(steady)
    done = watchfloor("tail", "--url", gateway.url, "--token-file", str(token_file), "--count", "3")
    assert done.returncode == 0
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["1", "2", "3"]
    assert "connected as tenant 1" in done.stderr
    assert gateway.tokens == ["t"]


def test_json_is_one_object_a_line_as_it_came(watchfloor: Run, scripted: Callable[..., Any], token_file: Path) -> None:
    done = watchfloor("tail", "--url", scripted(steady).url, "--token-file", str(token_file), "--json", "--count", "2")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["seq"], second["seq"]) == (1, 2)


def test_clients_and_sites_narrow_what_is_shown(
    watchfloor: Run, scripted: Callable[..., Any], token_file: Path
) -> None:
    gateway = scripted(steady)
    narrowed = ("--site", "4", "--site", "5", "--client", "3")
    watchfloor("tail", "--url", gateway.url, "--token-file", str(token_file), "--count", "1", *narrowed)
    assert (gateway.visits[0].first["site_ids"], gateway.visits[0].first["client_ids"]) == ([4, 5], [3])


def test_what_was_missed_is_shown_after_a_notice(
    watchfloor: Run, scripted: Callable[..., Any], token_file: Path
) -> None:
    def first(visit: Any) -> None:
        visit.welcome()
        visit.anomaly(1, 0, severity="LOW", title="one")
        visit.close(1012)

    def second(visit: Any) -> None:
        visit.welcome(seq=2)
        visit.resumed(2, 2)
        visit.anomaly(2, 1, severity="LOW", title="two")
        visit.stay()

    gateway = scripted(first, second)
    done = watchfloor("tail", "--url", gateway.url, "--token-file", str(token_file), "--count", "2")
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["one", "two"]
    assert "watchfloor: resumed: messages 2 to 2 follow" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_trace(
    start: Callable[..., subprocess.Popen[str]], scripted: Callable[..., Any], token_file: Path, number: signal.Signals
) -> None:
    process = start("--url", scripted(steady).url, "--token-file", str(token_file))
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert "watchfloor: connected" in errors


def test_it_ends_when_its_reader_has_seen_enough(
    start: Callable[..., subprocess.Popen[str]], scripted: Callable[..., Any], token_file: Path
) -> None:
    process = start("--url", scripted(steady).url, "--token-file", str(token_file))
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=10) == 0
    assert process.stderr is not None
    assert "Broken" not in process.stderr.read()


def test_it_ends_on_a_quiet_feed_too_when_its_reader_is_gone(
    start: Callable[..., subprocess.Popen[str]], scripted: Callable[..., Any], token_file: Path
) -> None:
    quiet = scripted(lambda visit: (visit.welcome(), visit.stay()))
    process = start("--url", quiet.url, "--token-file", str(token_file))
    assert process.stderr is not None
    process.stderr.readline()
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=10) == 0


def test_a_refusal_is_one_line_that_says_what_to_do(
    watchfloor: Run, scripted: Callable[..., Any], token_file: Path
) -> None:
    gateway = scripted(lambda visit: visit.close(4403, "no tenant"))
    done = watchfloor("tail", "--url", gateway.url, "--token-file", str(token_file))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "use a token with a tenant and the capability noc:view" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--url", "ws://127.0.0.1:1"], "give a file with a token with --token-file"),
        (["--url", "ws://127.0.0.1:1", "--token-file", "/nowhere"], "cannot be read"),
        (["--token-file", "/dev/null"], "add --url"),
        (["--url", "ws://127.0.0.1:1", "--token-file", "/dev/null"], "is empty"),
        (["--url", "ws://noc.example.com", "--token-file", "TOKEN"], "use wss://"),
        (["--url", "ftp://x", "--token-file", "TOKEN"], "not a WebSocket address"),
        (["--url", "ws://127.0.0.1:1", "--token-file", "TOKEN", "--tenant", "2"], "leave them out"),
        (["--stream", "everything"], "use dashboard or anomaly"),
        (["--state-dir", "/nowhere"], "there is no stack in /nowhere"),
    ],
)
def test_wrong_input_is_one_line(watchfloor: Run, token_file: Path, arguments: list[str], said: str) -> None:
    done = watchfloor("tail", *(str(token_file) if argument == "TOKEN" else argument for argument in arguments))
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_stack_that_is_stopped_is_said_to_be(watchfloor: Run, state_dir: Path) -> None:
    done = watchfloor("tail", "--state-dir", str(state_dir))
    assert done.returncode == 1
    assert "is not running: start it with `watchfloor up`" in done.stderr


def test_the_stack_of_this_machine_needs_no_token(
    watchfloor: Run, scripted: Callable[..., Any], state_dir: Path
) -> None:
    gateway = scripted(steady)
    endpoints = {
        "postgres": "",
        "kafka": "",
        "connect": "",
        "gateway": "",
        "websocket": gateway.url,
        "metrics": {},
        "pids": {},
    }
    (state_dir / "endpoints.json").write_text(json.dumps(endpoints))
    done = watchfloor("tail", "--state-dir", str(state_dir), "--stream", "anomaly", "--count", "1")
    assert done.returncode == 0, done.stderr
    assert gateway.paths == ["/ws/noc/anomaly-stream/"]
    assert gateway.tokens[0].count(".") == 2


def test_a_damaged_endpoints_file_is_one_line(watchfloor: Run, state_dir: Path) -> None:
    (state_dir / "endpoints.json").write_text("{")
    done = watchfloor("tail", "--state-dir", str(state_dir))
    assert done.returncode == 1
    assert "endpoints.json cannot be read" in done.stderr
