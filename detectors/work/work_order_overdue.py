"""WORK_ORDER_OVERDUE: work given to a vendor that is not done when its deadline has passed."""

from contracts.findings import Category, FindingType
from detectors.work.helpers.deadline import OverdueDetector


class WorkOrderOverdue(OverdueDetector):
    """Due at `due_at + grace` while the status is neither DONE nor CANCELLED; a deadline as in any contract.

    Reported once; a deadline that is moved is a new one. A work order without `due_at` is not judged.

    >>> from detectors.work.helpers.deadline import Deadline, DeadlinePolicy
    >>> detector, policy = WorkOrderOverdue(), DeadlinePolicy()
    >>> state, (draft,) = detector.expire(Deadline(due_ms=1_000, status="OPEN"), 61_000, policy)
    >>> draft.finding_type.value, draft.evidence["observed_minutes"], detector.due_ms(state, policy)
    ('WORK_ORDER_OVERDUE', 1.0, None)
    """

    name = "work_order_overdue"
    tables = ("work_order",)
    ended = frozenset({"DONE", "CANCELLED"})
    finding_type = FindingType.WORK_ORDER_OVERDUE
    category = Category.WORK_ORDER
    title = "A work order is past its deadline at {site_name}"
    subject = "The work order"
    deadline = "its deadline"


DETECTOR = WorkOrderOverdue()
