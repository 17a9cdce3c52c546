"""TASK_OVERDUE and WORK_ORDER_OVERDUE: what is not done when its time has passed."""

from typing import Any

import pytest
from support.judged import Judged, at

from detectors.work.helpers.deadline import DeadlinePolicy
from detectors.work.task_overdue import TaskOverdue
from detectors.work.work_order_overdue import WorkOrderOverdue

BOTH = pytest.mark.parametrize(
    ("detector", "done"), [(TaskOverdue(), "COMPLETED"), (WorkOrderOverdue(), "DONE")], ids=["task", "work order"]
)


@BOTH
def test_what_is_not_done_in_time_is_reported_once(detector: Any, done: str) -> None:
    sut = Judged(detector)
    sut.insert(0, status="OPEN", due_at=at(60))
    assert sut.wait(59) == []
    (draft,) = sut.wait(60)
    assert draft.evidence["status"] == "OPEN"
    assert sut.wait(1_000) == []
    sut.update(61, status="IN_PROGRESS")
    assert sut.due_minutes() is None


@BOTH
def test_what_was_done_or_cancelled_is_not_reported(detector: Any, done: str) -> None:
    for status in (done, "CANCELLED"):
        sut = Judged(detector)
        sut.insert(0, status="OPEN", due_at=at(60))
        sut.update(30, status=status)
        assert sut.state is None


@BOTH
def test_a_deadline_that_is_moved_is_waited_for_anew_also_after_it_was_reported(detector: Any, done: str) -> None:
    sut = Judged(detector)
    sut.insert(0, status="OPEN", due_at=at(60))
    sut.update(10, due_at=at(90))
    assert sut.due_minutes() == 90
    assert sut.wait(90)
    sut.update(100, due_at=at(120), logged=False)
    assert sut.wait(120)


@BOTH
def test_without_a_deadline_nothing_is_judged_and_the_same_row_changes_nothing(detector: Any, done: str) -> None:
    sut = Judged(detector)
    sut.insert(0, status=None)
    assert sut.state is None
    sut.update(1, due_at=at(5))
    state = sut.state
    sut.update(2)
    assert sut.state is state


def test_the_grace_puts_it_off() -> None:
    sut = Judged(TaskOverdue(), DeadlinePolicy(grace_minutes=10))
    sut.insert(0, status="ASSIGNED", due_at=at(60))
    assert sut.due_minutes() == 70
