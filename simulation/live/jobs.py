"""Tours and tasks: given out, begun, checkpoint after checkpoint, and done.

Owns the open jobs of one tenant. Pure: time comes in as an argument, chance from the `Random` given.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from simulation.live.agenda import Agenda
from simulation.live.company import Tenant
from simulation.live.operations import Insert, Planted, Transaction, Update, Value
from simulation.live.vocabulary import TASK_TITLES, TOUR_TITLES

_TOUR_SHARE = 0.6
_TIME_TO_DO = timedelta(hours=2)
_TOUR_MINUTES, _TASK_MINUTES = (22.0, 4.0), (9.0, 3.0)
"""Of the first title of its kind, and how much longer each further one takes."""
_HASTE = (0.87, 1.15)
_OVERDUE_S = (6.0, 15.0)
"""So soon a planted task is due."""


@dataclass(slots=True)
class Job:
    """A row of `jobneed` that is not finished yet."""

    id: int
    site_id: int
    person_id: int
    title: str
    checkpoints: int
    """0 for a task."""
    duration: timedelta
    scanned: int = 0


class Jobs:
    """The open jobs of one tenant.

    Args:
        tenant: whose.
        rng: chance.
        next_id: gives the next free id of a table.
        agenda: where the steps of the jobs are entered.
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

    def opening(self, now: datetime, number: int) -> Iterator[Insert]:
        """So many jobs that are under way."""
        for _ in range(number):
            job = self._new()
            share = self._rng.uniform(0.02, 0.95)
            began = now - job.duration * share
            job.scanned = int(job.checkpoints * share)
            yield self._row(job, "IN_PROGRESS", began, began + _TIME_TO_DO, started_at=began)
            self._follow(job, began, now)

    def skip_checkpoints(self, now: datetime) -> Transaction:
        """A tour comes when it is done, with fewer checkpoints than it should have."""
        job = self._new(tour=True)
        job.scanned = job.checkpoints - self._rng.randrange(2, job.checkpoints)
        began = now - job.duration
        row = self._row(job, "COMPLETED", began, began + _TIME_TO_DO, started_at=began, completed_at=now)
        return Transaction(self._tenant.id, (row,), (Planted.CHECKPOINTS_SKIPPED,))

    def overrun(self, now: datetime) -> Transaction:
        """A task that is under way is due in some seconds, and takes longer."""
        job = self._new(tour=False)
        began = now - job.duration + timedelta(seconds=self._rng.uniform(40, 180))
        due = now + timedelta(seconds=self._rng.uniform(*_OVERDUE_S))
        row = self._row(job, "IN_PROGRESS", began - timedelta(minutes=10), due, started_at=began)
        self._follow(job, began, now, again=False)
        return Transaction(self._tenant.id, (row,), later=((due, Planted.TASK_OVERDUE),))

    def _new(self, *, tour: bool | None = None) -> Job:
        site = self._rng.choice(self._tenant.sites)
        tour = self._rng.random() < _TOUR_SHARE if tour is None else tour
        titles, (base, step) = (TOUR_TITLES, _TOUR_MINUTES) if tour else (TASK_TITLES, _TASK_MINUTES)
        place = self._rng.randrange(len(titles))
        return Job(
            id=self._next_id("jobneed"),
            site_id=site.id,
            person_id=self._someone(site.id),
            title=titles[place],
            checkpoints=self._rng.randrange(4, 10) if tour else 0,
            duration=timedelta(minutes=(base + step * place) * self._rng.uniform(*_HASTE)),
        )

    def _assign(self, now: datetime) -> Transaction:
        job = self._new()

        def begin(now: datetime) -> Transaction:
            self._follow(job, now, now)
            return self._step(job, {"status": "IN_PROGRESS", "started_at": now})

        self._agenda.at(now + timedelta(minutes=self._rng.uniform(1, 4)), begin)
        return Transaction(self._tenant.id, (self._row(job, "ASSIGNED", now, now + _TIME_TO_DO),))

    def _follow(self, job: Job, began: datetime, now: datetime, *, again: bool = True) -> None:
        """Enter what is left of a job that began, and the job after it."""

        def scan(now: datetime) -> Transaction:  # noqa: ARG001 - an action of the agenda
            job.scanned += 1
            return self._step(job, {"checkpoints_scanned": job.scanned})

        def complete(now: datetime) -> Transaction:
            if again:
                self._agenda.at(now + timedelta(minutes=self._rng.uniform(1, 5)), self._assign)
            return self._step(job, {"status": "COMPLETED", "completed_at": now})

        for checkpoint in range(job.scanned, job.checkpoints):
            share = (checkpoint + self._rng.uniform(0.5, 1.0)) / (job.checkpoints + 0.2)
            self._agenda.at(max(now, began + job.duration * share), scan)
        self._agenda.at(max(now, began + job.duration), complete)

    def _row(self, job: Job, status: str, planned: datetime, due: datetime, **times: Value) -> Insert:
        values: dict[str, Value] = {
            "id": job.id,
            "tenant_id": self._tenant.id,
            "site_id": job.site_id,
            "person_id": job.person_id,
            "job_type": "TOUR" if job.checkpoints else "TASK",
            "title": job.title,
            "status": status,
            "planned_start": planned,
            "due_at": due,
            "checkpoints_expected": job.checkpoints,
            "checkpoints_scanned": job.scanned,
        }
        return Insert("jobneed", values | times)

    def _step(self, job: Job, values: dict[str, Value]) -> Transaction:
        return Transaction(self._tenant.id, (Update("jobneed", job.id, values),))
