"""Plants an anomaly now: one method for each finding type that the demo can show.

Owns the choice of the person, ticket or device, so that nothing else becomes wrong. The finding follows within seconds,
or a minute if it takes several rows. Pure: time comes in as an argument, randomness from the `Random` given.
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random

from simulation.live.fixes import Fixes
from simulation.live.rota import CHECK_OUT_GRACE_S, LONG_DAY_S, Rota
from simulation.live.workload import Workload
from simulation.world.attendance import CHECK_OUT
from simulation.world.calendar import HOUR_S, MINUTE_S
from simulation.world.company import Person, Site
from simulation.world.devices import Devices
from simulation.world.phones import Receiver
from simulation.world.planted_attendance import attend
from simulation.world.planted_location import Route, label_location, travelled
from simulation.world.shifts import Shift, Special, assign
from simulation.world.timeline import Timeline
from simulation.world.wrong_rows import FIX_KINDS, write_wrong_row

_BREAK_S_MIN = 6 * MINUTE_S
_LATE_S = 18 * MINUTE_S
_FAR_M_MIN, _FAR_S = 6_000.0, 45.0
_AT_WORK_SHARE_MIN = 0.2
"""Whoever is found at two sites sends no more fixes that day, so at least this share stays at work."""
_MISSED_WITHIN_S = (20.0, 90.0)
"""How long before a missing check-out is found it is decided that it will be missing."""
_AWAY_M = (300.0, 400.0)
"""Beyond the site's radius."""
_WALK_MPS, _WALK_FIXES, _WALK_FIX_S = 1.3, 3, 12.0
"""Of somebody who walked out; with the third of them there is no doubt."""
_DRIVE_FIX_S, _DRIVE_M, _DRIVE_FIXES = 25.0, 400.0, 4
"""Seconds and metres between the fixes of somebody who drives off: 58 km/h from the middle of the site, outside it
from the second fix on. With the fourth there is no doubt of either."""
_SHIFT_LEFT_S_MIN = 30 * MINUTE_S
"""Towards the end of a shift people may be on their way home."""
_MOCK_PAUSE_S, _STRAY_PAUSE_S = 65 * MINUTE_S, 3 * HOUR_S
"""Between two anomalies of one person, so that they are two findings."""
_IDLE_S = 3 * HOUR_S


