"""A child logs to its file and is stopped in its time."""

import signal
from pathlib import Path

import pytest
from support.child_processes import SLEEP, STUBBORN, Make, up

from common.errors import WatchfloorError
from deploy.embedded.child import Child, ChildSpec
from deploy.embedded.processes import RecordFile


def test_a_child_logs_to_its_file_and_stops_on_its_signal(make: Make) -> None:
    child = make(SLEEP)
    child.start()
    up(child)
    child.stop()
    assert child.exit_code() == -signal.SIGTERM


def test_a_child_that_does_not_stop_in_its_time_is_killed(make: Make) -> None:
    child = make(STUBBORN, stop_timeout_s=0.3)
    child.start()
    up(child)
    child.stop()
    assert child.exit_code() == -signal.SIGKILL


def test_a_stopped_child_is_not_started_again(make: Make) -> None:
    child = make(SLEEP)
    child.stop()
    child.start()
    assert child.pid is None


def test_a_missing_program_is_one_clear_failure(tmp_path: Path) -> None:
    spec = ChildSpec("kafka", ("/no/such/java",), tmp_path / "log", 1)
    with pytest.raises(WatchfloorError, match=r"kafka cannot be started .*/no/such/java"):
        Child(spec, RecordFile(tmp_path / "r.json")).start()
