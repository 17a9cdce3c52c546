"""Who works when: the shifts of a week, entered before it begins, with swaps and absences entered in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from simulation.labelled.company import CREW
from simulation.labelled.plan import ScenarioPlan
from simulation.world.calendar import DAY_S, HOLIDAYS, HOUR_S, SATURDAY, Interval, local_s
from simulation.world.company import Person, Site, SiteKind, Tenant
from simulation.world.shifts import Shift, Special, assign

_REST_S = 11 * HOUR_S
_SWAP_SHARE = 0.03
_LONG_DAY_SHARE = 0.2
"""Of an office's days, when something is planted."""
_LONG_WEEK_SHARE = 0.5
_SHIFTS_A_WEEK_MAX = 5
_SHORT_WEEK_DAYS = 4


@dataclass(frozen=True, slots=True)
class _Opening:
    """A shift that somebody has to work."""

    start_s: float
    end_s: float
    phone_id: int | None = None
    """Of the post; None: the person's own."""
    own: int | None = None
    """Whose it is by position among the staff; None: anybody's."""
    special: Special = Special.NOTHING


class Roster:
    """Plans the weeks of a tenant."""

    def __init__(self, plan: ScenarioPlan, tenant: Tenant) -> None:
        self._timeline = plan.timeline
        self._planted = plan.is_planted
        self._rng = plan.rng("roster", tenant.id)
        self._tenant = tenant
        self._busy: dict[int, list[Interval]] = {}

    def week(self, monday: date, written_s: float) -> dict[date, list[Shift]]:
        """The shifts of a week by the day on which they begin."""
        shifts: dict[date, list[Shift]] = {}
        for site in self._tenant.sites:
            worked: dict[int, int] = {}
            is_long = self._planted and self._rng.random() < _LONG_WEEK_SHARE
            for number in range(7):
                day = monday + timedelta(days=number)
                for opening in self._openings(site, day, is_long_week=is_long):
                    shift = self._fill(site, opening, worked, written_s)
                    if shift is not None:
                        shifts.setdefault(day, []).append(shift)
            if is_long and site.kind is SiteKind.REMOTE:
                self._label_long_week(site, monday)
        return shifts

    def is_open(self, site: Site, day: date) -> bool:
        """Whether people work as on a weekday; guards do so every day."""
        is_holiday = day in HOLIDAYS.get(self._tenant.timezone, frozenset())
        return site.kind is not SiteKind.OFFICE or (day.weekday() < SATURDAY and not is_holiday)

    def free(self, site: Site, start_s: float, end_s: float) -> Person | None:
        """Somebody of a site who rests before and after these times."""
        people = self._tenant.staff[site.id][:CREW]
        self._rng.shuffle(people)
        return next((person for person in people if self._rests(person, start_s, end_s)), None)

    def occupy(self, person: Person, start_s: float, end_s: float) -> None:
        """Note that somebody is at work then."""
        self._busy.setdefault(person.id, []).append((start_s, end_s))

    def _label_long_week(self, site: Site, monday: date) -> None:
        """Seven days of ten hours and a half: on the fifth evening nobody calls it a week any more."""
        about = [f"person:{self._tenant.staff[site.id][CREW].id}"]
        fifth_s = local_s(monday + timedelta(days=4), 17.5, site.zone)
        self._timeline.label(
            "OVERTIME_VIOLATION", site.tenant_id, about, fifth_s, "a week of 73 hours",
            before_s=HOUR_S, after_s=2.2 * DAY_S,
        )  # fmt: skip

    def _rests(self, person: Person, start_s: float, end_s: float) -> bool:
        spans = self._busy.get(person.id, ())
        return all(end_s + _REST_S <= start or end + _REST_S <= start_s for start, end in spans)

    def _openings(self, site: Site, day: date, *, is_long_week: bool) -> Sequence[_Opening]:
        is_weekend = day.weekday() >= SATURDAY

        def between(start: float, end: float, **more: int | Special | None) -> _Opening:
            return _Opening(local_s(day, start, site.zone), local_s(day, end, site.zone), **more)  # type: ignore[arg-type]

        if site.kind is SiteKind.OFFICE:
            if is_weekend:
                return [between(8, 18, own=7)]
            if not self.is_open(site, day):
                return []
            is_long = self._planted and self._rng.random() < _LONG_DAY_SHARE
            first = between(8, 22.5, own=0, special=Special.LONG_DAY) if is_long else between(8, 16.5, own=0)
            others = [between(8, 16.5, own=own) for own in range(1, 5)]
            return [first, *others, between(17, 21, own=5), between(17, 21, own=6)]
        phones = site.post_phone_ids[:1] if is_weekend else site.post_phone_ids
        openings = [between(start, start + 8, phone_id=phone_id) for phone_id in phones for start in (6, 14, 22)]
        if site.kind is SiteKind.REMOTE and (is_long_week or day.weekday() < _SHORT_WEEK_DAYS):
            special = Special.LONG_WEEK if is_long_week else Special.NOTHING
            openings.append(between(7, 17.5, own=CREW, special=special))
        return openings

    def _fill(self, site: Site, opening: _Opening, worked: dict[int, int], written_s: float) -> Shift | None:
        staff = self._tenant.staff[site.id]
        if opening.own is not None:
            person = staff[opening.own]
        else:
            ready = [each for each in staff[:CREW] if self._rests(each, opening.start_s, opening.end_s)]
            if not ready:
                return None
            person = min(ready, key=lambda each: (worked.get(each.id, 0), self._rng.random()))
            if worked.get(person.id, 0) >= _SHIFTS_A_WEEK_MAX:
                return None
        worked[person.id] = worked.get(person.id, 0) + 1
        recent_s = opening.start_s - 10 * DAY_S
        self._busy[person.id] = [span for span in self._busy.get(person.id, []) if span[1] > recent_s]
        self.occupy(person, opening.start_s, opening.end_s)
        assignment_id = assign(self._timeline, person, site, opening.start_s, opening.end_s, written_s)
        if opening.own is None and self._rng.random() < _SWAP_SHARE:
            person = self._swapped(site, person, assignment_id, opening)
        phone_id = person.phone_id if opening.phone_id is None else opening.phone_id
        return Shift(person, site, opening.start_s, opening.end_s, phone_id, assignment_id, opening.special)

    def _swapped(self, site: Site, person: Person, assignment_id: int, opening: _Opening) -> Person:
        """Who works instead, as entered some hours before; the same person where nobody can."""
        other = self.free(site, opening.start_s, opening.end_s)
        if other is None:
            return person
        self._busy[person.id].remove((opening.start_s, opening.end_s))
        self.occupy(other, opening.start_s, opening.end_s)
        at_s = opening.start_s - self._rng.uniform(2, 5) * HOUR_S
        self._timeline.update("assignment", assignment_id, at_s, person_id=other.id)
        return other
