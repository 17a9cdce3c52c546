"""What is done at the sites: tours and tasks, tickets, work orders, devices that report.

Owns the open work of one tenant. Pure: time comes in as an argument, chance from the `Random` given.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from deploy.demo.company import Device, Tenant
from deploy.demo.operations import Insert, Operation, Update
from deploy.demo.roster import NextId
from deploy.demo.vocabulary import TASK_TITLES, TICKET_TEXTS, TOUR_TITLES, WORK_ORDER_VENDORS

_OPEN_JOBS, _OPEN_TICKETS, _OPEN_WORK_ORDERS = 10, 8, 4
_TOUR_SHARE = 0.6
_TICKET_SAME_STATUS_SHARE = 0.2
_BATTERY_LOSS_SHARE = 0.2
_BATTERY_PERCENT_MIN = 15
_PRIORITIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
_PRIORITY_WEIGHTS = (3, 5, 2, 1)
_NEXT_STATUS = {
    "NEW": ("OPEN",),
    "OPEN": ("IN_PROGRESS",),
    "IN_PROGRESS": ("RESOLVED", "RESOLVED", "ON_HOLD"),
    "ON_HOLD": ("IN_PROGRESS",),
    "RESOLVED": ("CLOSED",),
}


@dataclass(slots=True)
class OpenItem:
    """A row of `ticket`, `jobneed` or `work_order` that is not finished yet."""

    id: int
    tenant_id: int
    site_id: int
    status: str
    checkpoints_expected: int = 0
    checkpoints_scanned: int = 0


class Work:
    """The open work of one tenant."""

    def __init__(self, tenant: Tenant, rng: Random, next_id: NextId, someone: Callable[[int], int]) -> None:
        self._tenant = tenant
        self._rng = rng
        self._next_id = next_id
        self._someone = someone
        self._jobs: list[OpenItem] = []
        self._tickets: list[OpenItem] = []
        self._work_orders: list[OpenItem] = []
        self._batteries = {device.id: rng.randrange(40, 101) for device in tenant.devices}
        self._device_turn = 0

    def carry_over(self, table: str, items: Iterable[OpenItem]) -> None:
        """Take over what an earlier run left open in one of the three tables."""
        {"jobneed": self._jobs, "ticket": self._tickets, "work_order": self._work_orders}[table].extend(items)

    def ticket(self, now: datetime) -> tuple[Operation, bool]:
        """Return a new ticket or the next change of one, and whether its status changed."""
        if len(self._tickets) < _OPEN_TICKETS:
            return self._new_ticket(now), False
        ticket = self._rng.choice(self._tickets)
        if self._rng.random() < _TICKET_SAME_STATUS_SHARE:
            # A change that is none of the status: it must not show as ticket_updated.
            return Update("ticket", ticket.id, {"assigned_to": self._someone(ticket.site_id), "updated_at": now}), False
        ticket.status = self._rng.choice(_NEXT_STATUS[ticket.status])
        if ticket.status not in _NEXT_STATUS:
            self._tickets.remove(ticket)
        return Update("ticket", ticket.id, {"status": ticket.status, "updated_at": now}), True

    def job(self, now: datetime) -> Operation:
        """Return a new tour or task, or the next step of one."""
        if len(self._jobs) < _OPEN_JOBS:
            return self._new_job(now)
        job = self._rng.choice(self._jobs)
        if job.status == "ASSIGNED":
            job.status = "IN_PROGRESS"
            return Update("jobneed", job.id, {"status": job.status, "started_at": now})
        if job.checkpoints_scanned < job.checkpoints_expected:
            job.checkpoints_scanned += 1
            return Update("jobneed", job.id, {"checkpoints_scanned": job.checkpoints_scanned})
        self._jobs.remove(job)
        return Update("jobneed", job.id, {"status": "COMPLETED", "completed_at": now})

    def work_order(self, now: datetime) -> Operation:
        """Return a new work order for a vendor, or the next step of one."""
        if len(self._work_orders) < _OPEN_WORK_ORDERS:
            return self._new_work_order(now)
        order = self._rng.choice(self._work_orders)
        if order.status == "OPEN":
            order.status = "IN_PROGRESS"
        else:
            order.status = "DONE"
            self._work_orders.remove(order)
        return Update("work_order", order.id, {"status": order.status, "updated_at": now})

    def device(self, now: datetime) -> Operation:
        """Return the report of the next device in turn: it is there."""
        device: Device = self._tenant.devices[self._device_turn]
        self._device_turn = (self._device_turn + 1) % len(self._tenant.devices)
        battery = self._batteries[device.id] - (self._rng.random() < _BATTERY_LOSS_SHARE)
        self._batteries[device.id] = battery if battery > _BATTERY_PERCENT_MIN else 100
        battery_percent = self._batteries[device.id]
        return Update("device", device.id, {"status": "ONLINE", "last_seen": now, "battery_percent": battery_percent})

    def _new_ticket(self, now: datetime) -> Insert:
        site_id = self._rng.choice(self._tenant.sites).id
        ticket = OpenItem(self._next_id("ticket"), self._tenant.id, site_id, "NEW")
        self._tickets.append(ticket)
        return Insert(
            "ticket",
            {
                "id": ticket.id,
                "tenant_id": self._tenant.id,
                "site_id": site_id,
                "ticket_no": f"T-{ticket.id:06d}",
                "status": ticket.status,
                "priority": self._rng.choices(_PRIORITIES, _PRIORITY_WEIGHTS)[0],
                "assigned_to": self._someone(site_id),
                "description": self._rng.choice(TICKET_TEXTS),
                "escalation_level": 0,
                "created_at": now,
                "updated_at": now,
            },
        )

    def _new_job(self, now: datetime) -> Insert:
        site_id = self._rng.choice(self._tenant.sites).id
        tour = self._rng.random() < _TOUR_SHARE
        checkpoints = self._rng.randrange(4, 10) if tour else 0
        job = OpenItem(self._next_id("jobneed"), self._tenant.id, site_id, "ASSIGNED", checkpoints)
        self._jobs.append(job)
        return Insert(
            "jobneed",
            {
                "id": job.id,
                "tenant_id": self._tenant.id,
                "site_id": site_id,
                "person_id": self._someone(site_id),
                "job_type": "TOUR" if tour else "TASK",
                "title": self._rng.choice(TOUR_TITLES if tour else TASK_TITLES),
                "status": job.status,
                "planned_start": now,
                "due_at": now + timedelta(minutes=self._rng.randrange(60, 240)),
                "checkpoints_expected": checkpoints,
                "checkpoints_scanned": 0,
            },
        )

    def _new_work_order(self, now: datetime) -> Insert:
        site_id = self._rng.choice(self._tenant.sites).id
        order = OpenItem(self._next_id("work_order"), self._tenant.id, site_id, "OPEN")
        self._work_orders.append(order)
        return Insert(
            "work_order",
            {
                "id": order.id,
                "tenant_id": self._tenant.id,
                "site_id": site_id,
                "status": order.status,
                "vendor": self._rng.choice(WORK_ORDER_VENDORS),
                "due_at": now + timedelta(hours=self._rng.randrange(4, 72)),
                "created_at": now,
                "updated_at": now,
            },
        )
