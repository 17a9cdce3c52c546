"""WORK_ORDER_OVERDUE: work given to a vendor that is not done when its deadline has passed."""

from contracts.findings import Category, FindingType, Severity
from contracts.rows import WorkOrder
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, AbsenceDetector, Entity, Event, FindingDrafts
from detectors.work.helpers.deadline import Deadline, DeadlinePolicy, deadline_due_ms, deadline_of, reported

ENDED = frozenset({"DONE", "CANCELLED"})


class WorkOrderOverduePolicy(DeadlinePolicy, frozen=True, kw_only=True):
    """Thresholds of WORK_ORDER_OVERDUE."""


class WorkOrderOverdue(AbsenceDetector):
    """Due at `due_at + grace` while the status is neither DONE nor CANCELLED; a deadline as in any contract.

    Reported once; a deadline that is moved is waited for anew. A work order without `due_at` is not judged.

    >>> detector, policy = WorkOrderOverdue(), WorkOrderOverduePolicy()
    >>> state, (draft,) = detector.expire(Deadline(due_ms=1_000, status="OPEN"), 61_000, policy)
    >>> draft.finding_type.value, draft.evidence["observed_minutes"], detector.due_ms(state, policy)
    ('WORK_ORDER_OVERDUE', 1.0, None)
    """

    name = "work_order_overdue"
    tables = ("work_order",)
    entity = Entity.ROW
    state_type = Deadline
    policy = WorkOrderOverduePolicy()

    def judge(
        self, state: Deadline | None, event: Event[WorkOrder], policy: WorkOrderOverduePolicy
    ) -> tuple[Deadline | None, FindingDrafts]:
        """Only learns: what is overdue is an absence."""
        row = event.row
        if row.due_at is None or row.status in ENDED:
            return None, NOTHING
        return deadline_of(state, row.due_at, row.status), NOTHING

    def due_ms(self, state: Deadline, policy: WorkOrderOverduePolicy) -> int | None:
        """The end of the grace after the deadline."""
        return deadline_due_ms(state, policy)

    def expire(
        self, state: Deadline, at_ms: int, policy: WorkOrderOverduePolicy
    ) -> tuple[Deadline | None, FindingDrafts]:
        """The work order is overdue."""
        late_minutes = round((at_ms - state.due_ms) / 60_000, 3)
        return reported(state), (
            FindingDraft(
                finding_type=FindingType.WORK_ORDER_OVERDUE,
                category=Category.WORK_ORDER,
                severity=Severity.MEDIUM,
                title="A work order is past its deadline at {site_name}",
                description=f"The work order is not done (status {state.status or 'unknown'}); its deadline passed "
                f"{late_minutes:g} minutes ago.",
                evidence={
                    "status": state.status,
                    "due_ms": state.due_ms,
                    "observed_minutes": late_minutes,
                    "threshold": policy.grace_minutes,
                },
            ),
        )


DETECTOR = WorkOrderOverdue()
