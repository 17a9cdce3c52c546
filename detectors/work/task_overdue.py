"""TASK_OVERDUE: a task or tour that is not done when its time has passed."""

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Jobneed
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, AbsenceDetector, Entity, Event, FindingDrafts
from detectors.work.helpers.deadline import Deadline, DeadlinePolicy, deadline_due_ms, deadline_of, reported

ENDED = frozenset({"COMPLETED", "CANCELLED"})


class TaskOverduePolicy(DeadlinePolicy, frozen=True, kw_only=True):
    """Thresholds of TASK_OVERDUE."""


class TaskOverdue(AbsenceDetector):
    """Due at `due_at + grace` while the status is neither COMPLETED nor CANCELLED; a deadline as in any schedule.

    Reported once; a deadline that is moved is waited for anew. A task without `due_at` is not judged, and neither is
    one that was done late but is done when its row comes.

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
    entity = Entity.ROW
    state_type = Deadline
    policy = TaskOverduePolicy()

    def judge(
        self, state: Deadline | None, event: Event[Jobneed], policy: TaskOverduePolicy
    ) -> tuple[Deadline | None, FindingDrafts]:
        """Only learns: what is overdue is an absence."""
        row = event.row
        if row.due_at is None or row.status in ENDED:
            return None, NOTHING
        return deadline_of(state, row.due_at, row.status, row.person_id), NOTHING

    def due_ms(self, state: Deadline, policy: TaskOverduePolicy) -> int | None:
        """The end of the grace after the deadline."""
        return deadline_due_ms(state, policy)

    def expire(self, state: Deadline, at_ms: int, policy: TaskOverduePolicy) -> tuple[Deadline | None, FindingDrafts]:
        """The task is overdue."""
        late_minutes = round((at_ms - state.due_ms) / 60_000, 3)
        return reported(state), (
            FindingDraft(
                finding_type=FindingType.TASK_OVERDUE,
                category=Category.TASK,
                severity=Severity.MEDIUM,
                title="A task is overdue at {site_name}",
                description=f"The task of {{person_name}} is not done (status {state.status or 'unknown'}); its time "
                f"passed {late_minutes:g} minutes ago.",
                evidence={
                    "status": state.status,
                    "due_ms": state.due_ms,
                    "observed_minutes": late_minutes,
                    "threshold": policy.grace_minutes,
                },
            ),
        )


DETECTOR = TaskOverdue()
