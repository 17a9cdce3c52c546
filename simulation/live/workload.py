"""Tours and tasks, tickets and work orders: each is followed by the next one.

Owns how many are under way at a tenant and how long they take, and plants the late ones. Pure: time comes in as an
argument, randomness from the `Random` given.
"""

from random import Random

from simulation.live.rota import Rota
from simulation.world.calendar import HOUR_S, MINUTE_S
from simulation.world.desk import (
    BREACH_S,
    LEVEL_MAX,
    Ticket,
    WorkOrder,
    any_priority,
    escalate,
    write_ticket,
    write_work_order,
)
from simulation.world.jobs import Job, usual_duration_s, write_job
from simulation.world.timeline import Timeline
from simulation.world.vocabulary import TASKS, TOURS

_JOBS_SHARE, _TICKETS_SHARE, _WORK_ORDERS_SHARE = 0.14, 0.12, 0.05
"""Under way at any time, as a share of the number of persons."""
_TOUR_SHARE = 0.6
_TIME_TO_DO_S = 2 * HOUR_S
_TICKET_S = (8 * MINUTE_S, 22 * MINUTE_S)
_DUE_S = (6.0, 15.0)
"""From planting something late to its deadline."""


class Workload:
    """The jobs and the service desk of one tenant, from the opening on."""

    def __init__(self, rota: Rota, rng: Random, timeline: Timeline, start_s: float) -> None:
        self._rota = rota
        self._tenant = rota.tenant
        self._rng = rng
        self._timeline = timeline
        persons = len(self._tenant.persons)
        for share, begin in (
            (_JOBS_SHARE, self._give_job),
            (_TICKETS_SHARE, self._open_ticket),
            (_WORK_ORDERS_SHARE, self._order_work),
        ):
            for _ in range(max(2, round(share * persons))):
                begin(start_s, rng.uniform(0.02, 0.95))

    def skip_checkpoints(self, now_s: float) -> bool:
        """A tour that has just been completed with too few checkpoints."""
        job = self._job(now_s, is_tour=True)
        job.skipped = self._rng.randrange(1, job.checkpoints - 1)
        job.planned_s = job.started_s = now_s - job.takes_s - job.uploaded_after_s
        write_job(self._timeline, job, job.planned_s, now_s)
        return True

    def overrun(self, now_s: float) -> bool:
        """A task under way that is due within seconds and takes longer."""
        job = self._job(now_s, is_tour=False)
        job.started_s = now_s - job.takes_s + self._rng.uniform(40, 180)
        job.planned_s, job.due_s = job.started_s - 10 * MINUTE_S, now_s + self._rng.uniform(*_DUE_S)
        write_job(self._timeline, job, job.planned_s, now_s)
        return True

    def breach(self, now_s: float) -> bool:
        """A ticket that comes from another system hours after it was created and is due within seconds."""
        created_s = now_s + self._rng.uniform(*_DUE_S) - BREACH_S["HIGH"]
        self._ticket("HIGH", created_s, now_s + self._rng.uniform(*_TICKET_S), now_s)
        return True

    def escalate(self, now_s: float) -> bool:
        """The escalation level of an open ticket rises."""
        rows = self._timeline.rows("ticket", self._tenant.id)
        able = [row for row in rows if row["escalation_level"] < LEVEL_MAX and row["status"] != "RESOLVED"]
        if able:
            row = self._rng.choice(able)
            escalate(self._timeline, self._tenant.id, row["id"], row["escalation_level"] + 1, now_s)
        return bool(able)

    def overdue_work(self, now_s: float) -> bool:
        """A work order that is due within seconds and takes longer."""
        created_s = now_s - self._rng.uniform(20, 48) * HOUR_S
        due_s, ends_s = now_s + self._rng.uniform(*_DUE_S), now_s + self._rng.uniform(60, 240)
        site = self._rng.choice(self._tenant.sites)
        order = WorkOrder(site, created_s, created_s + HOUR_S, due_s, ends_s, written_s=now_s)
        write_work_order(self._timeline, self._rng, order)
        return True

    def _job(self, now_s: float, *, is_tour: bool) -> Job:
        """A job that is given out now."""
        rng, site = self._rng, self._rng.choice(self._tenant.sites)
        title, minutes = rng.choice(TOURS if is_tour else TASKS)
        started_s, takes_s = now_s + rng.uniform(1, 4) * MINUTE_S, usual_duration_s(rng, site, minutes)
        checkpoints = rng.randrange(4, 10) if is_tour else 0
        person = self._rota.someone(site, now_s)
        return Job(site, person, title, now_s, now_s + _TIME_TO_DO_S, started_s, takes_s, checkpoints)

    def _give_job(self, now_s: float, done_share: float = 0.0) -> None:
        """Write the next job, or one of which this share is done already."""
        job = self._job(now_s, is_tour=self._rng.random() < _TOUR_SHARE)
        if done_share:
            job.planned_s = job.started_s = now_s - done_share * job.takes_s
        write_job(self._timeline, job, job.planned_s, now_s)
        self._timeline.call(job.done_s + self._rng.uniform(1, 5) * MINUTE_S, self._give_job)

    def _open_ticket(self, now_s: float, done_share: float = 0.0) -> None:
        """Write the next ticket, or one of which this share of the time has passed."""
        takes_s = self._rng.uniform(*_TICKET_S)
        created_s = now_s - done_share * takes_s
        closed_s = self._ticket(any_priority(self._rng), created_s, created_s + takes_s, now_s)
        self._timeline.call(closed_s + self._rng.uniform(0.5, 3) * MINUTE_S, self._open_ticket)

    def _ticket(self, priority: str, created_s: float, ends_s: float, now_s: float) -> float:
        """Write a ticket; returns when it is closed."""
        site, closed_s = self._rng.choice(self._tenant.sites), ends_s + self._rng.uniform(2, 6) * MINUTE_S
        ticket = Ticket(site, self._rota.someone(site, now_s), priority, created_s, ends_s, closed_s, now_s)
        write_ticket(self._timeline, self._rng, ticket)
        return closed_s

    def _order_work(self, now_s: float, done_share: float = 0.0) -> None:
        """Write the next work order; one that is there already begins sooner."""
        rng = self._rng
        begun_s = now_s + (1 - done_share) * rng.uniform(5, 20) * MINUTE_S
        ends_s = begun_s + rng.uniform(5, 20) * MINUTE_S
        due_s = now_s + rng.randrange(4, 72) * HOUR_S
        write_work_order(self._timeline, rng, WorkOrder(rng.choice(self._tenant.sites), now_s, begun_s, due_s, ends_s))
        self._timeline.call(ends_s + rng.uniform(5, 20) * MINUTE_S, self._order_work)
