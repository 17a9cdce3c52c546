"""TASK_OVERDUE: a task or tour that is not done when its time has passed."""

from contracts.findings import Category, FindingType
from contracts.rows import Jobneed
from detectors.interface import NOTHING, Event, FindingDrafts
from detectors.work.helpers.deadline import Deadline, DeadlinePolicy, OverdueDetector, deadline_of

_ENDED = frozenset({"COMPLETED", "CANCELLED"})


class TaskOverduePolicy(DeadlinePolicy, frozen=True, kw_only=True):
    """Thresholds of TASK_OVERDUE."""


class TaskOverdue(OverdueDetector):
    """Due at `due_at + grace` while the status is neither COMPLETED nor CANCELLED; a deadline as in any schedule.

    Reported once; a deadline that is moved is a new one. A task without `due_at` is not judged, and neither is one that
    was done late but is done when its row arrives.

    >>> detector, policy = TaskOverdue(), TaskOverduePolicy(grace_minutes=5.0)
    >>> state = Deadline(due_ms=1_000, status="ASSIGNED")
    >>> detector.due_ms(state, policy)
    301000
    >>> state, (draft,) = detector.expire(state, 301_000, policy)
    >>> draft.evidence["observed_minutes"], draft.evidence["threshold"], detector.due_ms(state, policy)
    (5.0, 5.0, None)
    """

    name = "task_overdue"
    tables = ("jobneed",)
    policy = TaskOverduePolicy()
    finding_type = FindingType.TASK_OVERDUE
    category = Category.TASK
    title = "A task is overdue at {site_name}"
    subject = "The task of {person_name}"
    deadline = "its time"

    def judge(
        self, state: Deadline | None, event: Event[Jobneed], policy: TaskOverduePolicy
    ) -> tuple[Deadline | None, FindingDrafts]:
        """No finding, but the deadline: what is overdue is an absence."""
        row = event.row
        if row.due_at is None or row.status in _ENDED:
            return None, NOTHING
        return deadline_of(state, row.due_at, row.status, row.person_id), NOTHING


DETECTOR = TaskOverdue()