class Planting:
    """Plants anomalies at one tenant. Each method returns whether that was possible at this moment."""

    def __init__(
        self, rota: Rota, fixes: Fixes, workload: Workload, devices: Devices, rng: Random, timeline: Timeline
    ) -> None:
        self.workload = workload
        self._rota = rota
        self._fixes = fixes
        self._devices = devices
        self._rng = rng
        self._timeline = timeline
        self._tenant = rota.tenant
        self._mocked_s: dict[int, float] = {}
        self._strayed_s: dict[int, float] = {}
        self._visited = {person.id: rng.choice(self._foreign_sites(person)) for person in rota.tenant.persons}
        self._visiting_until_s: dict[int, float] = {}

    def wrong_person(self, now_s: float) -> bool:
        """A check-in at which the face check recognised a colleague."""
        soon = (
            shift
            for shift in self._free_shifts()
            if shift.presence and shift.presence[0][0] > now_s and abs(shift.start_s - now_s) < 10 * MINUTE_S
        )
        return self._begin([*self._backs(now_s), *soon], now_s, Special.WRONG_FACE)

    def unexpected_location(self, now_s: float) -> bool:
        """A check-in after a break, by phone, from some streets away."""
        return self._begin(self._backs(now_s), now_s, Special.ELSEWHERE)

    def late_check_in(self, now_s: float) -> bool:
        """The first check-in of a shift, long after its start."""
        able = [
            shift
            for shift in self._rota.prepared_for(Special.LATE)
            if shift.start_s + _LATE_S < now_s < shift.end_s - HOUR_S
            and self._visiting_until_s.get(shift.person.id, 0.0) < now_s
        ]
        return self._begin(able, now_s, Special.LATE)

    def unauthorized_site(self, now_s: float) -> bool:
        """A check-in of somebody off duty at a site where this person never works."""

        def is_idle(shift: Shift) -> bool:
            was_s = max([until_s for _, until_s in shift.presence if until_s <= now_s], default=0.0)
            was_s = max(was_s, self._visiting_until_s.get(shift.person.id, 0.0))
            is_over = bool(shift.presence) and shift.presence[-1][1] < now_s
            return now_s - was_s > _IDLE_S and (is_over or shift.start_s - now_s > _IDLE_S)

        shift = self._any(shift for shift in self._free_shifts() if is_idle(shift))
        if shift is None:
            return False
        span, person = (now_s, now_s + self._rng.uniform(3, 6) * MINUTE_S), shift.person
        self._visiting_until_s[person.id] = span[1]
        network = self._rota.offline(person, now_s, uses_reader=True)
        come, _ = self._rota.attendance.stay(self._visited[person.id], person, span, network)
        self._rota.attendance.label("UNAUTHORIZED_SITE", person, [come], "off duty")
        return True

    def impossible_shifts(self, now_s: float) -> bool:
        """A check-out at one site, and a minute later a check-in at the next shift's, across the city."""
        at_work = self._rota.at_work(now_s)
        able = [
            (shift, site)
            for shift in at_work
            if shift.is_present(now_s - 5 * MINUTE_S)
            and shift.end_s - now_s > _SHIFT_LEFT_S_MIN
            and (site := self._far_site(shift.site)) is not None
        ]
        if not able or len(at_work) <= _AT_WORK_SHARE_MIN * len(self._rota.shifts):
            return False
        shift, site = self._rng.choice(able)
        person, attendance, network = shift.person, self._rota.attendance, self._rota.offline(shift.person, now_s)
        left_s, over_s = now_s - _FAR_S, now_s + self._rng.uniform(4, 9) * MINUTE_S
        self._rota.stop(shift, now_s)
        shift.presence = [(shift.presence[0][0], now_s)]
        self._visiting_until_s[person.id] = over_s
        assign(self._timeline, person, site, left_s, left_s + HOUR_S, now_s)
        attendance.usual(CHECK_OUT, shift.site, person, left_s, network)
        come, _ = attendance.stay(site, person, (now_s, over_s), network)
        attendance.label("IMPOSSIBLE_SHIFTS", person, [come], f"across the city in {_FAR_S:.0f} s")
        return True

    def overtime(self, now_s: float) -> bool:
        """A phone that had no network all day sends a check-in and the check-out of far too long a day."""
        prepared = self._rota.prepared_for(Special.LONG_DAY)
        shift = self._any(shift for shift in prepared if now_s - shift.start_s > LONG_DAY_S + MINUTE_S)
        if shift is None:
            return False
        self._rota.stop(shift, now_s)
        shift.special = Special.LONG_DAY
        shift.presence = [(shift.start_s - self._rng.uniform(1, 9) * MINUTE_S, shift.start_s + LONG_DAY_S)]
        attend(self._rota.attendance, shift, self._rota.offline(shift.person, now_s), self._tenant.persons)
        return True

    def missing_check_out(self, now_s: float) -> bool:
        """Somebody went home without a check-out, and no supervisor enters it: there is no row to it."""
        from_s, until_s = (now_s + within_s - CHECK_OUT_GRACE_S for within_s in _MISSED_WITHIN_S)
        prepared = self._rota.prepared_for(Special.NO_CHECK_OUT)
        shift = self._any(shift for shift in prepared if from_s < shift.end_s < until_s)
        if shift is None:
            return False
        self._rota.stop(shift, now_s)
        about, at_s = [f"person:{shift.person.id}"], shift.end_s + CHECK_OUT_GRACE_S
        self._timeline.label("MISSING_CHECK_OUT", self._tenant.id, about, at_s, "never out")
        return True

    def geofence_violation(self, now_s: float) -> bool:
        """A check-in after a break, and the fixes that follow are some streets away."""
        away_m, stay_s = self._rng.uniform(*_AWAY_M), (_WALK_FIXES - 0.5) * _WALK_FIX_S
        fix_s = (_WALK_FIX_S, _WALK_FIX_S)

        def route(site: Site) -> Route:
            far_m = site.radius_m + away_m
            return Route(far_m, _WALK_MPS, fix_s, stay_s, fix_s, comes_back=False, is_recorded=False)

        return self._stray(now_s, Special.WALK_OUT, route)

    def unexpected_movement(self, now_s: float) -> bool:
        """A check-in after a break, and the fixes that follow lead away at the speed of a car."""
        far_m, fix_s = (_DRIVE_FIXES - 0.5) * _DRIVE_M, (_DRIVE_FIX_S, _DRIVE_FIX_S)
        route = Route(far_m, _DRIVE_M / _DRIVE_FIX_S, fix_s, comes_back=False)
        return self._stray(now_s, Special.DRIVE_OUT, lambda _: route)

    def location_spoofing(self, now_s: float) -> bool:
        """A fix that says itself that an app made it up."""
        shift = self._any(
            shift
            for shift in self._rota.at_work(now_s)
            if now_s - self._mocked_s.get(shift.person.id, 0.0) > _MOCK_PAUSE_S
            and now_s - (self._fixes.waits_since(shift, now_s) or now_s) >= 1
        )
        if shift is None:
            return False
        self._mocked_s[shift.person.id] = now_s
        self._fixes.send(shift, now_s, is_mock=True)
        about = [f"person:{shift.person.id}"]
        self._timeline.label("LOCATION_SPOOFING", self._tenant.id, about, now_s, Special.MOCKED)
        return True

    def data_quality(self, now_s: float) -> bool:
        """A fix with a value that cannot be."""
        at_work = self._rota.at_work(now_s)
        shift = self._any(shift for shift in at_work if self._fixes.waits_since(shift, now_s) is not None)
        if shift is not None:
            write_wrong_row(self._timeline, self._rng, shift.site, shift.person, now_s, kinds=FIX_KINDS)
        return shift is not None

    def device_offline(self, now_s: float) -> bool:
        """A device that is in nobody's hand says that it goes offline, and is back after some minutes."""
        in_hand = {shift.phone_id for shift in self._rota.at_work(now_s)}
        able = [device_id for device_id in self._devices.online(now_s) if device_id not in in_hand]
        if len(able) < len(self._tenant.devices) / 4:
            return False
        self._devices.lose(self._rng.choice(able), (now_s, now_s + self._rng.uniform(60, 240)), is_marked=True)
        return True

    def _begin(self, able: Sequence[Shift], now_s: float, special: Special) -> bool:
        shift = self._any(able)
        if shift is not None:
            self._rota.begin(shift, now_s, special)
        return shift is not None

    def _stray(self, now_s: float, special: Special, route: Callable[[Site], Route]) -> bool:
        shift = self._any(
            shift
            for shift in self._backs(now_s)
            if now_s - self._strayed_s.get(shift.person.id, 0.0) > _STRAY_PAUSE_S
            and shift.end_s - now_s > _SHIFT_LEFT_S_MIN
        )
        if shift is None:
            return False
        self._strayed_s[shift.person.id] = now_s
        receiver = Receiver(self._rng, is_clear=True)
        fixes = list(travelled(self._rng, receiver, now_s + 1, route(shift.site)))
        span = (fixes[0].at_s, fixes[-1].at_s)
        # The way back takes a break.
        self._rota.begin(shift, now_s, until_s=span[1] + 1)
        self._fixes.send_planned(shift, fixes)
        label_location(self._timeline, shift, special, span)
        return True

    def _free_shifts(self) -> list[Shift]:
        """Shifts that are not prepared for an anomaly."""
        return [shift for shift in self._rota.shifts.values() if shift not in self._rota.prepared]

    def _backs(self, now_s: float) -> list[Shift]:
        """The shifts of those who can come back from a break now."""
        return [
            shift
            for shift in self._free_shifts()
            if (left_s := shift.left_s(now_s)) is not None and now_s - left_s > _BREAK_S_MIN
        ]

    def _any(self, shifts: Iterable[Shift]) -> Shift | None:
        able = list(shifts)
        return self._rng.choice(able) if able else None

    def _foreign_sites(self, person: Person) -> list[Site]:
        """The sites of the person's city where this person never works."""
        foreign = [site for site in self._tenant.sites if site not in person.sites]
        return [site for site in foreign if site.city is person.sites[0].city]

    def _far_site(self, site: Site) -> Site | None:
        """The site of the same city that is farthest away; None where none is far enough."""
        there = [other for other in self._tenant.sites if other.city is site.city]
        farthest = max(there, key=site.distance_m)
        return farthest if site.distance_m(farthest) >= _FAR_M_MIN else None


