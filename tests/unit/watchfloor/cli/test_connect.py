"""`watchfloor connect` as somebody types it: output and exit codes."""

from pathlib import Path

import pytest
from support.scripted_connect import Cluster

from watchfloor import cli


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["watchfloor", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture
def config(cluster: Cluster, tmp_path: Path) -> str:
    path = tmp_path / "watchfloor.toml"
    path.write_text(f'[connect]\nurl = "{cluster.url}"\n', encoding="utf-8")
    return str(path)


def test_status_of_a_running_task_exits_with_0(
    cluster: Cluster, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.config = {}
    assert run(monkeypatch, "--config", config, "connect", "status") == 0
    assert "RUNNING" in capsys.readouterr().out


def test_status_of_a_failed_task_shows_why_and_exits_with_1(
    cluster: Cluster, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.config, cluster.fails = {}, True
    assert run(monkeypatch, "--config", config, "connect", "status") == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "FAILED" in shown
    assert "Publication" in shown


def test_status_without_a_connector_says_how_to_register_it(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--config", config, "connect", "status") == 1
    assert capsys.readouterr().err.strip().endswith("run watchfloor connect apply")


def test_a_stack_is_found_by_its_directory_or_where_stacks_are_by_default(
    cluster: Cluster, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.config = {}
    where = str(Path(config).parent)
    assert run(monkeypatch, "connect", "status", "--state-dir", where) == 0
    monkeypatch.setenv("WATCHFLOOR_STATE_DIR", where)
    assert run(monkeypatch, "connect", "status") == 0
    assert capsys.readouterr().out.count("connector") == 2
    assert run(monkeypatch, "connect", "apply", "--state-dir", f"{where}/none") == 1
    assert "there is no stack in" in capsys.readouterr().err


def test_without_a_stack_the_environment_is_enough(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster.config = {}
    monkeypatch.setenv("WATCHFLOOR_STATE_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("WATCHFLOOR_CONNECT__URL", cluster.url)
    assert run(monkeypatch, "connect", "status") == 0


def test_sql_is_plain_text_for_psql(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "connect", "sql") == 0
    out = capsys.readouterr().out
    assert out.endswith(";\n")
    assert "\x1b" not in out


@pytest.mark.parametrize("command", ["apply", "status", "sql"])
def test_help_has_an_example(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "connect", command, "--help") == 0
    assert "Example" in capsys.readouterr().out
