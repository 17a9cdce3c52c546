"""TICKET_ESCALATED: a ticket's escalation level has risen."""

from typing import Annotated

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Ticket
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.policy import COUNT_MAX, Policy

ENDED = frozenset({"RESOLVED", "CLOSED", "CANCELLED"})


class TicketEscalatedPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of TICKET_ESCALATED."""

    level_min: Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)] = 1
    """The lowest level that is reported."""


class EscalatedTicket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A ticket above level 0. About 60 bytes in memory; a ticket at level 0 leaves no state."""

    level: int


class TicketEscalated(Detector):
    """`escalation_level` above the level known before: of the state, otherwise of the row as it was, otherwise 0.

    A ticket that is created above level 0 is reported, because nobody has heard of it. Each further level is reported
    once; a level that fell and rises again is reported again. The level of a ticket that has ended is not reported, and
    an unknown level changes nothing.

    >>> row = Ticket(id=1, tenant_id=1, status="OPEN", priority="LOW", escalation_level=2)
    >>> state, (draft,) = TicketEscalated().judge(EscalatedTicket(1), Event(row, 0), TicketEscalatedPolicy())
    >>> draft.evidence, state
    ({'observed': 2, 'expected': 1, 'threshold': 1, 'priority': 'LOW'}, EscalatedTicket(level=2))
    """

    name = "ticket_escalated"
    tables = ("ticket",)
    entity = Entity.ROW
    state_type = EscalatedTicket
    policy = TicketEscalatedPolicy()

    def judge(
        self, state: EscalatedTicket | None, event: Event[Ticket], policy: TicketEscalatedPolicy
    ) -> tuple[EscalatedTicket | None, FindingDrafts]:
        """The finding where the level rose."""
        row, before = event.row, event.before
        level = row.escalation_level
        if level is None:
            return state, NOTHING
        known = 0
        if state is not None:
            known = state.level
        elif before is not None:
            known = before.escalation_level or 0
        after = state if state is not None and state.level == level else EscalatedTicket(level) if level > 0 else None
        if level <= known or level < policy.level_min or row.status in ENDED:
            return after, NOTHING
        return after, (
            FindingDraft(
                finding_type=FindingType.TICKET_ESCALATED,
                category=Category.TICKET,
                severity=Severity.MEDIUM,
                title=f"A ticket was escalated to level {level}",
                description=f"The ticket at {{site_name}} (priority {row.priority or 'unknown'}) rose from escalation "
                f"level {known} to {level}.",
                evidence={
                    "observed": level,
                    "expected": known,
                    "threshold": policy.level_min,
                    "priority": row.priority,
                },
            ),
        )


DETECTOR = TicketEscalated()
