"""What people do with their shifts: they come, have breaks, go home, and are given the next shift.

Owns the duties of one tenant and the rows of assignments and attendance. Pure: time comes in as an argument,
chance from the `Random` given, rows go out.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from random import Random

from simulation.live.agenda import Action, Agenda
from simulation.live.company import Person, Site, Tenant, reader_of
from simulation.live.duties import CHECK_OUT_GRACE, Duty, Habit, Presence, first_duties, next_duty
from simulation.live.operations import Insert, Operation, Planted, Transaction
from simulation.live.tracks import near_gate

NextId = Callable[[str], int]
Step = Callable[[Duty, datetime], Transaction | None]
_VERIFIED_SHARE = 0.95
_READER_SHARE = 0.6
"""Of the checks are made at the gate's reader, the others by the person's own telephone."""
_READER_PAUSE = timedelta(seconds=90)
"""Gates are not crowded here: two persons at one reader within seconds would look like one who holds two cards."""
_ON_BREAK_AT_START = 0.35
_MISSED_BEFORE = timedelta(seconds=20)
"""So long before a forgotten check-out would be missed the supervisor enters it."""


class Roster:
    """The duties of one tenant.

    Args:
        tenant: whose persons.
        rng: chance.
        next_id: gives the next free id of a table.
        agenda: where the steps of the duties are entered.
        tempted: whether some have habits that a run can make use of.
    """

    def __init__(self, tenant: Tenant, rng: Random, next_id: NextId, agenda: Agenda, *, tempted: bool) -> None:
        self.tenant = tenant
        self.duties: list[Duty] = []
        self._rng = rng
        self._next_id = next_id
        self._agenda = agenda
        self._tempted = tempted
        self._read_at: dict[int, list[datetime]] = {}

    def opening(self, now: datetime) -> Iterator[Insert]:
        """The assignments, then what had to be entered by now of those under way, in the order of their times."""
        self.duties = first_duties(self.tenant, now, self._rng, tempted=self._tempted)
        checks: list[tuple[datetime, Duty, str]] = []
        for duty in self.duties:
            yield self.assignment(duty.person, duty.site, duty.start, duty.end)
            checks.extend(self._begun(duty, now))
            self._agenda.at(_renewal_of(duty), partial(self._renew, duty))
        for when, duty, kind in sorted(checks, key=lambda check: check[0]):
            yield self.check(duty.person, duty.site, when, kind)

    def someone(self, site_id: int) -> int:
        """The id of a person who is at work at this site, or else works there at times."""
        there = [duty for duty in self.at_work() if duty.site.id == site_id]
        if there:
            return self._rng.choice(there).person.id
        local = [person.id for person in self.tenant.persons if any(site.id == site_id for site in person.sites)]
        return self._rng.choice(local or [self.tenant.persons[0].id])

    def at_work(self) -> list[Duty]:
        """The duties of those who are at work."""
        return [duty for duty in self.duties if duty.presence is Presence.AT_WORK]

    def later(self, duty: Duty, when: datetime, step: Step) -> None:
        """Enter a step of a duty; it is not taken where the person's presence changes before."""
        stage = duty.stage
        self._agenda.at(when, lambda now: step(duty, now) if duty.stage == stage else None)

    def enter(self, when: datetime, action: Action) -> None:
        """Enter something that happens whatever becomes of anybody's duty."""
        self._agenda.at(when, action)

    def begin_work(self, duty: Duty, now: datetime) -> None:
        """The person is at work from now on, until the next break or the end of the shift."""
        duty.enter(Presence.AT_WORK, now)
        pause = now + timedelta(minutes=self._rng.uniform(75, 140))
        if pause < duty.end - timedelta(minutes=40):
            self.later(duty, pause, self._pause)
        elif duty.habit is Habit.FORGETFUL:
            self.later(duty, duty.end, self._slip_away)
        else:
            self.later(duty, duty.end + timedelta(minutes=self._rng.uniform(-3, 8)), self.leave)

    def pause(self, duty: Duty, now: datetime) -> Insert:
        """The row with which a person goes for a break of some minutes."""
        duty.enter(Presence.ON_BREAK, now)
        self.later(duty, now + timedelta(minutes=self._rng.uniform(13, 20)), self._arrive)
        return self.check(duty.person, duty.site, now, "CHECK_OUT")

    def leave(self, duty: Duty, now: datetime) -> Transaction:
        """The person checks out and goes home."""
        duty.enter(Presence.GONE, now)
        return self._one(self.check(duty.person, duty.site, now, "CHECK_OUT"))

    def assignment(self, person: Person, site: Site, start: datetime, end: datetime) -> Insert:
        """The row of a shift."""
        ids = {"id": self._next_id("assignment"), "tenant_id": self.tenant.id}
        what = {"person_id": person.id, "site_id": site.id}
        return Insert("assignment", ids | what | {"shift_start": start, "shift_end": end})

    def check(
        self,
        person: Person,
        site: Site,
        when: datetime,
        kind: str,
        *,
        verified_id: int | None = None,
        where: tuple[float, float] | None = None,
        own_phone: bool = False,
    ) -> Insert:
        """The row of a check-in or check-out, at the gate unless `where` says otherwise."""
        if verified_id is None and self._rng.random() < _VERIFIED_SHARE:
            # The camera is dirty now and then: then nobody was verified, which is no finding.
            verified_id = person.id
        latitude, longitude = where or near_gate(site, self._rng)
        at_reader = where is None and not own_phone and self._rng.random() < _READER_SHARE and self._free(site, when)
        return Insert(
            "attendance",
            {
                "id": self._next_id("attendance"),
                "tenant_id": self.tenant.id,
                "site_id": site.id,
                "person_id": person.id,
                "verified_person_id": verified_id,
                "device_id": reader_of(site) if at_reader else person.device_id,
                "event_type": kind,
                "occurred_at": when,
                "latitude": latitude,
                "longitude": longitude,
                "accuracy_m": round(self._rng.uniform(4, 14), 1),
            },
        )

    def _free(self, site: Site, when: datetime) -> bool:
        """Take the reader, where nobody was at it around that time."""
        read = self._read_at.setdefault(site.id, [])
        if any(abs(when - other) < _READER_PAUSE for other in read):
            return False
        read.append(when)
        del read[:-30]
        return True

    def _begun(self, duty: Duty, now: datetime) -> Iterator[tuple[datetime, Duty, str]]:
        """The checks of a duty before the opening, and the plan from there on."""
        if duty.habit in {Habit.TARDY, Habit.UNCONNECTED}:
            return
        arrival = duty.start + timedelta(minutes=self._rng.uniform(-10, 8))
        if arrival > now:
            self.later(duty, arrival, self._arrive)
            return
        yield arrival, duty, "CHECK_IN"
        if duty.end < now:
            duty.enter(Presence.UNACCOUNTED, duty.end)
            self.later(duty, duty.end + CHECK_OUT_GRACE - _MISSED_BEFORE, self.leave)
        elif now - arrival > timedelta(minutes=45) and self._rng.random() < _ON_BREAK_AT_START:
            gone = now - timedelta(minutes=self._rng.uniform(7, 12))
            duty.enter(Presence.ON_BREAK, gone)
            self.later(duty, now + timedelta(minutes=self._rng.uniform(1, 9)), self._arrive)
            yield gone, duty, "CHECK_OUT"
        else:
            self.begin_work(duty, now - timedelta(minutes=min(60.0, (now - arrival) / timedelta(minutes=1))))

    def _arrive(self, duty: Duty, now: datetime) -> Transaction:
        self.begin_work(duty, now)
        return self._one(self.check(duty.person, duty.site, now, "CHECK_IN"))

    def _pause(self, duty: Duty, now: datetime) -> Transaction:
        return self._one(self.pause(duty, now))

    def _slip_away(self, duty: Duty, now: datetime) -> None:
        duty.enter(Presence.UNACCOUNTED, now)
        self.later(duty, duty.end + CHECK_OUT_GRACE - _MISSED_BEFORE, self.leave)

    def _renew(self, duty: Duty, now: datetime) -> Transaction:
        """Give the person the next shift."""
        following = next_duty(duty, self._rng, tempted=self._tempted)
        self.duties[self.duties.index(duty)] = following
        if following.habit in {Habit.PUNCTUAL, Habit.FORGETFUL}:
            arrival = following.start + timedelta(minutes=self._rng.uniform(-10, 8))
            self.later(following, max(now, arrival), self._arrive)
        self._agenda.at(_renewal_of(following), partial(self._renew, following))
        return self._one(self.assignment(following.person, following.site, following.start, following.end))

    def _one(self, row: Operation, *planted: Planted) -> Transaction:
        return Transaction(self.tenant.id, (row,), planted)


def _renewal_of(duty: Duty) -> datetime:
    """When the person is given the next shift: when all that may come of this one has come."""
    return duty.start + timedelta(hours=20) if duty.habit is Habit.UNCONNECTED else duty.end + timedelta(hours=3)
