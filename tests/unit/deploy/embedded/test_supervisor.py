"""A child that dies is started again, later each time; some deaths end the stack."""

import os
import signal

from support.child_processes import OPTIONS, SLEEP, Make, Said, up
from support.waiting import until

from common.errors import WatchfloorError
from deploy.embedded.child import Child
from deploy.embedded.supervisor import Supervisor


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
    assert "one was killed by SIGKILL; it will be restarted in 0.05 s" in text
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
