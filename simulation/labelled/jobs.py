"""Tasks and tours of the sites' days."""

import math
import random
from datetime import date

from simulation.labelled.calendar import HOUR_S, MINUTE_S, local_s, moment
from simulation.labelled.ledger import Ledger
from simulation.labelled.world import Company, Kind, Site
from simulation.records import Row

_TASKS = (("Clean the lobby", 40.0), ("Check the boiler", 18.0), ("Inspect the fire doors", 26.0))
"""Title, and minutes that it takes in the middle."""
_TOUR = ("Perimeter tour", 35.0)
_SPREAD = 0.2
"""Standard deviation of the logarithm of a duration."""
_UNUSUAL = 6.0
_SHARE = 0.02


class Jobs:
    """Lives the jobs of one company.

    Args:
        ledger: where rows and labels go.
        seed: of the life.
        company: whose jobs they are.
        judged_from: the first day of unusual durations.
        planted: whether wrong things happen.
    """

    def __init__(self, ledger: Ledger, seed: int, company: Company, judged_from: date, *, planted: bool) -> None:
        self._ledger = ledger
        self._seed = seed
        self._company = company
        self._judged_from = judged_from
        self._planted = planted

    def live(self, site: Site, day: date) -> None:
        """The jobs of a site's day."""
        chance = random.Random(f"{self._seed}/jobs/{site.id}/{day}")
        if site.kind is Kind.OFFICE and (day.weekday() >= 5 or day in self._company.holidays):
            return
        for number, (title, minutes) in enumerate(_TASKS * 2):
            self._job(chance, site, day, 7.0 + 1.2 * number, title, minutes)
        if site.kind is not Kind.OFFICE:
            for hour in (8.0, 11.0, 20.0, 23.5):  # the last one is finished after midnight
                self._job(chance, site, day, hour, *_TOUR, checkpoints=6 + site.id % 5)

    def _job(
        self,
        chance: random.Random,
        site: Site,
        day: date,
        hour: float,
        title: str,
        minutes: float,
        checkpoints: int | None = None,
    ) -> None:
        planned_s = local_s(day, hour, site.zone)
        due_s = planned_s + 11 * HOUR_S
        people = self._company.persons[site.id]
        row = self._ledger.insert(
            "jobneed",
            site.tenant_id,
            local_s(day, 5.5, site.zone) + chance.uniform(0, 60),
            site_id=site.id,
            person_id=chance.choice(people).id,
            job_type="TOUR" if checkpoints else "TASK",
            title=title,
            status="ASSIGNED",
            planned_start=moment(planned_s),
            due_at=moment(due_s),
            started_at=None,
            completed_at=None,
            checkpoints_expected=checkpoints,
            checkpoints_scanned=0 if checkpoints else None,
        )
        started_s = planned_s + chance.uniform(0, 60) * MINUTE_S
        usual_s = minutes * (0.8 + 0.07 * (site.id % 7)) * MINUTE_S
        takes_s = usual_s * math.exp(max(-2.6, min(2.6, chance.gauss(0, 1))) * _SPREAD)
        kinds = ["last minute", "cancelled", "moved", "uploaded late"]
        if self._planted:
            kinds += ["late", "never", "started, not done"]
            kinds += ["skipped", "skipped"] if checkpoints else []
            kinds += ["slow", "fast"] if day >= self._judged_from else []
        drawn = int(chance.random() / _SHARE)
        plant = kinds[drawn] if drawn < len(kinds) else ""
        self._run(chance, row, plant, started_s, takes_s, due_s, checkpoints)

    def _run(
        self,
        chance: random.Random,
        row: Row,
        plant: str,
        started_s: float,
        takes_s: float,
        due_s: float,
        checkpoints: int | None,
    ) -> None:
        if plant == "cancelled":
            self._ledger.update("jobneed", row, started_s, status="CANCELLED")
            return
        if plant == "moved":
            due_s += 6 * HOUR_S
            row = self._ledger.update("jobneed", row, started_s, due_at=moment(due_s))
            started_s = due_s - 3 * HOUR_S
        elif plant == "last minute":
            started_s = due_s - takes_s - chance.uniform(2, 9) * MINUTE_S
        elif plant in {"late", "never", "started, not done"}:
            self._ledger.label(
                "TASK_OVERDUE",
                row["tenant_id"],
                [f"jobneed:{row['id']}"],
                due_s,
                plant,
                before_s=0.0,
                after_s=10 * MINUTE_S,
                exact=True,
            )
            if plant == "late":
                started_s = due_s - 10 * MINUTE_S + chance.uniform(0, 4) * HOUR_S
                takes_s = max(takes_s, due_s + 15 * MINUTE_S - started_s)
        elif plant in {"slow", "fast"}:
            takes_s *= _UNUSUAL if plant == "slow" else 1 / _UNUSUAL
        if plant == "never":
            return
        row = self._ledger.update("jobneed", row, started_s + 1, status="IN_PROGRESS", started_at=moment(started_s))
        if plant != "started, not done":
            self._finish(chance, row, plant, started_s, takes_s, checkpoints)

    def _finish(
        self,
        chance: random.Random,
        row: Row,
        plant: str,
        started_s: float,
        takes_s: float,
        checkpoints: int | None,
    ) -> None:
        about, tenant, done_s, scanned = [f"jobneed:{row['id']}"], row["tenant_id"], started_s + takes_s, checkpoints
        if checkpoints:
            if plant == "skipped":
                scanned = checkpoints - chance.randint(2, 4)
                note = f"{scanned} of {checkpoints} checkpoints"
                self._ledger.label("CHECKPOINTS_SKIPPED", tenant, about, done_s + 1, note)
            half_s, half = started_s + takes_s / 2, min(checkpoints // 2, scanned or 0)
            row = self._ledger.update("jobneed", row, half_s, checkpoints_scanned=half)
        done = {"status": "COMPLETED", "completed_at": moment(done_s), "checkpoints_scanned": scanned}
        upload_s = chance.uniform(0.5, 2.5) * HOUR_S if plant == "uploaded late" else 1.0
        self._ledger.update("jobneed", row, done_s + upload_s, **done)
        if plant in {"slow", "fast"}:
            note = f"{row['title']} in {takes_s / 60:.0f} min"
            self._ledger.label("UNUSUAL_COMPLETION_TIME", tenant, about, done_s + 1, note)
        elif plant == "late":  # it ended past its deadline, which may have taken it oddly long
            self._ledger.label("UNUSUAL_COMPLETION_TIME", tenant, about, done_s + 1, plant, required=False)
