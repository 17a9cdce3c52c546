"""TICKET_SLA_BREACH: a ticket that is still open when the time of its priority has passed."""

from typing import Annotated

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Ticket
from detectors.interface import NOTHING, Entity, Event, Judgements
from detectors.judgement import Judgement
from detectors.policy import Policy

ENDED = frozenset({"RESOLVED", "CLOSED", "CANCELLED"})

_Hours = Annotated[float, msgspec.Meta(gt=0)]


class TicketSlaBreachPolicy(Policy, frozen=True, kw_only=True):
    """Hours from a ticket's creation to its end, by priority."""

    critical_hours_max: _Hours = 1.0
    high_hours_max: _Hours = 4.0
    medium_hours_max: _Hours = 8.0
    low_hours_max: _Hours = 24.0

    def hours_max(self, priority: str | None) -> float | None:
        """Of a priority; None where it is not one of ours."""
        return {
            "CRITICAL": self.critical_hours_max,
            "HIGH": self.high_hours_max,
            "MEDIUM": self.medium_hours_max,
            "LOW": self.low_hours_max,
        }.get(priority or "")


class OpenTicket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A ticket that has not ended."""

    priority: str
    created_ms: int
    told: bool = False


class TicketSlaBreach:
    """Due at `created_at + hours_max(priority)` while the status is none of RESOLVED, CLOSED, CANCELLED.

    Told once; a ticket that is opened again begins with the time that it has left, which may be none.

    >>> detector, policy = TicketSlaBreach(), TicketSlaBreachPolicy()
    >>> state = OpenTicket("HIGH", 1_000)
    >>> detector.due_ms(state, policy) == 1_000 + 4 * 3_600_000
    True
    >>> state, (judgement,) = detector.expire(state, 14_401_000, policy)
    >>> judgement.evidence["observed_hours"], judgement.evidence["threshold"], detector.due_ms(state, policy)
    (4.0, 4.0, None)
    """

    name = "ticket_sla_breach"
    tables = ("ticket",)
    entity = Entity.ROW
    state_type = OpenTicket
    policy = TicketSlaBreachPolicy()

    def judge(
        self, state: OpenTicket | None, event: Event[Ticket], policy: TicketSlaBreachPolicy
    ) -> tuple[OpenTicket | None, Judgements]:
        """Only learns: the breach itself is an absence."""
        row = event.row
        if row.status in ENDED or row.created_at is None or policy.hours_max(row.priority) is None:
            return None, NOTHING
        priority, created_ms = row.priority or "", round(row.created_at.timestamp() * 1000)
        if state is not None and (state.priority, state.created_ms) == (priority, created_ms):
            return state, NOTHING
        return OpenTicket(priority, created_ms), NOTHING

    def due_ms(self, state: OpenTicket, policy: TicketSlaBreachPolicy) -> int | None:
        """The end of the time that the ticket's priority allows."""
        hours = policy.hours_max(state.priority)
        return None if state.told or hours is None else state.created_ms + round(hours * 3_600_000)

    def expire(
        self, state: OpenTicket, at_ms: int, policy: TicketSlaBreachPolicy
    ) -> tuple[OpenTicket | None, Judgements]:
        """The breach."""
        hours = policy.hours_max(state.priority)
        judgement = Judgement(
            finding_type=FindingType.TICKET_SLA_BREACH,
            category=Category.TICKET,
            severity=Severity.CRITICAL,
            title=f"A ticket of priority {state.priority} is not resolved in time",
            description=f"The ticket at {{site_name}} has been open for {hours:g} hours, which is all that its "
            f"priority {state.priority} allows.",
            evidence={
                "priority": state.priority,
                "observed_hours": round((at_ms - state.created_ms) / 3_600_000, 3),
                "threshold": hours,
            },
        )
        return msgspec.structs.replace(state, told=True), (judgement,)
