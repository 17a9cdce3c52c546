"""`watchfloor doctor`: every component that is not there is named, with what to do."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def dead_settings(state_dir: Path, dead_port: int) -> Path:
    """Settings of a chain of which nothing runs."""
    config = state_dir / "watchfloor.toml"
    with config.open("a") as file:
        file.write(f'[kafka]\nbootstrap_servers = "127.0.0.1:{dead_port}"\n')
        file.write(f"[source]\nport = {dead_port}\n")
        file.write(f'[connect]\nurl = "http://127.0.0.1:{dead_port}"\n')
        file.write(f"[worker.metrics]\nport = {dead_port}\n[gateway]\nport = {dead_port}\n")
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
    assert lines[-1] == "6 to fix"
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
