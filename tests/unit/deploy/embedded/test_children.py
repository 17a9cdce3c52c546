"""Children, their records, their restarts and what happens when the launcher is killed: with real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from support.waiting import until

from common.errors import WatchfloorError
from deploy.embedded.child import Child, ChildSpec
from deploy.embedded.connector_watch import ConnectorWatch
from deploy.embedded.diagnosis import ended_while_starting
from deploy.embedded.logfiles import cut_log, last_lines, open_log
from deploy.embedded.options import StackOptions
from deploy.embedded.processes import ProcessRecord, RecordFile, is_alive, read_records, stop_in_order, stop_leftovers
from deploy.embedded.supervisor import Supervisor

OPTIONS = StackOptions(restart_delay_s_min=0.05, restart_delay_s_max=0.2, healthy_after_s=30, connector_poll_s=0.02)
SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


class Said:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, list[str]]] = []

    def step(self, name: str, text: str) -> None: ...
    def done(self, name: str, text: str = "ready") -> None: ...
    def download(self, name: str, arrived_bytes: int, total_bytes: int) -> None: ...
    def close(self) -> None: ...

    def event(self, text: str, details: list[str] | None = None) -> None:
        self.events.append((text, details or []))


Make = Callable[..., Child]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    records = RecordFile(tmp_path / "launcher-1.json")
    made: list[Child] = []

    def child(program: str, name: str = "one", rank: int = 10, stop_timeout_s: float = 5.0) -> Child:
        argv = (sys.executable, "-c", program)
        log = tmp_path / f"{name}.log"
        made.append(Child(ChildSpec(name, argv, log, rank, env=os.environ, stop_timeout_s=stop_timeout_s), records))
        return made[-1]

    yield child
    for one in made:
        one.stop(hard=True)


def up(child: Child) -> None:
    until(lambda: child.last_words(1) == ["up"], f"{child.spec.name} says that it is up")


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


def test_a_running_child_is_recorded_with_its_identity(make: Make, tmp_path: Path) -> None:
    child = make(SLEEP)
    child.start()
    [record] = read_records(tmp_path / "launcher-1.json")
    assert (record.name, record.pid) == ("one", child.pid)
    assert is_alive(record)


def test_another_process_with_a_recorded_id_is_left_alone(make: Make) -> None:
    child = make(SLEEP)
    child.start()
    assert child.pid is not None
    reused = ProcessRecord("old", child.pid, psutil.Process(child.pid).create_time() - 3600, 1, signal.SIGKILL, 1.0)
    assert stop_in_order([reused]) == []
    assert child.running()


def test_leftovers_stop_rank_by_rank(make: Make, tmp_path: Path) -> None:
    said = "import signal, sys, time\nsignal.signal(15, lambda *_: (print('ended', time.time_ns()), sys.exit()))\n"
    gateway, kafka = make(said + SLEEP, "gateway", 10), make(said + SLEEP, "kafka", 40)
    for child in (kafka, gateway):
        child.start()
        up(child)
    assert sorted(stop_leftovers(tmp_path)) == ["gateway", "kafka"]
    ended = [int(child.last_words(1)[0].split()[1]) for child in (gateway, kafka)]
    assert ended[0] < ended[1]
    assert stop_leftovers(tmp_path) == []


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"pid": 1}]', "null"])
def test_a_broken_record_file_stops_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "launcher-7.json").write_text(text)
    assert stop_leftovers(tmp_path) == []


def test_the_guard_stops_the_children_of_a_killed_launcher(tmp_path: Path) -> None:
    # The launcher: starts a child and the guard, says both ids, then sleeps until it is killed.
    program = f"""
