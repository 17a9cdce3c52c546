"""The jobs, tickets and work orders of a site's day, and how they go: mostly as planned, some oddly, some wrongly."""

import math
from datetime import date
from random import Random

from simulation.labelled.plan import ScenarioPlan
from simulation.world.calendar import DAY_S, HOUR_S, MINUTE_S, local_s
from simulation.world.company import Site, SiteKind, Tenant
from simulation.world.desk import BREACH_S, Ticket, WorkOrder, any_priority, escalate, write_ticket, write_work_order
from simulation.world.jobs import Job, usual_duration_s, write_job
from simulation.world.vocabulary import TASKS, TOURS

_TASKS_A_DAY = 2 * TASKS[:3]
_TOUR_HOURS = (8.0, 11.0, 20.0, 23.5)
"""The last one is finished after midnight."""
LEARNED, _UNUSUAL = "UNUSUAL_COMPLETION_TIME", 6.0
"""What has to be learned before it can be found, and how much slower or faster such a job is."""
_WAY_SHARE = 0.02
"""Of the jobs, for each way in which one may go."""
_ODD_WAYS = ("last minute", "cancelled", "moved", "uploaded late")
_WRONG_WAYS = ("late", "never", "not finished")
_TICKETS_A_DAY, _ORDERS_A_DAY = 0.9, 0.35
_LATE_SHARE, _ESCALATED_SHARE = 0.15, 0.12
_SLOWEST_S = {"CRITICAL": 25 * MINUTE_S, "HIGH": 3.8 * HOUR_S, "MEDIUM": 3.5 * HOUR_S, "LOW": 7 * HOUR_S}
"""A ticket that is dealt with well takes no longer."""


class WorkDays:
    """The work at the sites of one tenant."""

    def __init__(self, plan: ScenarioPlan, tenant: Tenant) -> None:
        self._plan = plan
        self._timeline = plan.timeline
        self._planted = plan.is_planted
        self._tenant = tenant

    def give_jobs(self, site: Site, day: date) -> None:
        """The tasks of a day, and the tours where there are guards."""
        rng = self._plan.rng("jobs", site.id, day)
        for number, (title, minutes) in enumerate(_TASKS_A_DAY):
            self._job(rng, site, day, 7.0 + 1.2 * number, title, minutes)
        if site.kind is not SiteKind.OFFICE:
            for hour in _TOUR_HOURS:
                self._job(rng, site, day, hour, *TOURS[0], checkpoints=6 + site.id % 5)

    def open_tickets(self, site: Site, day: date) -> None:
        """The tickets and work orders of a day."""
        rng = self._plan.rng("desk", site.id, day)
        while rng.random() < _TICKETS_A_DAY / (1 + _TICKETS_A_DAY):
            self._ticket(rng, site, local_s(day, rng.uniform(5, 23), site.zone))
        if rng.random() < _ORDERS_A_DAY:
            self._order(rng, site, local_s(day, rng.uniform(8, 17), site.zone))

    def _job(
        self, rng: Random, site: Site, day: date, hour: float, title: str, minutes: float, checkpoints: int = 0
    ) -> None:
        planned_s = local_s(day, hour, site.zone)
        started_s, takes_s = planned_s + rng.uniform(0, 60) * MINUTE_S, usual_duration_s(rng, site, minutes)
        person = rng.choice(self._tenant.staff[site.id])
        job = Job(site, person, title, planned_s, planned_s + 11 * HOUR_S, started_s, takes_s, checkpoints)
        ways = list(_ODD_WAYS)
        if self._planted:
            ways += _WRONG_WAYS
            ways += ["skipped", "skipped"] if checkpoints else []
            ways += ["slow", "fast"] if day >= self._plan.span.judged_from else []
        drawn = int(rng.random() / _WAY_SHARE)
        way = ways[drawn] if drawn < len(ways) else "as planned"
        _go(rng, job, way)
        about = write_job(self._timeline, job, local_s(day, 5.5, site.zone) + rng.uniform(0, 60))
        if way in {"slow", "fast"}:
            note = f"{title} in {job.takes_s / MINUTE_S:.0f} min"
            self._timeline.label(LEARNED, site.tenant_id, about, job.done_s, note)

    def _ticket(self, rng: Random, site: Site, at_s: float) -> None:
        priority, person = any_priority(rng), rng.choice(self._tenant.staff[site.id])
        takes_s = _SLOWEST_S[priority] * (1.0 if rng.random() < 0.05 else math.exp(-rng.uniform(0.1, 2)))
        if self._planted and rng.random() < _LATE_SHARE:
            takes_s = BREACH_S[priority] + rng.uniform(0.3, 10) * HOUR_S
        closed_s = at_s + takes_s + rng.uniform(1, 30) * HOUR_S
        row_id = write_ticket(self._timeline, rng, Ticket(site, person, priority, at_s, at_s + takes_s, closed_s))
        if self._planted and rng.random() < _ESCALATED_SHARE:
            escalate(self._timeline, site.tenant_id, row_id, 1, at_s + 0.5 * takes_s)

    def _order(self, rng: Random, site: Site, at_s: float) -> None:
        due_s = at_s + rng.uniform(1, 6) * DAY_S
        outcome, moved_to_s, is_cancelled = rng.random(), None, False
        ends_s = due_s - rng.uniform(0.05, 12) * HOUR_S
        if self._planted and outcome < 2 * _LATE_SHARE:
            ends_s = due_s + rng.uniform(0.3, 40) * HOUR_S
        elif outcome < 0.4:
            ends_s, is_cancelled = at_s + 0.5 * (due_s - at_s), True
        elif outcome < 0.5:  # moved in time, and done by then
            moved_to_s = due_s + 2 * DAY_S
            ends_s = moved_to_s - HOUR_S
        begun_s = at_s + 0.3 * (due_s - at_s)
        order = WorkOrder(site, at_s, begun_s, due_s, ends_s, is_cancelled=is_cancelled, moved_to_s=moved_to_s)
        write_work_order(self._timeline, rng, order)


def _go(rng: Random, job: Job, way: str) -> None:
    """Change a job so that it goes this way."""
    job.is_cancelled = way == "cancelled"
    job.is_started = way != "never"
    job.is_finished = way != "not finished"
    match way:
        case "moved":
            job.moved_to_s = job.due_s + 6 * HOUR_S
            job.started_s = job.moved_to_s - 3 * HOUR_S
        case "last minute":
            job.started_s = job.due_s - job.takes_s - rng.uniform(2, 9) * MINUTE_S
        case "uploaded late":
            job.uploaded_after_s = rng.uniform(0.5, 2.5) * HOUR_S
        case "late":
            job.started_s = job.due_s - 10 * MINUTE_S + rng.uniform(0, 4) * HOUR_S
            job.takes_s = max(job.takes_s, job.due_s + 15 * MINUTE_S - job.started_s)
        case "skipped":
            job.skipped = rng.randint(2, 4)
        case "slow" | "fast":
            job.takes_s *= _UNUSUAL if way == "slow" else 1 / _UNUSUAL
        case _:
            pass
