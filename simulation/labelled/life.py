"""A whole life: every part of every company, day by day, in commit order."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from simulation.labelled.calendar import DAY_S, HOUR_S, Span
from simulation.labelled.desk import Desk
from simulation.labelled.jobs import Jobs
from simulation.labelled.ledger import Ledger
from simulation.labelled.machines import Machines
from simulation.labelled.roster import Duty, Roster
from simulation.labelled.visits import Visits
from simulation.labelled.workday import Workday
from simulation.labelled.world import Company, found_companies
from simulation.labelled.wrong_rows import WrongRows
from simulation.records import Label, Meta, RowChange

_BEFORE_S = 2 * DAY_S
"""Reference data is written so long before the first day."""


class Life:
    """Some companies' weeks.

    Args:
        seed: the same seed and span give the same life.
        span: which weeks.
        tenants: how many companies.
        planted: False: nothing wrong happens, which is how false alarms are looked for.

    The labels are complete once the changes have been taken.
    """

    def __init__(self, seed: int, span: Span | None = None, *, tenants: int = 4, planted: bool = True) -> None:
        self._seed = seed
        self._span = span or Span()
        self._planted = planted
        self._ledger = Ledger()
        self._first_s = _utc_s(self._span.days[0])
        self._last_s = _utc_s(self._span.days[-1]) + DAY_S
        self._companies = found_companies(self._ledger, seed, tenants, self._first_s - _BEFORE_S)

    @property
    def labels(self) -> list[Label]:
        """What is wrong, in the order of the times. What the end of the life cuts off need not be found."""
        told = (
            each if each.at_s + each.after_s < self._last_s else msgspec.structs.replace(each, required=False)
            for each in self._ledger.labels
        )
        return sorted(told, key=lambda each: (each.at_s, each.finding_type, each.entities))

    @property
    def meta(self) -> Meta:
        """About the life as a whole."""
        return Meta(
            from_s=self._first_s,
            until_s=self._last_s,
            judged_from_s=_utc_s(self._span.judged_from) - 14 * HOUR_S,  # then it begins in the furthest east
            sites=sum(len(company.sites) for company in self._companies),
            seed=self._seed,
        )

    def changes(self) -> Iterator[RowChange]:
        """Every row change in commit order; can be taken once."""
        ledger, seed, planted = self._ledger, self._seed, self._planted
        judged_from = self._span.judged_from
        wrong_rows = WrongRows(ledger, seed, self._companies)
        desk = Desk(ledger, seed, planted=planted)
        workday = Workday(ledger, seed, judged_from, planted=planted)
        rosters = {each.id: Roster(ledger, seed, each, planted=planted) for each in self._companies}
        jobs = {each.id: Jobs(ledger, seed, each, judged_from, planted=planted) for each in self._companies}
        visits = {each.id: Visits(ledger, seed, each, rosters[each.id], planted=planted) for each in self._companies}
        machines = [Machines(ledger, seed, each.machines, planted=planted) for each in self._companies]
        duties: dict[int, dict[date, list[Duty]]] = {each.id: {} for each in self._companies}
        for day in self._span.days:
            for company in self._companies:
                if day.weekday() == 0:
                    written_s = _utc_s(day) - DAY_S - 6 * HOUR_S
                    duties[company.id] = rosters[company.id].week(day, written_s)
                self._people(company, duties[company.id].get(day, []), day, workday)
                visits[company.id].live(day)
                for site in company.sites:
                    jobs[company.id].live(site, day)
                    desk.live(site, day)
                    if planted:
                        wrong_rows.live(company, site, day)
            for each in machines:
                each.live(_utc_s(day))
            # The next day begins in the east while it is still yesterday in UTC; weeks are written a day ahead.
            weekly_s = DAY_S if (day + timedelta(days=1)).weekday() == 0 else 0.0
            yield from ledger.until(_utc_s(day) + 8 * HOUR_S - weekly_s)
        yield from ledger.until(self._last_s)

    def _people(self, company: Company, duties: list[Duty], day: date, workday: Workday) -> None:
        for duty in duties:
            together = [
                each.person
                for each in duties
                if each.site is duty.site and each.start_s == duty.start_s and workday.is_usual(each, day)
            ]
            workday.live(duty, day, together, company.persons[duty.site.id])


def _utc_s(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()
