"""The service desk: tickets from NEW to CLOSED, and work orders for vendors.

Owns the open tickets and work orders of one tenant. Pure: time comes in as an argument, chance from the `Random` given.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from random import Random

from simulation.live.agenda import Agenda
from simulation.live.company import Tenant
from simulation.live.operations import Insert, Planted, Transaction, Update, Value
from simulation.live.vocabulary import TICKET_TEXTS, WORK_ORDER_VENDORS

_SAME_STATUS_SHARE = 0.2
_PRIORITIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
_PRIORITY_WEIGHTS = (3, 5, 2, 1)
_NEXT_STATUS = {
    "NEW": ("OPEN",),
    "OPEN": ("IN_PROGRESS",),
    "IN_PROGRESS": ("RESOLVED", "RESOLVED", "ON_HOLD"),
    "ON_HOLD": ("IN_PROGRESS",),
    "RESOLVED": ("CLOSED",),
}
_TICKET_STEP_MINUTES = (2.0, 6.0)
_WORK_ORDER_STEP_MINUTES = (5.0, 20.0)
_HIGH_PRIORITY_TIME = timedelta(hours=4)
"""In which a ticket of priority HIGH has to be resolved."""
_LEVEL_MAX = 2
_DUE_S = (6.0, 15.0)
"""So soon what is planted is due."""


@dataclass(slots=True)
class OpenTicket:
    """A ticket that is not closed yet."""

    id: int
    site_id: int
    status: str
    priority: str
    level: int = 0
    may_wait: bool = True
    """Whether it may still be put on hold or handed to somebody else: both once at the most."""


class Desk:
    """The tickets and work orders of one tenant.

    Args:
        tenant: whose.
        rng: chance.
        next_id: gives the next free id of a table.
        agenda: where the next steps are entered.
        someone: gives a person for a site.
    """

    def __init__(
        self,
        tenant: Tenant,
        rng: Random,
        next_id: Callable[[str], int],
        agenda: Agenda,
        someone: Callable[[int], int],
    ) -> None:
        self._tenant = tenant
        self._rng = rng
        self._next_id = next_id
        self._agenda = agenda
        self._someone = someone
        self._tickets: list[OpenTicket] = []
        self._tickets_usual = 0

    def opening(self, now: datetime, tickets: int, work_orders: int) -> Iterator[Insert]:
        """So many tickets and work orders that are being worked on."""
        self._tickets_usual = tickets
        for _ in range(tickets):
            status = self._rng.choice(("NEW", "OPEN", "IN_PROGRESS"))
            ticket, row = self._new_ticket(now, status, created=now - timedelta(minutes=self._rng.uniform(1, 15)))
            self._agenda.at(now + timedelta(minutes=self._rng.uniform(0, 5)), partial(self._step, ticket))
            yield row
        for _ in range(work_orders):
            yield self._new_work_order(now)

    def breach(self, now: datetime) -> Transaction:
        """A ticket comes from another system hours after it was created, and nobody has time for it."""
        due = now + timedelta(seconds=self._rng.uniform(*_DUE_S))
        ticket, row = self._new_ticket(now, "OPEN", created=due - _HIGH_PRIORITY_TIME, priority="HIGH")
        self._next(ticket, now)
        return Transaction(self._tenant.id, (row,), later=((due, Planted.TICKET_SLA_BREACH),))

    def escalate(self, now: datetime) -> Transaction | None:
        """Somebody does not want to wait for a ticket any longer."""
        able = [each for each in self._tickets if each.level < _LEVEL_MAX and each.status != "RESOLVED"]
        if not able:
            return None
        ticket = self._rng.choice(able)
        ticket.level += 1
        row = Update("ticket", ticket.id, {"escalation_level": ticket.level, "updated_at": now})
        return Transaction(self._tenant.id, (row,), (Planted.TICKET_ESCALATED,))

    def overdue_work(self, now: datetime) -> Transaction:
        """A vendor has been at it since yesterday, and the deadline is here."""
        due = now + timedelta(seconds=self._rng.uniform(*_DUE_S))
        created = now - timedelta(hours=self._rng.uniform(20, 48))
        row = self._work_order_row(now, "IN_PROGRESS", created, due)
        done = now + timedelta(seconds=self._rng.uniform(60, 240))
        self._agenda.at(done, partial(self._work_order_step, row.values["id"], "DONE", again=False))
        return Transaction(self._tenant.id, (row,), later=((due, Planted.WORK_ORDER_OVERDUE),))

    def _new_ticket(
        self, now: datetime, status: str, *, created: datetime, priority: str | None = None
    ) -> tuple[OpenTicket, Insert]:
        site_id = self._rng.choice(self._tenant.sites).id
        priority = priority or self._rng.choices(_PRIORITIES, _PRIORITY_WEIGHTS)[0]
        ticket = OpenTicket(self._next_id("ticket"), site_id, status, priority)
        self._tickets.append(ticket)
        values: dict[str, Value] = {
            "id": ticket.id,
            "tenant_id": self._tenant.id,
            "site_id": site_id,
            "ticket_no": f"T-{ticket.id:06d}",
            "status": status,
            "priority": priority,
            "assigned_to": self._someone(site_id),
            "description": self._rng.choice(TICKET_TEXTS),
            "escalation_level": 0,
            "created_at": created,
            "updated_at": now,
        }
        return ticket, Insert("ticket", values)

    def _next(self, ticket: OpenTicket, now: datetime) -> None:
        when = now + timedelta(minutes=self._rng.uniform(*_TICKET_STEP_MINUTES))
        self._agenda.at(when, partial(self._step, ticket))

    def _step(self, ticket: OpenTicket, now: datetime) -> Transaction:
        """The next change of a ticket."""
        if ticket.may_wait and self._rng.random() < _SAME_STATUS_SHARE:
            # A change that is none of the status: it must not show as ticket_updated.
            ticket.may_wait = False
            self._next(ticket, now)
            values: dict[str, Value] = {"assigned_to": self._someone(ticket.site_id), "updated_at": now}
            return Transaction(self._tenant.id, (Update("ticket", ticket.id, values),))
        following = _NEXT_STATUS[ticket.status]
        ticket.status = self._rng.choice(following) if ticket.may_wait else following[0]
        if ticket.status == "ON_HOLD":
            ticket.may_wait = False
        if ticket.status in _NEXT_STATUS:
            self._next(ticket, now)
        else:
            self._tickets.remove(ticket)
            if len(self._tickets) < self._tickets_usual:
                self._agenda.at(now + timedelta(minutes=self._rng.uniform(0.5, 3)), self._open)
        row = Update("ticket", ticket.id, {"status": ticket.status, "updated_at": now})
        return Transaction(self._tenant.id, (row,), (Planted.TICKET_UPDATED,))

    def _open(self, now: datetime) -> Transaction:
        ticket, row = self._new_ticket(now, "NEW", created=now)
        self._next(ticket, now)
        return Transaction(self._tenant.id, (row,))

    def _new_work_order(self, now: datetime) -> Insert:
        row = self._work_order_row(now, "OPEN", now, now + timedelta(hours=self._rng.randrange(4, 72)))
        begins = now + timedelta(minutes=self._rng.uniform(*_WORK_ORDER_STEP_MINUTES))
        self._agenda.at(begins, partial(self._work_order_step, row.values["id"], "IN_PROGRESS"))
        return row

    def _work_order_step(self, row_id: Value, status: str, now: datetime, *, again: bool = True) -> Transaction:
        after = now + timedelta(minutes=self._rng.uniform(*_WORK_ORDER_STEP_MINUTES))
        if status == "IN_PROGRESS":
            self._agenda.at(after, partial(self._work_order_step, row_id, "DONE"))
        elif again:
            self._agenda.at(after, lambda now: Transaction(self._tenant.id, (self._new_work_order(now),)))
        values: dict[str, Value] = {"status": status, "updated_at": now}
        return Transaction(self._tenant.id, (Update("work_order", int(str(row_id)), values),))

    def _work_order_row(self, now: datetime, status: str, created: datetime, due: datetime) -> Insert:
        return Insert(
            "work_order",
            {
                "id": self._next_id("work_order"),
                "tenant_id": self._tenant.id,
                "site_id": self._rng.choice(self._tenant.sites).id,
                "status": status,
                "vendor": self._rng.choice(WORK_ORDER_VENDORS),
                "due_at": due,
                "created_at": created,
                "updated_at": now,
            },
        )
