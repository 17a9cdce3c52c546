"""`watchfloor doctor`: every component that is not there is named, with what to do."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.errors import WatchfloorError
from common.settings.load import Settings, load_settings
from watchfloor.doctor import process_checks as processes
from watchfloor.doctor.checks import Probe, Report, Result, State, Target, examine
from watchfloor.doctor.source_checks import _judge_slot
from watchfloor.local_stack import Endpoints

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def dead_settings(state_dir: Path, dead_port: int) -> Path:
    """Settings of a chain of which nothing runs."""
    config = state_dir / "watchfloor.toml"
    with config.open("a") as file:
        file.write(f'[kafka]\nbootstrap_servers = "127.0.0.1:{dead_port}"\n')
        file.write(f"[source]\nport = {dead_port}\n")
        file.write(f'[connect]\nurl = "http://127.0.0.1:{dead_port}"\n')
        file.write(f"[worker]\nmetrics_port = {dead_port}\n[gateway]\nport = {dead_port}\n")
    return config


def by_check(results: list[Any]) -> dict[tuple[str, str], Any]:
    return {(result["component"], result["check"]): result for result in results}


def test_a_chain_of_which_nothing_runs_has_a_cure_for_each_component(watchfloor: Run, dead_settings: Path) -> None:
    done = watchfloor("--config", str(dead_settings), "doctor", "--json", "--timeout-s", "5")
    assert done.returncode == 1
    assert done.stderr == ""
    results = by_check(json.loads(done.stdout))
    for component, check in (
        ("postgres", "reachable"),
        ("kafka", "reachable"),
        ("connect", "reachable"),
        ("worker", "metrics"),
        ("gateway", "alive"),
    ):
        assert results[component, check]["state"] == "problem"
        assert results[component, check]["advice"]
    # What depends on them is neither well nor a further problem.
    assert results["gateway", "sign-in"]["state"] == "unknown"
    assert results["postgres", "slot"]["state"] == "unknown"


def test_the_table_has_a_line_a_check_and_ends_with_the_count(watchfloor: Run, dead_settings: Path) -> None:
    done = watchfloor("doctor", "--state-dir", str(dead_settings.parent), "--timeout-s", "5")
    assert done.returncode == 1
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines[-1] == "6 to cure"
    assert any(line.startswith("machine") and "no stack is ready in" in line for line in lines)
    assert sum("→ " in line for line in lines) == 6


def test_a_directory_without_a_stack_is_one_line(watchfloor: Run, tmp_path: Path) -> None:
    done = watchfloor("doctor", "--state-dir", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "there is no stack in" in done.stderr


def test_wrong_settings_are_one_line(watchfloor: Run, state_dir: Path) -> None:
    (state_dir / "watchfloor.toml").write_text("[kafka]\npartitons = 3\n")
    done = watchfloor("doctor", "--state-dir", str(state_dir))
    assert done.returncode == 1
    assert "unknown setting kafka.partitons" in done.stderr


def run_probes(*probes: Probe, timeout_s: float = 0.2) -> list[Result]:
    return asyncio.run(examine(Target(Settings(), timeout_s=timeout_s), probes))


def test_a_component_that_hangs_is_a_problem_and_holds_up_no_other() -> None:
    async def hang(_: Target, report: Report) -> None:
        report.ok("first", "still answered")
        await asyncio.sleep(60)

    async def well(_: Target, report: Report) -> None:
        report.ok("alive", "here")

    results = run_probes(Probe("slow", hang, "look"), Probe("quick", well, ""))
    assert [(result.component, result.check, result.state) for result in results] == [
        ("slow", "first", State.OK),
        ("slow", "answers", State.PROBLEM),
        ("quick", "alive", State.OK),
    ]
    assert results[1].advice == "look"


def test_a_failure_that_says_what_to_do_is_reported_as_it_is() -> None:
    async def fail(_: Target, report: Report) -> None:
        report.ok("first", "")
        raise WatchfloorError("the thing is broken", "mend it")

    failed = run_probes(Probe("thing", fail, "unused"))[-1]
    assert (failed.state, failed.detail, failed.advice) == (State.PROBLEM, "the thing is broken", "mend it")


@pytest.mark.parametrize(
    ("row", "state", "said"),
    [
        ((True, "reserved", 2048), State.OK, "2 KiB not yet captured"),
        (None, State.PROBLEM, "missing"),
        ((False, "reserved", 0), State.PROBLEM, "nobody reads slot"),
        ((True, "extended", 1 << 30), State.PROBLEM, "behind"),
        ((False, "lost", 0), State.PROBLEM, "lost log"),
    ],
)
def test_a_slot_is_judged_by_its_reader_and_its_backlog(
    row: tuple[bool, str, int] | None, state: State, said: str
) -> None:
    report = Report("postgres")
    _judge_slot("watchfloor", row, report)
    [result] = report.results
    assert result.state is state
    assert said in result.detail
    assert bool(result.advice) == (state is State.PROBLEM)


def machine(state_dir: Path, pids: dict[str, Any]) -> list[Result]:
    endpoints = Endpoints("", "", "", "", "", {}, pids)
    report = Report("machine")
    asyncio.run(processes.probe_machine(Target(Settings(), state_dir, endpoints), report))
    return report.results


def test_a_process_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert machine(tmp_path, {"kafka": 1, "worker": [1]})[0].state is State.OK
    result = machine(tmp_path, {"kafka": 1, "worker": [1, gone.pid]})[0]
    assert (result.state, result.detail) == (State.PROBLEM, "not alive: worker")


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine(tmp_path, {})[-1].state is State.OK
    monkeypatch.setattr(processes, "_free_mib", lambda _: 17)
    disk = machine(tmp_path, {})[-1]
    assert disk.state is State.PROBLEM
    assert "17 MiB" in disk.detail


def sign_in(config: Path, url: str) -> Result:
    endpoints = Endpoints("", "", "", "", url, {})
    report = Report("gateway")
    asyncio.run(processes._sign_in(Target(load_settings(config, environ={}), None, endpoints), report))
    [result] = report.results
    return result


def test_the_sign_in_is_tried_with_a_token_of_the_settings(scripted: Callable[..., Any], state_dir: Path) -> None:
    config = state_dir / "watchfloor.toml"
    opened = scripted(lambda visit: (visit.welcome(seq=9), visit.stay()))
    assert sign_in(config, opened.url).state is State.OK
    refused = sign_in(config, scripted(lambda visit: visit.close(4401)).url)
    assert refused.state is State.PROBLEM
    assert "restart" in refused.advice
    config.write_text('[auth]\nalgorithm = "RS256"\njwks_url = "https://id.example/keys"\n')
    assert sign_in(config, opened.url).state is State.UNKNOWN