import os, sys, time, pathlib, threading
from deploy.embedded.child import ChildSpec
from deploy.embedded.launcher import Launcher
from deploy.embedded.options import StackOptions
from deploy.embedded.progress import PlainReporter
from deploy.embedded.state import StateDir
state = StateDir(pathlib.Path({str(tmp_path / "s")!r})); state.open()
launcher = Launcher(state, StackOptions(), PlainReporter(), threading.Event())
launcher.start_guard()
child = launcher.start(ChildSpec("one", (sys.executable, "-c", "import time; time.sleep(60)"), state.log("one"), 1))
state.write_endpoints({{}})
print(child.pid, flush=True)
time.sleep(60)
"""
    launcher = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    child = psutil.Process(int(launcher.stdout.readline()))
    launcher.kill()
    launcher.wait()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the child is stopped", within_s=10)
    until(lambda: not list((tmp_path / "s" / "run").iterdir()), "the guard clears the records", within_s=10)
    assert not (tmp_path / "s" / "endpoints.json").exists()


def supervise(child: Child, said: Said, restarts: list[int | None], failures: list[WatchfloorError]) -> Supervisor:
    supervisor = Supervisor(OPTIONS, said, on_restart=lambda: restarts.append(child.pid), on_fatal=failures.append)
    supervisor.start([child])
    return supervisor


def test_a_child_that_dies_is_told_with_its_last_lines_and_started_again(make: Make) -> None:
    child, said, restarts, failures = make(SLEEP), Said(), list[int | None](), list[WatchfloorError]()
    child.start()
    up(child)
    first = child.pid
    supervisor = supervise(child, said, restarts, failures)
    os.kill(first or 0, signal.SIGKILL)
    until(lambda: restarts, "the restart")
    supervisor.stop()
    assert child.pid == restarts[0] != first
    text, lines = said.events[0]
    assert "one was killed by SIGKILL; it is started again in 0.05 s" in text
    assert lines == ["up"]
    assert failures == []


def test_restarts_of_a_child_that_keeps_dying_are_further_and_further_apart(make: Make) -> None:
    child, said = make("raise SystemExit(3)"), Said()
    child.start()
    supervisor = supervise(child, said, [], [])
    until(lambda: len(said.events) >= 5, "five deaths", within_s=20)
    supervisor.stop()
    delays = [float(text.split(" in ")[1].split(" s")[0]) for text, _ in said.events[:5]]
    assert delays == [0.05, 0.1, 0.2, 0.2, 0.2]
    assert "ended with code 3" in said.events[0][0]


def test_a_full_disk_ends_the_stack_instead_of_restarting_for_ever(make: Make) -> None:
    child, failures = make("print('PANIC: No space left on device'); raise SystemExit(1)"), list[WatchfloorError]()
    child.start()
    supervisor = supervise(child, Said(), [], failures)
    until(lambda: failures, "the failure")
    supervisor.stop()
    assert str(failures[0]).startswith("the disk is full: one ended with code 1: free space")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("java.io.IOException: No space left on device", "the disk is full"),
        ("java.net.BindException: Address already in use", "another program took its port"),
        ("FATAL:  could not open file", "could not open file"),
        ("watchfloor: no Kafka broker answers: start it", "while starting: no Kafka broker answers"),
    ],
)
def test_an_end_while_starting_says_why_in_one_line(make: Make, line: str, expected: str) -> None:
    child = make(f"print({line!r}); print('\\tat some.Java.frame(Error.java:1)'); raise SystemExit(1)")
    child.start()
    until(lambda: child.exit_code() is not None, "its end")
    failure = str(ended_while_starting(child, child.last_words(10)))
    assert expected in failure
    assert "\n" not in failure


def test_failed_tasks_are_restarted_after_growing_delays_until_all_is_well() -> None:
    said, times, answers = Said(), list[float](), iter([["boom"], ["boom"], ["boom"]])

    def restart() -> list[str]:
        times.append(time.monotonic())
        return next(answers, [])

    watch = ConnectorWatch(OPTIONS, said, restart)
    watch.start()
    until(lambda: len(times) >= 6, "six looks")
    watch.stop()
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] >= 0.04
    assert gaps[1] >= 0.08
    assert gaps[2] >= 0.16
    assert gaps[3] < gaps[2]
    assert [lines for _, lines in said.events] == [["boom"]] * 3


def test_an_absent_connect_does_not_end_the_watch() -> None:
    looks = []

    def restart() -> list[str]:
        looks.append(1)
        raise WatchfloorError("no Kafka Connect answers", "start it")

    watch = ConnectorWatch(OPTIONS, Said(), restart)
    watch.start()
    until(lambda: len(looks) >= 3, "three looks")
    watch.stop()


def test_a_log_over_its_limit_is_set_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "one.log"
    with open_log(path, 1000) as log:
        log.write(b"a" * 1001)
        assert cut_log(path, 1000)
        log.write(b"after\n")
    assert path.read_bytes() == b"after\n"
    assert (tmp_path / "one.log.1").stat().st_size == 1001
    assert not cut_log(path, 1000)


def test_last_lines_begin_where_the_child_began_and_hold_no_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "one.log"
    path.write_bytes(b"old\n\x1b[31mred\x1b[0m\n\nlast \xff\n")
    assert last_lines(path, 5, start=4) == ["[31mred[0m", "last \N{REPLACEMENT CHARACTER}"]
    assert last_lines(path, 1) == ["last \N{REPLACEMENT CHARACTER}"]
    assert last_lines(tmp_path / "none", 5) == []


def test_records_are_whole_at_any_time(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "launcher-1.json")
    for number in range(3):
        file.put(ProcessRecord(f"p{number}", number, 0.0, 1, 15, 1.0))
        assert len(json.loads(file.path.read_text())) == number + 1
    file.delete()
    assert not list(tmp_path.iterdir())
