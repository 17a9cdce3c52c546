"""A whole scenario: every part of every company, day by day, in commit order."""

from collections.abc import Iterator
from datetime import date, timedelta

import msgspec

from simulation.labelled import shift_days, work_days
from simulation.labelled.company import build_companies
from simulation.labelled.plan import ScenarioPlan, Span
from simulation.labelled.roster import Roster
from simulation.labelled.shift_days import ShiftDays
from simulation.labelled.visit_days import VisitDays
from simulation.labelled.work_days import WorkDays
from simulation.records import Label, Meta, RowChange
from simulation.world.calendar import DAY_S, HOUR_S, local_s, midnight_utc_s
from simulation.world.company import Site, Tenant
from simulation.world.devices import Devices
from simulation.world.shifts import Shift
from simulation.world.wrong_rows import write_wrong_row

_BEFORE_S = 2 * DAY_S
"""Reference data is written so long before the first day."""
_OUTAGE_SHARE, _MARKED_SHARE = 0.1, 0.5
"""Of a device's days have an outage; of those are marked OFFLINE."""
_WRONG_ROW_SHARE = 0.25
"""Of a site's days."""


class Scenario:
    """Some companies' weeks.

    Args:
        seed: the same seed and span give the same scenario.
        planted: False: nothing wrong happens, which is how false alarms are looked for.

    The labels are complete once the changes have been taken.
    """

    def __init__(self, seed: int, span: Span | None = None, *, tenants: int = 4, planted: bool = True) -> None:
        self._plan = ScenarioPlan(seed, span or Span(), planted)
        self._days = self._plan.span.days
        self._first_s, self._last_s = midnight_utc_s(self._days[0]), midnight_utc_s(self._days[-1]) + DAY_S
        self._tenants = build_companies(seed, tenants)

    @property
    def labels(self) -> list[Label]:
        """What is wrong, in the order of the times. What the end of the scenario cuts off need not be found."""
        labels = (
            each if each.at_s + each.after_s < self._last_s else msgspec.structs.replace(each, required=False)
            for each in self._plan.timeline.labels
        )
        return sorted(labels, key=lambda each: (each.at_s, each.finding_type, each.entities))

    @property
    def meta(self) -> Meta:
        """About the scenario as a whole."""
        judged_from_s = midnight_utc_s(self._plan.span.judged_from)
        return Meta(
            from_s=self._first_s,
            until_s=self._last_s,
            judged_from_s=judged_from_s - 14 * HOUR_S,  # then it begins in the furthest east
            learned=sorted({work_days.LEARNED, *shift_days.LEARNED.values()}),
            sites=sum(len(tenant.sites) for tenant in self._tenants),
            seed=self._plan.seed,
        )

    def changes(self) -> Iterator[RowChange]:
        """Every row change in commit order; can be taken once."""
        timeline = self._plan.timeline
        for tenant in self._tenants:
            timeline.insert_reference(tenant, self._first_s - _BEFORE_S)
        companies = [_CompanyDays(self._plan, tenant) for tenant in self._tenants]
        for day in self._days:
            for number, company in enumerate(companies):
                company.add_day(day, self._tenants[number - 1])
            # The next day begins in the east while it is still yesterday in UTC; weeks are written a day ahead.
            weekly_s = DAY_S if (day + timedelta(days=1)).weekday() == 0 else 0.0
            yield from timeline.take(midnight_utc_s(day) + 8 * HOUR_S - weekly_s)
        yield from timeline.take(self._last_s)


class _CompanyDays:
    """One company, day by day."""

    def __init__(self, plan: ScenarioPlan, tenant: Tenant) -> None:
        self._plan = plan
        self._tenant = tenant
        self._roster = Roster(plan, tenant)
        self._shift_days = ShiftDays(plan, tenant)
        self._visit_days = VisitDays(plan, tenant, self._roster)
        self._work_days = WorkDays(plan, tenant)
        self._machines = [device for device in tenant.devices if not device.is_phone]
        start_s = midnight_utc_s(plan.span.first)
        self._devices = Devices(plan.timeline, plan.seed, tenant.id, self._machines, start_s)
        self._shifts: dict[date, list[Shift]] = {}

    def add_day(self, day: date, other: Tenant) -> None:
        """A day; `other` is a tenant whose people do not belong here, or the same one."""
        if day.weekday() == 0:
            self._shifts = self._roster.week(day, midnight_utc_s(day) - DAY_S - 6 * HOUR_S)
        self._shift_days.day(self._shifts.get(day, []), day)
        self._visit_days.day(day)
        for site in self._tenant.sites:
            if self._roster.is_open(site, day):
                self._work_days.give_jobs(site, day)
            self._work_days.open_tickets(site, day)
            if self._plan.is_planted:
                self._wrong_row(site, day, other)
        if self._plan.is_planted:
            self._outages(day)

    def _wrong_row(self, site: Site, day: date, other: Tenant) -> None:
        rng = self._plan.rng("wrong", site.id, day)
        if rng.random() < _WRONG_ROW_SHARE:
            at_s = local_s(day, rng.uniform(9, 15), site.zone)
            stranger = None if other is self._tenant else rng.choice(other.persons)
            person = rng.choice(self._tenant.staff[site.id])
            write_wrong_row(self._plan.timeline, rng, site, person, at_s, stranger=stranger)

    def _outages(self, day: date) -> None:
        for device in self._machines:
            rng = self._plan.rng("outage", device.id, day)
            if rng.random() < _OUTAGE_SHARE:
                start_s = midnight_utc_s(day) + rng.uniform(2, 18) * HOUR_S
                span = (start_s, start_s + rng.uniform(2.2, 5) * HOUR_S)
                self._devices.lose(device.id, span, is_marked=rng.random() < _MARKED_SHARE)