PLANTED_TYPES: dict[str, Callable[[Planting, float], bool]] = {
    "WRONG_PERSON": Planting.wrong_person,
    "UNAUTHORIZED_SITE": Planting.unauthorized_site,
    "IMPOSSIBLE_SHIFTS": Planting.impossible_shifts,
    "OVERTIME_VIOLATION": Planting.overtime,
    "LATE_CHECK_IN": Planting.late_check_in,
    "MISSING_CHECK_OUT": Planting.missing_check_out,
    "UNEXPECTED_LOCATION": Planting.unexpected_location,
    "TASK_OVERDUE": lambda planting, now_s: planting.workload.overrun(now_s),
    "CHECKPOINTS_SKIPPED": lambda planting, now_s: planting.workload.skip_checkpoints(now_s),
    "UNEXPECTED_MOVEMENT": Planting.unexpected_movement,
    "GEOFENCE_VIOLATION": Planting.geofence_violation,
    "LOCATION_SPOOFING": Planting.location_spoofing,
    "TICKET_SLA_BREACH": lambda planting, now_s: planting.workload.breach(now_s),
    "TICKET_ESCALATED": lambda planting, now_s: planting.workload.escalate(now_s),
    "WORK_ORDER_OVERDUE": lambda planting, now_s: planting.workload.overdue_work(now_s),
    "DEVICE_OFFLINE": Planting.device_offline,
    "DATA_QUALITY": Planting.data_quality,
}
"""Finding type to the method that plants it."""
