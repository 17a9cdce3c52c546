"""What the overdue detectors share: the deadline of an open row, and the finding when it has passed."""

from datetime import datetime
from typing import ClassVar

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Jobneed, WorkOrder
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, AbsenceDetector, Entity, Event, FindingDrafts
from detectors.policy import Minutes, Policy


class DeadlinePolicy(Policy, frozen=True, kw_only=True):
    """When a deadline counts as missed."""

    grace_minutes: Minutes = 0.0
    """After the deadline; for phones that report late."""


class Deadline(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row that has not ended. 160 bytes in memory, 21 in the changelog."""

    due_ms: int
    status: str
    person_id: int | None = None
    reported: bool = False


def deadline_of(state: Deadline | None, due_at: datetime, status: str | None, person_id: int | None = None) -> Deadline:
    """The deadline of an open row: the state itself where nothing has changed; a deadline that was moved is a new one.

    >>> from datetime import UTC
    >>> reported = Deadline(60_000, "OPEN", reported=True)
    >>> deadline_of(reported, datetime.fromtimestamp(60, UTC), "OPEN") is reported
    True
    >>> deadline_of(reported, datetime.fromtimestamp(90, UTC), "OPEN")
    Deadline(due_ms=90000, status='OPEN', person_id=None, reported=False)
    """
    due_ms = round(due_at.timestamp() * 1000)
    status = status or ""
    if state is None or state.due_ms != due_ms:
        return Deadline(due_ms, status, person_id)
    if state.status == status and state.person_id == person_id:
        return state
    return Deadline(due_ms, status, person_id, state.reported)


class OverdueDetector(AbsenceDetector):
    """A detector of rows that are still open after their deadline; a subclass says which rows, and names the finding."""

    ended: ClassVar[frozenset[str]]
    """Statuses of rows that are no longer open."""
    finding_type: ClassVar[FindingType]
    category: ClassVar[Category]
    title: ClassVar[str]
    subject: ClassVar[str]
    """What is not done, the beginning of a sentence."""
    deadline: ClassVar[str]
    """What has passed, in the middle of that sentence."""

    entity = Entity.ROW
    state_type = Deadline
    policy = DeadlinePolicy()

    def judge(
        self, state: Deadline | None, event: Event[Jobneed] | Event[WorkOrder], policy: DeadlinePolicy
    ) -> tuple[Deadline | None, FindingDrafts]:
        """No finding, but the deadline: what is overdue is an absence."""
        row = event.row
        if row.due_at is None or row.status in self.ended:
            return None, NOTHING
        return deadline_of(state, row.due_at, row.status, getattr(row, "person_id", None)), NOTHING

    def due_ms(self, state: Deadline, policy: DeadlinePolicy) -> int | None:
        """The end of the grace after the deadline; None where that was reported."""
        return None if state.reported else state.due_ms + round(policy.grace_minutes * 60_000)

    def expire(self, state: Deadline, at_ms: int, policy: DeadlinePolicy) -> tuple[Deadline | None, FindingDrafts]:
        """The row is overdue."""
        late_minutes = round((at_ms - state.due_ms) / 60_000, 3)
        draft = FindingDraft(
            finding_type=self.finding_type,
            category=self.category,
            severity=Severity.MEDIUM,
            title=self.title,
            description=f"{self.subject} is not done (status {state.status or 'unknown'}); {self.deadline} passed "
            f"{late_minutes:g} minutes ago.",
            evidence={
                "status": state.status,
                "due_ms": state.due_ms,
                "observed_minutes": late_minutes,
                "threshold": policy.grace_minutes,
            },
        )
        return msgspec.structs.replace(state, reported=True), (draft,)
