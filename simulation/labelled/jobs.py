"""The tasks and tours of a site's day, and how they go: as planned mostly, some oddly, some wrongly."""

from datetime import date
from random import Random

from simulation.world.calendar import HOUR_S, MINUTE_S, SATURDAY, local_s
from simulation.world.company import Site, SiteKind, Tenant
from simulation.world.jobs import Job, usual_duration_s, write_job
from simulation.world.timeline import Timeline
from simulation.world.vocabulary import TASKS, TOURS

_TASKS_A_DAY = 2 * TASKS[:3]
_TOUR_HOURS = (8.0, 11.0, 20.0, 23.5)
"""The last one is finished after midnight."""
_UNUSUAL = 6.0
_SHARE = 0.02
"""Of the jobs, for each way in which one may go."""
_ODD = ("last minute", "cancelled", "moved", "uploaded late")
_WRONG = ("late", "never", "not finished")


class JobDays:
    """The jobs of one tenant.

    Args:
        timeline: where rows and labels go.
        seed: of the scenario.
        tenant: whose jobs they are.
        judged_from: the first day of unusual durations.
        planted: whether wrong things happen.
    """

    def __init__(self, timeline: Timeline, seed: int, tenant: Tenant, judged_from: date, *, planted: bool) -> None:
        self._timeline = timeline
        self._seed = seed
        self._tenant = tenant
        self._judged_from = judged_from
        self._planted = planted

    def day(self, site: Site, day: date, *, is_holiday: bool) -> None:
        """The jobs of a site's day."""
        rng = Random(f"{self._seed}/jobs/{site.id}/{day}")
        if site.kind is SiteKind.OFFICE and (day.weekday() >= SATURDAY or is_holiday):
            return
        for number, (title, minutes) in enumerate(_TASKS_A_DAY):
            self._job(rng, site, day, 7.0 + 1.2 * number, title, minutes)
        if site.kind is not SiteKind.OFFICE:
            for hour in _TOUR_HOURS:
                self._job(rng, site, day, hour, *TOURS[0], checkpoints=6 + site.id % 5)

    def _job(
        self, rng: Random, site: Site, day: date, hour: float, title: str, minutes: float, checkpoints: int = 0
    ) -> None:
        planned_s = local_s(day, hour, site.zone)
        job = Job(
            site=site,
            person=rng.choice(self._tenant.staff[site.id]),
            title=title,
            planned_s=planned_s,
            due_s=planned_s + 11 * HOUR_S,
            started_s=planned_s + rng.uniform(0, 60) * MINUTE_S,
            takes_s=usual_duration_s(rng, site, minutes),
            checkpoints=checkpoints,
        )
        unusual = self._goes(rng, job, self._way(rng, job, day))
        row_id = write_job(self._timeline, job, local_s(day, 5.5, site.zone) + rng.uniform(0, 60))
        if unusual and job.started_s is not None:
            at_s = job.started_s + job.takes_s + job.uploaded_after_s
            note = f"{title} in {job.takes_s / MINUTE_S:.0f} min"
            self._timeline.label("UNUSUAL_COMPLETION_TIME", site.tenant_id, [f"jobneed:{row_id}"], at_s, note)

    def _way(self, rng: Random, job: Job, day: date) -> str:
        """How it goes; an empty text: as planned."""
        ways = list(_ODD)
        if self._planted:
            ways += _WRONG
            ways += ["skipped", "skipped"] if job.checkpoints else []
            ways += ["slow", "fast"] if day >= self._judged_from else []
        drawn = int(rng.random() / _SHARE)
        return ways[drawn] if drawn < len(ways) else ""

    def _goes(self, rng: Random, job: Job, way: str) -> bool:
        """Change a job so that it goes this way; whether it takes unusually long or short."""
        match way:
            case "cancelled":
                job.is_cancelled = True
            case "moved":
                job.moved_to_s = job.due_s + 6 * HOUR_S
                job.started_s = job.moved_to_s - 3 * HOUR_S
            case "last minute":
                job.started_s = job.due_s - job.takes_s - rng.uniform(2, 9) * MINUTE_S
            case "uploaded late":
                job.uploaded_after_s = rng.uniform(0.5, 2.5) * HOUR_S
            case "never":
                job.started_s = None
            case "not finished":
                job.is_finished = False
            case "late":
                job.started_s = job.due_s - 10 * MINUTE_S + rng.uniform(0, 4) * HOUR_S
                job.takes_s = max(job.takes_s, job.due_s + 15 * MINUTE_S - job.started_s)
            case "skipped":
                job.skipped = rng.randint(2, 4)
            case "slow" | "fast":
                job.takes_s *= _UNUSUAL if way == "slow" else 1 / _UNUSUAL
                return True
        return False
