"""WORK_ORDER_OVERDUE: work given to a vendor that is not done when its deadline has passed."""

from contracts.findings import Category, FindingType
from contracts.rows import WorkOrder
from detectors.interface import NOTHING, Event, FindingDrafts
from detectors.work.helpers.deadline import Deadline, DeadlinePolicy, OverdueDetector, deadline_of

_ENDED = frozenset({"DONE", "CANCELLED"})


class WorkOrderOverduePolicy(DeadlinePolicy, frozen=True, kw_only=True):
    """Thresholds of WORK_ORDER_OVERDUE."""


class WorkOrderOverdue(OverdueDetector):
    """Due at `due_at + grace` while the status is neither DONE nor CANCELLED; a deadline as in any contract.

    Reported once; a deadline that is moved is a new one. A work order without `due_at` is not judged.

    >>> detector, policy = WorkOrderOverdue(), WorkOrderOverduePolicy()
    >>> state, (draft,) = detector.expire(Deadline(due_ms=1_000, status="OPEN"), 61_000, policy)
    >>> draft.finding_type.value, draft.evidence["observed_minutes"], detector.due_ms(state, policy)
    ('WORK_ORDER_OVERDUE', 1.0, None)
    """

    name = "work_order_overdue"
    tables = ("work_order",)
    policy = WorkOrderOverduePolicy()
    finding_type = FindingType.WORK_ORDER_OVERDUE
    category = Category.WORK_ORDER
    title = "A work order is past its deadline at {site_name}"
    subject = "The work order"
    deadline = "its deadline"

    def judge(
        self, state: Deadline | None, event: Event[WorkOrder], policy: WorkOrderOverduePolicy
    ) -> tuple[Deadline | None, FindingDrafts]:
        """No finding, but the deadline: what is overdue is an absence."""
        row = event.row
        if row.due_at is None or row.status in _ENDED:
            return None, NOTHING
        return deadline_of(state, row.due_at, row.status), NOTHING


DETECTOR = WorkOrderOverdue()
