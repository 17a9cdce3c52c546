"""Shifts around the clock: who of a tenant works when, comes, has breaks and goes, and is given the next shift.

Some shifts are prepared for an anomaly that takes hours to come about. It only becomes one if `planting` says so. Pure:
time comes in as an argument, randomness from the `Random` given.
"""

from functools import partial
from random import Random

from simulation.world.attendance import CHECK_OUT, AttendanceWriter
from simulation.world.calendar import DAY_S, HOUR_S, MINUTE_S
from simulation.world.company import Person, Site, Tenant
from simulation.world.phones import Network
from simulation.world.planted_attendance import attend
from simulation.world.shifts import SHORT_BREAKS, Shift, Special, arrival_s, assign, departure_s, with_breaks
from simulation.world.timeline import Timeline

SHIFT_S = 8 * HOUR_S
CHECK_OUT_GRACE_S = 2 * HOUR_S
"""How long after a shift a missing check-out is found; the supervisors know that."""
LONG_DAY_S = 14.25 * HOUR_S
"""More than anybody may work in a day, even in the night in which the clocks go back."""
PREPARED = (Special.NO_CHECK_OUT, Special.LATE, Special.LONG_DAY)
"""What shifts are prepared for. If it is not planted, the supervisor enters the check-out in time, the person who is late
does not come at all, and the long day without a network leaves no rows."""
_SHIFTS_IN_A_ROW, _DAYS_OFF = 5, 2
_AT_HOME_SITE_SHARE = 0.75
_PREPARED_SHARE = 1 / 15
"""Share of the persons at the start of a run, for each kind."""
_PREPARED_LATER_SHARE = 0.06
_ON_BREAK_AT_START_SHARE = 0.35
_READER_PAUSE_S = 90.0
"""Two persons at one reader within seconds would look like one person with two cards."""
_READER_SHARE = 0.6
_READER_TIMES_KEPT = 500
_MISSED_BEFORE_S = 20.0
"""How long before a forgotten check-out would be found the supervisor enters it."""


