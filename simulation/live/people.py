"""All that happens at one tenant, put together: people, fixes, jobs, the service desk, devices.

Owns which parts there are and how much each has to do; what they do is theirs.
"""

from collections.abc import Iterator
from datetime import datetime
from random import Random

from simulation.live.agenda import Agenda
from simulation.live.company import Tenant
from simulation.live.desk import Desk
from simulation.live.devices import Devices
from simulation.live.duties import Duty
from simulation.live.jobs import Jobs
from simulation.live.operations import Insert, Planted, Transaction
from simulation.live.planted_attendance import Misdeeds, Plant
from simulation.live.planted_location import Astray
from simulation.live.roster import NextId, Roster
from simulation.live.tracks import Tracks

_JOBS_SHARE, _TICKETS_SHARE, _WORK_ORDERS_SHARE = 0.14, 0.12, 0.05
"""Open at a time, of the number of persons."""


class People:
    """One tenant at work.

    Args:
        tenant: which.
        rng: chance.
        next_id: gives the next free id of a table.
        agenda: where all that has its time is entered.
        tempted: whether some have habits that a run can make use of.
    """

    def __init__(self, tenant: Tenant, rng: Random, next_id: NextId, agenda: Agenda, *, tempted: bool) -> None:
        self._tenant_id = tenant.id
        self._persons = len(tenant.persons)
        self._roster = Roster(tenant, rng, next_id, agenda, tempted=tempted)
        self._tracks = Tracks(tenant.id, rng, next_id)
        self._astray = Astray(self._roster, self._tracks, rng)
        self._jobs = Jobs(tenant, rng, next_id, agenda, self._roster.someone)
        self._desk = Desk(tenant, rng, next_id, agenda, self._roster.someone)
        self._devices = Devices(tenant, rng, agenda)
        self.plants: dict[Planted, Plant] = {
            **Misdeeds(self._roster, rng).plants,
            **self._astray.plants,
            Planted.CHECKPOINTS_SKIPPED: self._jobs.skip_checkpoints,
            Planted.TASK_OVERDUE: self._jobs.overrun,
            Planted.TICKET_SLA_BREACH: self._desk.breach,
            Planted.TICKET_ESCALATED: self._desk.escalate,
            Planted.WORK_ORDER_OVERDUE: self._desk.overdue_work,
            Planted.DEVICE_OFFLINE: self._lose_device,
        }

    @property
    def busy(self) -> bool:
        """Whether something is under way whose rows must not be dropped with a burst."""
        return self._astray.busy

    def opening(self, now: datetime) -> Iterator[Insert]:
        """What is there when the day is looked at first, without the reference rows of the company."""
        yield from self._roster.opening(now)
        yield from self._jobs.opening(now, self._number(_JOBS_SHARE))
        yield from self._desk.opening(now, self._number(_TICKETS_SHARE), self._number(_WORK_ORDERS_SHARE))
        self._devices.opening(now)

    def first_waiting(self) -> tuple[datetime, int, Duty] | None:
        """Who at work has waited longest for a fix, since when, and the person's id; None where nobody is at work."""
        waiting = [(self._tracks.waiting_since(duty), duty.person.id, duty) for duty in self._roster.at_work()]
        return min(waiting, key=lambda each: each[:2], default=None)

    def fix(self, duty: Duty, now: datetime) -> Transaction:
        """The next fix of somebody at work."""
        return Transaction(self._tenant_id, (self._tracks.fix(duty, now),))

    def backlog(self, now: datetime, fixes: int) -> list[Insert]:
        """So many fixes that come at once after the network was away, or as many as there are."""
        at_work = sorted(self._roster.at_work(), key=lambda duty: (self._tracks.waiting_since(duty), duty.person.id))
        return self._tracks.backlog(at_work, now, fixes)

    def report(self, now: datetime) -> Transaction:
        """A device says that it is there."""
        return self._devices.report(now)

    def _lose_device(self, now: datetime) -> Transaction | None:
        in_hand = {duty.person.device_id for duty in self._roster.at_work()}
        return self._devices.lose(in_hand, now)

    def _number(self, share: float) -> int:
        return max(2, round(share * self._persons))
