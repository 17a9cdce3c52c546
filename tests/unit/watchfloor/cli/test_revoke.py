"""`watchfloor revoke` where nothing can be revoked: one line that says why."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no user and no token is given"),
        (["--tenant", "1"], "no user and no token is given"),
        (["--user", "ops"], "no user and no token is given"),
        (["--tenant", "1", "--user", " "], "--user is empty"),
        (["--jti", ""], "--jti is empty"),
        (["--jti", "x" * 257], "longer than 256"),
    ],
)
def test_who_is_meant_must_be_said(watchfloor: Run, state_dir: Path, arguments: list[str], said: str) -> None:
    done = watchfloor("revoke", "--state-dir", str(state_dir), *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_broker_nothing_is_said_to_be_revoked(watchfloor: Run, state_dir: Path) -> None:
    nowhere = {"WATCHFLOOR_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    done = watchfloor("revoke", "--state-dir", str(state_dir), "--tenant", "1", "--user", "ops", **nowhere)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no Kafka broker answers at 127.0.0.1:9" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_directory_without_a_stack_is_named(watchfloor: Run, tmp_path: Path) -> None:
    done = watchfloor("revoke", "--state-dir", str(tmp_path), "--jti", "a")
    assert done.returncode == 1
    assert "there is no stack" in done.stderr
