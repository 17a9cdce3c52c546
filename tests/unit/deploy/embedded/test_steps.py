"""The graph of a start: order kept, side by side where possible, first failure reported, others called off."""

import threading
import time

import pytest

from common.errors import WatchfloorError
from deploy.embedded.steps import Step, Steps
from deploy.embedded.waiting import StartCalledOff, wait_until


def test_each_step_runs_after_what_it_needs_and_once() -> None:
    order: list[str] = []
    steps = {
        "c": Step(lambda: order.append("c"), ("a", "b")),
        "b": Step(lambda: order.append("b"), ("a",)),
        "a": Step(lambda: order.append("a")),
    }
    Steps(steps, threading.Event()).run()
    assert order == ["a", "b", "c"]


def test_independent_steps_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=5)
    Steps({"a": Step(meeting.wait), "b": Step(meeting.wait)}, threading.Event()).run()  # type: ignore[arg-type]
    assert not meeting.broken


def test_the_first_failure_is_raised_and_calls_the_others_off() -> None:
    over = threading.Event()
    reached: list[str] = []

    def fail() -> None:
        raise WatchfloorError("it broke", "mend it")

    def wait() -> None:
        wait_until(lambda: False, what="never", timeout_s=30, called_off=over.is_set)

    started = time.monotonic()
    steps = {"bad": Step(fail), "slow": Step(wait), "after": Step(lambda: reached.append("after"), ("bad",))}
    with pytest.raises(WatchfloorError, match="it broke: mend it"):
        Steps(steps, over).run()
    assert time.monotonic() - started < 5
    assert reached == []


def test_calling_off_from_outside_ends_the_start() -> None:
    over = threading.Event()
    threading.Timer(0.2, over.set).start()
    wait = Step(lambda: wait_until(lambda: False, what="never", timeout_s=30, called_off=over.is_set))
    with pytest.raises(StartCalledOff):
        Steps({"slow": wait}, over).run()


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody"):
        Steps({"a": Step(lambda: None, ("nobody",))}, threading.Event())


def test_waiting_names_what_did_not_come_and_stops_when_it_cannot_come() -> None:
    with pytest.raises(WatchfloorError, match="Kafka was not ready within 0 s"):
        wait_until(lambda: False, what="Kafka", timeout_s=0.1, called_off=lambda: False)

    def gone() -> None:
        raise WatchfloorError("it ended", "see its log")

    with pytest.raises(WatchfloorError, match="it ended"):
        wait_until(lambda: False, what="Kafka", timeout_s=30, called_off=lambda: False, alive=gone)
