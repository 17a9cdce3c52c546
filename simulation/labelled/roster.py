"""Who works when: the shifts of a week, entered before it begins, with swaps and absences entered in time."""

import random
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from simulation.labelled.calendar import DAY_S, HOUR_S, local_s, moment
from simulation.labelled.ledger import Ledger
from simulation.labelled.world import Company, Kind, Person, Site
from simulation.records import Row

_REST_S = 11 * HOUR_S
_SWAP_SHARE = 0.03
_LONG_DAY_SHARE = 0.2
"""Of an office's days, when something is planted."""
_LONG_WEEK_SHARE = 0.5
_PEOPLE = 8
"""Of a site; the ninth of a remote site works on its own plan."""
_SHIFTS_A_WEEK_MAX = 5
_DAYS = 7
_SHORT_WEEK_DAYS = 4
_SATURDAY = 5


class Plan(StrEnum):
    """What is special about a shift, by plan."""

    USUAL = "usual"
    LONG_DAY = "long day"
    """An office day of 14 hours and a half."""
    LONG_WEEK = "long week"
    """One of seven days of ten hours and a half."""


@dataclass(frozen=True, slots=True)
class Duty:
    """A shift that somebody will work."""

    site: Site
    person: Person
    start_s: float
    end_s: float
    phone_id: int
    assignment: Row
    plan: Plan = Plan.USUAL


@dataclass(frozen=True, slots=True)
class _Opening:
    """A shift that somebody has to work."""

    start_s: float
    end_s: float
    phone_id: int | None
    own: int | None = None
    """Whose it is by position; None: anybody's."""
    plan: Plan = Plan.USUAL


class Roster:
    """Plans a company's weeks.

    Args:
        ledger: where assignments are written.
        seed: of the life.
        company: whose weeks they are.
        planted: whether wrong things are planned.
    """

    def __init__(self, ledger: Ledger, seed: int, company: Company, *, planted: bool) -> None:
        self._ledger = ledger
        self._chance = random.Random(f"{seed}/roster/{company.id}")
        self._company = company
        self._planted = planted
        self._busy: dict[int, list[tuple[float, float]]] = {}

    def week(self, monday: date, written_s: float) -> dict[date, list[Duty]]:
        """The duties of a week by the day on which they begin."""
        duties: dict[date, list[Duty]] = {}
        for site in self._company.sites:
            worked: dict[int, int] = {}
            long_week = self._planted and self._chance.random() < _LONG_WEEK_SHARE
            for number in range(_DAYS):
                day = monday + timedelta(days=number)
                for opening in self._openings(site, day, number, long_week=long_week):
                    duty = self._fill(site, opening, worked, written_s)
                    if duty is not None:
                        duties.setdefault(day, []).append(duty)
            if long_week and site.kind is Kind.REMOTE:
                self._label_long_week(site, monday)
        return duties

    def _label_long_week(self, site: Site, monday: date) -> None:
        """Seven days of ten hours and a half: on the fifth evening nobody calls it a week any more."""
        fifth_s = local_s(monday + timedelta(days=4), 17.5, site.zone)
        self._ledger.label(
            "OVERTIME_VIOLATION",
            site.tenant_id,
            [f"person:{self._company.persons[site.id][_PEOPLE].id}"],
            fifth_s,
            "a week of 73 hours",
            before_s=HOUR_S,
            after_s=2.2 * DAY_S,
        )

    def free(self, site: Site, start_s: float, end_s: float) -> Person | None:
        """Somebody of a site who rests before and after these times."""
        people = list(self._company.persons[site.id])[:_PEOPLE]
        self._chance.shuffle(people)
        return next((person for person in people if self._rests(person, start_s, end_s)), None)

    def occupy(self, person: Person, start_s: float, end_s: float) -> None:
        """Note that somebody is at work then."""
        self._busy.setdefault(person.id, []).append((start_s, end_s))

    def _rests(self, person: Person, start_s: float, end_s: float) -> bool:
        spans = self._busy.get(person.id, ())
        return all(end_s + _REST_S <= start or end + _REST_S <= start_s for start, end in spans)

    def _openings(self, site: Site, day: date, number: int, *, long_week: bool) -> list[_Opening]:
        zone, weekend = site.zone, number >= _SATURDAY

        def between(start: float, end: float, phone: int | None, own: int | None = None) -> _Opening:
            return _Opening(local_s(day, start, zone), local_s(day, end, zone), phone, own)

        if site.kind is Kind.OFFICE:
            if weekend:
                return [between(8, 18, None, 7)]
            if day in self._company.holidays:
                return []
            openings = [between(8, 16.5, None, own) for own in range(5)]
            if self._planted and self._chance.random() < _LONG_DAY_SHARE:
                tired = openings[0]
                openings[0] = _Opening(tired.start_s, local_s(day, 22.5, zone), None, 0, Plan.LONG_DAY)
            return [*openings, between(17, 21, None, 5), between(17, 21, None, 6)]
        posts = site.post_phones[:1] if weekend else site.post_phones
        openings = [between(start, start + 8, phone) for phone in posts for start in (6, 14, 22)]
        if site.kind is Kind.REMOTE and (long_week or number < _SHORT_WEEK_DAYS):
            plan = Plan.LONG_WEEK if long_week else Plan.USUAL
            openings.append(_Opening(local_s(day, 7, zone), local_s(day, 17.5, zone), None, 8, plan))
        return openings

    def _fill(self, site: Site, opening: _Opening, worked: dict[int, int], written_s: float) -> Duty | None:
        people = self._company.persons[site.id]
        if opening.own is not None:
            person = people[opening.own]
        else:
            ready = [each for each in people[:_PEOPLE] if self._rests(each, opening.start_s, opening.end_s)]
            if not ready:
                return None
            person = min(ready, key=lambda each: (worked.get(each.id, 0), self._chance.random()))
            if worked.get(person.id, 0) >= _SHIFTS_A_WEEK_MAX:
                return None
        worked[person.id] = worked.get(person.id, 0) + 1
        self._busy[person.id] = [
            span for span in self._busy.get(person.id, []) if span[1] > opening.start_s - 10 * DAY_S
        ]
        self.occupy(person, opening.start_s, opening.end_s)
        assignment = self.assign(person, site, opening.start_s, opening.end_s, written_s)
        if opening.own is None and self._chance.random() < _SWAP_SHARE:
            person, assignment = self._swapped(site, person, assignment, opening)
        phone_id = person.phone_id if opening.phone_id is None else opening.phone_id
        return Duty(site, person, opening.start_s, opening.end_s, phone_id, assignment, opening.plan)

    def _swapped(self, site: Site, person: Person, assignment: Row, opening: _Opening) -> tuple[Person, Row]:
        other = self.free(site, opening.start_s, opening.end_s)
        if other is None:
            return person, assignment
        self._busy[person.id].remove((opening.start_s, opening.end_s))
        self.occupy(other, opening.start_s, opening.end_s)
        at_s = opening.start_s - self._chance.uniform(2, 5) * HOUR_S
        return other, self._ledger.update("assignment", assignment, at_s, person_id=other.id)

    def assign(self, person: Person, site: Site, start_s: float, end_s: float, written_s: float) -> Row:
        """Enter a shift."""
        return self._ledger.insert(
            "assignment",
            self._company.id,
            written_s,
            person_id=person.id,
            site_id=site.id,
            shift_start=moment(start_s),
            shift_end=moment(end_s),
        )
