"""Who is to work where and when, and how each of them takes it. Values and the plan of a day; no rows, no clock."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from simulation.live.company import Person, Site, Tenant
from simulation.live.geometry import distance_m

SHIFT_LENGTH = timedelta(hours=8)
CHECK_OUT_GRACE = timedelta(hours=2)
"""How long after a shift the company waits for a forgotten check-out; its supervisors know that the NOC does too."""
DAY_LONG = timedelta(hours=14, minutes=15)
"""More than anybody may work in a day, even in the night in which the clocks go back."""
_DAY = timedelta(days=1)
_SHIFTS_IN_A_ROW = 5
_DAYS_OFF = timedelta(days=2)
_BREAK_MIN = timedelta(minutes=6)
_AT_HOME_SITE_SHARE = 0.75
_SPECIAL_SHARE = 1 / 15
"""Of the persons, for each of the habits: those who at the start of a run are about to do what a run can plant."""
_HABIT_SHARE = 0.06


class Habit(StrEnum):
    """What a person does with a shift. Nobody but the first is found unless it is planted."""

    PUNCTUAL = "punctual"
    TARDY = "tardy"
    """Does not come by itself."""
    FORGETFUL = "forgetful"
    """Goes home without a check-out; the supervisor enters it before anybody has to look."""
    UNCONNECTED = "unconnected"
    """Works where no telephone has a network, so that the day's rows come when it is over."""


class Presence(StrEnum):
    """Where a person stands in the shift."""

    AWAITED = "awaited"
    AT_WORK = "at work"
    ON_BREAK = "on break"
    UNACCOUNTED = "unaccounted"
    """Gone without a check-out."""
    ASTRAY = "astray"
    """Checked in, and the telephone says that its owner is not there."""
    ELSEWHERE = "elsewhere"
    """Checked in where nobody can have come to in time."""
    GONE = "gone"


@dataclass(slots=True)
class Duty:
    """A person's current or next shift, and where the person is during it."""

    person: Person
    site: Site
    start: datetime
    habit: Habit = Habit.PUNCTUAL
    presence: Presence = Presence.AWAITED
    since: datetime = field(init=False)
    """Of the presence."""
    stage: int = 0
    """Grows with each change of presence; what was planned for an earlier stage does not happen any more."""
    shifts_in_a_row: int = 1
    visiting: bool = False

    def __post_init__(self) -> None:
        self.since = self.start - _DAY

    @property
    def end(self) -> datetime:
        """Of the shift."""
        return self.start + SHIFT_LENGTH

    def enter(self, presence: Presence, when: datetime) -> None:
        """Change the presence."""
        self.presence, self.since = presence, when
        self.stage += 1

    def back(self, now: datetime) -> bool:
        """Whether the person may come back from a break now, from wherever one can have walked to."""
        return self.presence is Presence.ON_BREAK and now - self.since > _BREAK_MIN

    def idle(self, now: datetime) -> bool:
        """Whether the person has nothing to do with work for hours before and after."""
        return (
            self.presence in {Presence.AWAITED, Presence.GONE}
            and self.habit is not Habit.TARDY
            and not self.visiting
            and now - self.since > timedelta(hours=3)
            and (self.start - now > timedelta(hours=3) or self.presence is Presence.GONE)
        )


def first_duties(tenant: Tenant, now: datetime, rng: Random, *, tempted: bool) -> list[Duty]:
    """One duty for each person: shifts begin one after the other around the clock, so a third is under way.

    Args:
        tenant: whose persons.
        now: the time of the opening.
        rng: chance.
        tempted: whether some have habits that a run can make use of.
    """
    persons = rng.sample(tenant.persons, len(tenant.persons))
    duties = []
    for place, person in enumerate(persons):
        start = now - SHIFT_LENGTH + _DAY * ((place + rng.uniform(0.05, 0.95)) / len(persons))
        duties.append(Duty(person, _site_for(person, rng), start))
    if tempted:
        each = max(1, round(len(persons) * _SPECIAL_SHARE))
        chosen = rng.sample(duties, 3 * each)
        for place, duty in enumerate(chosen[:each]):
            duty.habit = Habit.FORGETFUL
            due = timedelta(seconds=30 + 45 * place + rng.uniform(0, 30))
            duty.start = now - CHECK_OUT_GRACE - SHIFT_LENGTH + due
        for duty in chosen[each : 2 * each]:
            duty.habit = Habit.TARDY
            duty.start = now - timedelta(minutes=rng.uniform(18, 90))
        for duty in chosen[2 * each :]:
            duty.habit = Habit.UNCONNECTED
            duty.start = now - DAY_LONG - timedelta(minutes=rng.uniform(5, 60))
        for duty in chosen:
            duty.since = duty.start - _DAY
    return duties


def next_duty(duty: Duty, rng: Random, *, tempted: bool) -> Duty:
    """The shift after this one: tomorrow at the same time, after five days two days later than that."""
    rest = duty.shifts_in_a_row >= _SHIFTS_IN_A_ROW
    habit = rng.choice(list(Habit)) if tempted and rng.random() < _HABIT_SHARE * len(Habit) else Habit.PUNCTUAL
    start = duty.start + _DAY + (_DAYS_OFF if rest else timedelta())
    following = Duty(duty.person, _site_for(duty.person, rng), start, habit)
    following.since = duty.since
    following.shifts_in_a_row = 1 if rest else duty.shifts_in_a_row + 1
    return following


def foreign_sites(tenant: Tenant, person: Person) -> list[Site]:
    """The sites of the person's city where this person never works."""
    own, city = {site.id for site in person.sites}, person.sites[0].timezone
    foreign = [site for site in tenant.sites if site.id not in own]
    return [site for site in foreign if site.timezone == city] or foreign


def far_site(tenant: Tenant, site: Site, distance_m_min: float) -> Site | None:
    """The site of the same city that is farthest away; None where none is so far."""
    there = [other for other in tenant.sites if other.timezone == site.timezone]
    farthest = max(there, key=lambda other: _apart_m(site, other))
    return farthest if _apart_m(site, farthest) >= distance_m_min else None


def _apart_m(one: Site, other: Site) -> float:
    return distance_m(one.latitude, one.longitude, other.latitude, other.longitude)


def _site_for(person: Person, rng: Random) -> Site:
    home, other = person.sites
    return home if rng.random() < _AT_HOME_SITE_SHARE else other