class Rota:
    """The shifts of one tenant.

    Args:
        start_s: the time of the opening.
        is_prepared: whether some shifts are prepared for an anomaly.
    """

    def __init__(self, tenant: Tenant, rng: Random, timeline: Timeline, start_s: float, *, is_prepared: bool) -> None:
        self.tenant = tenant
        self.shifts: dict[int, Shift] = {}
        """By person, the current or the next one."""
        self.prepared: dict[Shift, Special] = {}
        self.attendance = AttendanceWriter(timeline, rng, self._is_reader_free)
        self._rng = rng
        self._timeline = timeline
        self._is_prepared = is_prepared
        self._read_at: dict[int, list[float]] = {}
        self._worked: dict[int, int] = {}
        """By person, shifts in a row."""
        persons = rng.sample(tenant.persons, len(tenant.persons))
        each = max(1, round(len(persons) * _PREPARED_SHARE)) if is_prepared else 0
        prepared = {person.id: number for number, person in enumerate(rng.sample(persons, each * len(PREPARED)))}
        for number, person in enumerate(persons):
            begins_s = start_s - SHIFT_S + DAY_S * ((number + rng.uniform(0.05, 0.95)) / len(persons))
            kind = Special.NOTHING
            if person.id in prepared:
                place, which = divmod(prepared[person.id], len(PREPARED))
                kind = PREPARED[which]
                begins_s = self._prepared_start_s(kind, place, start_s)
            self._give(person, begins_s, kind, start_s)

    def at_work(self, now_s: float) -> list[Shift]:
        """The shifts of those who are checked in."""
        return [shift for shift in self.shifts.values() if shift.is_present(now_s)]

    def someone(self, site: Site, now_s: float) -> Person:
        """A person who is at work at this site, or else works there at times."""
        there = [shift.person for shift in self.at_work(now_s) if shift.site is site]
        return self._rng.choice(there or self.tenant.staff[site.id] or self.tenant.persons)

    def prepared_for(self, kind: Special) -> list[Shift]:
        """The shifts that are prepared for this."""
        return [shift for shift, each in self.prepared.items() if each is kind]

    def offline(self, person: Person, now_s: float, *, uses_reader: bool = False) -> Network:
        """The connection of a phone that has been offline until now."""
        return Network(self._rng, person.phone_id, (0.0, 0.0), (0.0, 0.0), [(0.0, now_s)], uses_reader)

    def begin(self, shift: Shift, now_s: float, special: Special = Special.NOTHING, until_s: float = 0.0) -> None:
        """Check in now, stay until a time or the next break, and go on as usual."""
        self.stop(shift, now_s)
        leaves_s = max(departure_s(self._rng, shift.end_s), now_s + MINUTE_S)
        shift.special, shift.presence = special, []
        in_s = now_s
        if until_s:
            shift.presence.append((now_s, until_s))
            in_s = until_s + self._rng.uniform(*SHORT_BREAKS.length_s)
        shift.presence += with_breaks(self._rng, in_s, leaves_s, SHORT_BREAKS)
        self._attend(shift)

    def stop(self, shift: Shift, now_s: float) -> None:
        """Cancel what is left of a shift."""
        self.prepared.pop(shift, None)
        for check in shift.checks:
            check.cancelled = check.cancelled or check.at_s > now_s
        shift.checks.clear()

    def _attend(self, shift: Shift) -> None:
        network = Network(self._rng, shift.phone_id, (0.0, 0.0))
        attend(self.attendance, shift, network, self.tenant.persons)

    def _prepared_start_s(self, kind: Special, number: int, start_s: float) -> float:
        """When a shift begins whose anomaly can be planted soon after the opening."""
        if kind is Special.LATE:
            return start_s - self._rng.uniform(18, 90) * MINUTE_S
        if kind is Special.LONG_DAY:
            return start_s - LONG_DAY_S - self._rng.uniform(5, 60) * MINUTE_S
        return start_s - CHECK_OUT_GRACE_S - SHIFT_S + 30 + 45 * number + self._rng.uniform(0, 30)

    def _give(self, person: Person, begins_s: float, kind: Special, now_s: float) -> None:
        """Give a person a shift."""
        home, other = person.sites
        site = home if self._rng.random() < _AT_HOME_SITE_SHARE else other
        end_s = begins_s + SHIFT_S
        assignment_id = assign(self._timeline, person, site, begins_s, end_s, now_s)
        shift = Shift(person, site, begins_s, end_s, person.phone_id, assignment_id)
        self.shifts[person.id] = shift
        if kind is not Special.NOTHING:
            self.prepared[shift] = kind
        if kind not in {Special.LATE, Special.LONG_DAY}:
            self._plan(shift, now_s, forgets=kind is Special.NO_CHECK_OUT)
        # When nothing more can happen in this shift.
        over_s = begins_s + 20 * HOUR_S if kind is Special.LONG_DAY else end_s + 3 * HOUR_S
        self._timeline.call(over_s, partial(self._renew, shift))

    def _plan(self, shift: Shift, now_s: float, *, forgets: bool) -> None:
        """Decide when the person arrives, has breaks and leaves."""
        rng = self._rng
        in_s = arrival_s(rng, shift.start_s)
        out_s = shift.end_s if forgets else departure_s(rng, shift.end_s)
        if out_s < now_s:
            shift.presence = [(in_s, out_s)]
        elif now_s - in_s > 45 * MINUTE_S and rng.random() < _ON_BREAK_AT_START_SHARE:
            gone_s = now_s - rng.uniform(7, 12) * MINUTE_S
            back_s = now_s + rng.uniform(1, 9) * MINUTE_S
            shift.presence = [(in_s, gone_s), *with_breaks(rng, back_s, max(out_s, back_s + MINUTE_S), SHORT_BREAKS)]
        else:
            # Who has been at work for hours has had the breaks of that time without a check.
            first_s = max(in_s, now_s - HOUR_S)
            shift.presence = with_breaks(rng, first_s, out_s, SHORT_BREAKS)
            shift.presence[0] = (in_s, shift.presence[0][1])
        self._attend(shift)
        if forgets:
            shift.checks.pop().cancelled = True
            network = Network(rng, shift.phone_id, (0.0, 0.0))
            entered_s = shift.end_s + CHECK_OUT_GRACE_S - _MISSED_BEFORE_S
            shift.checks.append(self.attendance.usual(CHECK_OUT, shift.site, shift.person, entered_s, network))

    def _renew(self, shift: Shift, now_s: float) -> None:
        """Give the person the shift after this one: tomorrow at the same time, after five two days later than that."""
        self.prepared.pop(shift, None)
        worked = self._worked.get(shift.person.id, 0) + 1
        days = 1 if worked < _SHIFTS_IN_A_ROW else 1 + _DAYS_OFF
        self._worked[shift.person.id] = worked % _SHIFTS_IN_A_ROW
        chosen = self._is_prepared and self._rng.random() < _PREPARED_LATER_SHARE * len(PREPARED)
        kind = self._rng.choice(PREPARED) if chosen else Special.NOTHING
        self._give(shift.person, shift.start_s + days * DAY_S, kind, now_s)

    def _is_reader_free(self, site: Site, at_s: float) -> bool:
        """Whether nobody uses the reader around that time; if so, it is taken."""
        read = self._read_at.setdefault(site.id, [])
        if self._rng.random() >= _READER_SHARE or any(abs(at_s - other) < _READER_PAUSE_S for other in read):
            return False
        read.append(at_s)
        del read[:-_READER_TIMES_KEPT]
        return True
