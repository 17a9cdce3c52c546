"""TASK_OVERDUE: a task or tour that is not done when its time has passed."""

from contracts.findings import Category, FindingType
from detectors.work.helpers.deadline import OverdueDetector


class TaskOverdue(OverdueDetector):
    """Due at `due_at + grace` while the status is neither COMPLETED nor CANCELLED; a deadline as in any schedule.

    Reported once; a deadline that is moved is a new one. A task without `due_at` is not judged, and neither is one that
    was done late but is done when its row arrives.

    >>> from detectors.work.helpers.deadline import Deadline, DeadlinePolicy
    >>> detector, policy = TaskOverdue(), DeadlinePolicy(grace_minutes=5.0)
    >>> state = Deadline(due_ms=1_000, status="ASSIGNED")
    >>> detector.due_ms(state, policy)
    301000
    >>> state, (draft,) = detector.expire(state, 301_000, policy)
    >>> draft.evidence["observed_minutes"], draft.evidence["threshold"], detector.due_ms(state, policy)
    (5.0, 5.0, None)
    """

    name = "task_overdue"
    tables = ("jobneed",)
    ended = frozenset({"COMPLETED", "CANCELLED"})
    finding_type = FindingType.TASK_OVERDUE
    category = Category.TASK
    title = "A task is overdue at {site_name}"
    subject = "The task of {person_name}"
    deadline = "its time"


DETECTOR = TaskOverdue()
