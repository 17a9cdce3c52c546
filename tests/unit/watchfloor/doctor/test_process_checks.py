"""What is said of the processes of the stack, of the disk, and of a sign-in."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.settings.load import Settings, load_settings
from watchfloor.doctor import process_checks as processes
from watchfloor.doctor.checks import Report, Result, State, Target
from watchfloor.local_stack import Endpoints


def machine(state_dir: Path, pids: dict[str, Any]) -> list[Result]:
    endpoints = Endpoints("", "", "", "", "", {}, pids)
    report = Report("machine")
    asyncio.run(processes.probe_machine(Target(Settings(), state_dir, endpoints), report))
    return report.results


def sign_in(config: Path, url: str) -> Result:
    endpoints = Endpoints("", "", "", "", url, {})
    report = Report("gateway")
    asyncio.run(processes._sign_in(Target(load_settings(config, environ={}), None, endpoints), report))
    [result] = report.results
    return result


def test_a_process_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert machine(tmp_path, {"kafka": 1, "worker": [1]})[0].state is State.OK
    result = machine(tmp_path, {"kafka": 1, "worker": [1, gone.pid]})[0]
    assert (result.state, result.detail) == (State.PROBLEM, "not running: worker")


@pytest.mark.parametrize(
    ("gateway", "state", "words"),
    [
        ({}, State.OK, "listens at 127.0.0.1"),
        ({"host": "10.0.0.1"}, State.PROBLEM, "shared secret"),
        ({"host": "10.0.0.1", "allow_insecure": True}, State.OK, "gateway.allow_insecure insists"),
    ],
)
def test_a_gateway_that_is_not_safe_where_it_listens_is_told(gateway: dict[str, Any], state: State, words: str) -> None:
    report = Report("gateway")
    processes._exposure(Target(Settings(gateway=gateway)), report)
    (result,) = report.results
    assert (result.state, words in result.detail) == (state, True)


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine(tmp_path, {})[-1].state is State.OK
    monkeypatch.setattr(processes, "_free_mib", lambda _: 17)
    disk = machine(tmp_path, {})[-1]
    assert disk.state is State.PROBLEM
    assert "17 MiB" in disk.detail


def test_the_sign_in_is_tried_with_a_token_of_the_settings(scripted: Callable[..., Any], state_dir: Path) -> None:
    config = state_dir / "watchfloor.toml"
    opened = scripted(lambda visit: (visit.welcome(seq=9), visit.stay()))
    assert sign_in(config, opened.url).state is State.OK
    refused = sign_in(config, scripted(lambda visit: visit.close(4401)).url)
    assert refused.state is State.PROBLEM
    assert "restart" in refused.advice
    config.write_text('[auth]\nalgorithm = "RS256"\njwks_url = "https://id.example/keys"\n')
    assert sign_in(config, opened.url).state is State.UNKNOWN
