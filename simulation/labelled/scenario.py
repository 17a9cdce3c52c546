"""A whole scenario: every part of every company, day by day, in commit order."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

import msgspec

from simulation.labelled.company import build_companies
from simulation.labelled.roster import Roster
from simulation.labelled.visits import VisitDays
from simulation.labelled.work import WorkDays
from simulation.labelled.workday import Workdays
from simulation.records import Label, Meta, RowChange
from simulation.world.calendar import DAY_S, HOUR_S, local_s, midnight_utc_s
from simulation.world.company import Tenant
from simulation.world.devices import Devices
from simulation.world.shifts import Shift
from simulation.world.timeline import Timeline
from simulation.world.wrong_rows import write_wrong_row

_BEFORE_S = 2 * DAY_S
"""Reference data is written so long before the first day."""
_OUTAGE_SHARE, _MARKED_SHARE = 0.1, 0.5
"""Of a device's days have an outage; of those are marked OFFLINE."""
_WRONG_ROW_SHARE = 0.25
"""Of a site's days."""


@dataclass(frozen=True, slots=True)
class Span:
    """How long a scenario is."""

    first: date = date(2026, 3, 2)
    """A Monday. Six weeks from here hold three changes to or from daylight saving time on three continents."""
    weeks: int = 6
    learning_weeks: int = 2

    @property
    def days(self) -> list[date]:
        """Every day of it."""
        return [self.first + timedelta(days=number) for number in range(7 * self.weeks)]

    @property
    def judged_from(self) -> date:
        """The first day on which what has to be learned is planted."""
        return self.first + timedelta(days=7 * self.learning_weeks)


class Scenario:
    """Some companies' weeks.

    Args:
        seed: the same seed and span give the same scenario.
        span: which weeks.
        tenants: how many companies.
        planted: False: nothing wrong happens, which is how false alarms are looked for.

    The labels are complete once the changes have been taken.
    """

    def __init__(self, seed: int, span: Span | None = None, *, tenants: int = 4, planted: bool = True) -> None:
        self._seed = seed
        self._span = span or Span()
        self._planted = planted
        self._timeline = Timeline()
        self._first_s = midnight_utc_s(self._span.days[0])
        self._last_s = midnight_utc_s(self._span.days[-1]) + DAY_S
        self._tenants = build_companies(seed, tenants)

    @property
    def labels(self) -> list[Label]:
        """What is wrong, in the order of the times. What the end of the scenario cuts off need not be found."""
        labels = (
            each if each.at_s + each.after_s < self._last_s else msgspec.structs.replace(each, required=False)
            for each in self._timeline.labels
        )
        return sorted(labels, key=lambda each: (each.at_s, each.finding_type, each.entities))

    @property
    def meta(self) -> Meta:
        """About the scenario as a whole."""
        return Meta(
            from_s=self._first_s,
            until_s=self._last_s,
            judged_from_s=midnight_utc_s(self._span.judged_from) - 14 * HOUR_S,  # then it begins in the furthest east
            sites=sum(len(tenant.sites) for tenant in self._tenants),
            seed=self._seed,
        )

    def changes(self) -> Iterator[RowChange]:
        """Every row change in commit order; can be taken once."""
        days = [
            _CompanyDays(self._timeline, self._seed, tenant, self._span, planted=self._planted)
            for tenant in self._tenants
        ]
        for tenant in self._tenants:
            for table, row in tenant.rows():
                self._timeline.insert(table, tenant.id, self._first_s - _BEFORE_S, **row)
        for day in self._span.days:
            for number, each in enumerate(days):
                each.live(day, self._tenants[number - 1])
            # The next day begins in the east while it is still yesterday in UTC; weeks are written a day ahead.
            weekly_s = DAY_S if (day + timedelta(days=1)).weekday() == 0 else 0.0
            yield from self._timeline.take(midnight_utc_s(day) + 8 * HOUR_S - weekly_s)
        yield from self._timeline.take(self._last_s)


class _CompanyDays:
    """One company, day by day."""

    def __init__(self, timeline: Timeline, seed: int, tenant: Tenant, span: Span, *, planted: bool) -> None:
        self._timeline = timeline
        self._seed = seed
        self._tenant = tenant
        self._planted = planted
        self._roster = Roster(timeline, seed, tenant, planted=planted)
        self._workdays = Workdays(timeline, seed, span.judged_from, planted=planted)
        self._visits = VisitDays(timeline, seed, tenant, self._roster, planted=planted)
        self._work = WorkDays(timeline, seed, tenant, span.judged_from, planted=planted)
        machines = [device for device in tenant.devices if not device.is_phone]
        self._devices = Devices(timeline, seed, tenant.id, machines, midnight_utc_s(span.days[0]))
        self._shifts: dict[date, list[Shift]] = {}

    def live(self, day: date, other: Tenant) -> None:
        """A day; `other` is a tenant whose people do not belong here, or the same one."""
        if day.weekday() == 0:
            self._shifts = self._roster.week(day, midnight_utc_s(day) - DAY_S - 6 * HOUR_S)
        self._workdays.day(self._shifts.get(day, []), day, self._tenant.staff)
        self._visits.day(day)
        for site in self._tenant.sites:
            if self._roster.is_open(site, day):
                self._work.give_jobs(site, day)
            self._work.open_tickets(site, day)
        if self._planted:
            self._wrong_rows(day, other)
            self._outages(day)

    def _wrong_rows(self, day: date, other: Tenant) -> None:
        for site in self._tenant.sites:
            rng = Random(f"{self._seed}/wrong/{site.id}/{day}")
            if rng.random() < _WRONG_ROW_SHARE:
                at_s = local_s(day, rng.uniform(9, 15), site.zone)
                stranger = None if other is self._tenant else rng.choice(other.persons)
                person = rng.choice(self._tenant.staff[site.id])
                write_wrong_row(self._timeline, rng, site, person, at_s, stranger=stranger)

    def _outages(self, day: date) -> None:
        for device in self._tenant.devices:
            rng = Random(f"{self._seed}/outage/{device.id}/{day}")
            if not device.is_phone and rng.random() < _OUTAGE_SHARE:
                start_s = midnight_utc_s(day) + rng.uniform(2, 18) * HOUR_S
                is_marked = rng.random() < _MARKED_SHARE
                self._devices.lose(device.id, (start_s, start_s + rng.uniform(2.2, 5) * HOUR_S), is_marked=is_marked)
