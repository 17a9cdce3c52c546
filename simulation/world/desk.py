"""The service desk: tickets from NEW to CLOSED and work orders for vendors, and what becomes late of them."""

from dataclasses import dataclass
from random import Random

from simulation.records import Row
from simulation.world.calendar import HOUR_S, MINUTE_S, moment
from simulation.world.company import Person, Site
from simulation.world.timeline import Timeline
from simulation.world.vocabulary import TICKET_TEXTS, WORK_ORDER_VENDORS

PRIORITIES, PRIORITY_WEIGHTS = ("LOW", "MEDIUM", "HIGH", "CRITICAL"), (2, 2, 4, 1)
HIGH_PRIORITY_S = 4 * HOUR_S
"""In which a ticket of priority HIGH has to be resolved: the requirement's own figure (R3.4)."""
LEVEL_MAX = 2
_HOLD_SHARE, _REOPENED_SHARE, _CANCELLED_SHARE = 0.15, 0.06, 0.05
_OVERDUE_REPORTED_WITHIN_S = 10 * MINUTE_S


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket, and how it will go."""

    site: Site
    person: Person
    """To whom it is assigned."""
    priority: str
    created_s: float
    ends_s: float
    """Resolved or cancelled."""
    closed_after_s: float
    """After it was resolved."""
    is_late: bool = False
    """Whether it ends too late: then it is done without a detour."""
    written_s: float = 0.0
    """When the database hears of it first."""


def write_ticket(timeline: Timeline, rng: Random, ticket: Ticket) -> int:
    """Write a ticket's row and its changes; returns its id."""
    begins_s = max(ticket.created_s, ticket.written_s)
    text = rng.choice(TICKET_TEXTS)

    def at(share: float) -> float:
        return begins_s + share * (ticket.ends_s - begins_s)

    steps: list[tuple[float, Row]] = [
        (
            ticket.created_s,
            {
                "site_id": ticket.site.id,
                "ticket_no": f"T-{ticket.site.id}-{round(ticket.created_s)}",
                "status": "NEW",
                "priority": ticket.priority,
                "assigned_to": None,
                "description": text,
                "escalation_level": 0,
                "created_at": moment(ticket.created_s),
            },
        ),
        (at(rng.uniform(0.05, 0.15)), {"status": "OPEN", "assigned_to": ticket.person.id}),
        (at(rng.uniform(0.2, 0.3)), {"status": "IN_PROGRESS"}),
    ]
    if not ticket.is_late and rng.random() < _HOLD_SHARE:
        steps += [(at(0.4), {"status": "ON_HOLD"}), (at(0.42), {"status": "IN_PROGRESS"})]
    # A change that is none of the status: it must not show as one.
    steps.append((at(0.7), {"description": f"{text} A spare part is ordered."}))
    if not ticket.is_late and rng.random() < _REOPENED_SHARE:  # it is not quite right yet, and done within the time
        steps += [(at(0.8), {"status": "RESOLVED"}), (at(0.9), {"status": "OPEN"})]
    if rng.random() < _CANCELLED_SHARE:
        steps.append((ticket.ends_s, {"status": "CANCELLED"}))
    else:
        steps.append((ticket.ends_s, {"status": "RESOLVED"}))
        steps.append((ticket.ends_s + ticket.closed_after_s, {"status": "CLOSED"}))
    dated = [(at_s, columns | {"updated_at": moment(at_s)}) for at_s, columns in steps]
    return timeline.follow("ticket", ticket.site.tenant_id, dated, ticket.written_s)


def label_breach(
    timeline: Timeline, ticket: Ticket, row_id: int, after_s: float = 30.0, *, is_exact: bool = True
) -> None:
    """Say that a ticket is not resolved in time: after HIGH_PRIORITY_S, or within `after_s` of its creation."""
    at_s = ticket.created_s + HIGH_PRIORITY_S * is_exact
    note = f"{ticket.priority}, open for {(ticket.ends_s - ticket.created_s) / HOUR_S:.1f} hours"
    timeline.label(
        "TICKET_SLA_BREACH", ticket.site.tenant_id, [f"ticket:{row_id}"], at_s, note,
        before_s=0.0, after_s=after_s, exact=is_exact,
    )  # fmt: skip


def escalate(timeline: Timeline, tenant_id: int, row_id: int, level: int, at_s: float) -> None:
    """Somebody does not want to wait for a ticket any longer."""
    timeline.update("ticket", row_id, at_s, escalation_level=level, updated_at=moment(at_s))
    timeline.label("TICKET_ESCALATED", tenant_id, [f"ticket:{row_id}"], at_s, "escalated")


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """Work for a vendor, and how it will go."""

    site: Site
    created_s: float
    begun_s: float
    due_s: float
    ends_s: float
    is_cancelled: bool = False
    moved_to_s: float | None = None
    """A later deadline, entered an hour before the first one."""
    written_s: float = 0.0
    """When the database hears of it first."""


def write_work_order(timeline: Timeline, rng: Random, order: WorkOrder) -> int:
    """Write a work order's row and its changes, and the label where it is overdue; returns its id."""
    steps: list[tuple[float, Row]] = [
        (
            order.created_s,
            {
                "site_id": order.site.id,
                "status": "OPEN",
                "vendor": rng.choice(WORK_ORDER_VENDORS),
                "due_at": moment(order.due_s),
                "created_at": moment(order.created_s),
            },
        ),
        (order.begun_s, {"status": "IN_PROGRESS"}),
    ]
    if order.moved_to_s is not None:
        steps.append((order.due_s - HOUR_S, {"due_at": moment(order.moved_to_s)}))
    steps.append((order.ends_s, {"status": "CANCELLED" if order.is_cancelled else "DONE"}))
    dated = [(at_s, columns | {"updated_at": moment(at_s)}) for at_s, columns in steps]
    row_id = timeline.follow("work_order", order.site.tenant_id, dated, order.written_s)
    due_s = order.due_s if order.moved_to_s is None else order.moved_to_s
    if order.ends_s > due_s:
        timeline.label(
            "WORK_ORDER_OVERDUE", order.site.tenant_id, [f"work_order:{row_id}"], due_s, "done after its deadline",
            before_s=0.0, after_s=_OVERDUE_REPORTED_WITHIN_S, exact=True,
        )  # fmt: skip
    return row_id
