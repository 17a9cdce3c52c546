"""What is planted, now: each finding type that a run can show, and whom it can be made of without harm to others.

Owns the choice of whom, so that nobody else's rows become wrong by it. Pure: time comes in as an argument, chance
from the `Random` given. What follows shows within seconds, or a minute where it takes several rows.
"""

from collections.abc import Callable
from random import Random

from simulation.live.fixes import Fixes
from simulation.live.rota import CHECK_OUT_GRACE_S, LONG_DAY_S, Rota
from simulation.live.workload import Workload
from simulation.world.calendar import HOUR_S, MINUTE_S
from simulation.world.company import Person, Site
from simulation.world.devices import Devices
from simulation.world.phones import Receiver
from simulation.world.planted_attendance import attend
from simulation.world.planted_location import Route, label_location, travelled
from simulation.world.shifts import Shift, Special, assign
from simulation.world.timeline import Timeline
from simulation.world.visits import Visits
from simulation.world.wrong_rows import FIX_KINDS, write_wrong_row

_BREAK_S_MIN = 6 * MINUTE_S
"""From wherever one can have walked to."""
_LATE_S = 18 * MINUTE_S
_FAR_M_MIN, _FAR_S = 6_000.0, 45.0
_AT_WORK_SHARE_MIN = 0.2
"""Who is found at two sites has no fixes for the rest of the day; so many stay."""
_MISSED_WITHIN_S = (20.0, 90.0)
"""Before a check-out is missed it is decided that it will be."""
_AWAY_M = (300.0, 400.0)
"""Beyond the site's radius."""
_WALK_FIXES, _WALK_FIX_S = 3, 12.0
"""Of somebody who walked out; with the third of them there is no doubt."""
_DRIVE_FIX_S, _DRIVE_M, _DRIVE_FIXES = 25.0, 400.0, 4
"""Seconds and metres between the fixes of somebody who drives off: 58 km/h from the middle of the site, outside it
from the second fix on. With the fourth there is no doubt of either."""
_SHIFT_LEFT_S_MIN = 30 * MINUTE_S
"""Towards the end of a shift people may be on their way home."""
_MOCK_PAUSE_S, _STRAY_PAUSE_S = 65 * MINUTE_S, 3 * HOUR_S
"""Between two times of one person that are to be two findings."""
_IDLE_S = 3 * HOUR_S


class Planting:
    """Plants what is found of one tenant. Each method of PLANTS says whether just now it could be done.

    Args:
        rota: whose shifts.
        fixes: what their phones send.
        workload: their jobs and tickets.
        devices: those that report.
        rng: chance.
        timeline: where rows and labels are entered.
    """

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

        def may(shift: Shift) -> bool:
            is_awaited = bool(shift.presence) and shift.presence[0][0] > now_s and shift not in self._rota.prepared
            return self._is_back(shift, now_s) or (is_awaited and abs(shift.start_s - now_s) < 10 * MINUTE_S)

        return self._begins(may, now_s, Special.WRONG_FACE)

    def unexpected_location(self, now_s: float) -> bool:
        """A check-in after a break, by phone, from some streets away."""
        return self._begins(lambda shift: self._is_back(shift, now_s), now_s, Special.ELSEWHERE)

    def late_check_in(self, now_s: float) -> bool:
        """The first check-in of a shift, long after its start."""

        def may(shift: Shift) -> bool:
            is_awaited = self._rota.prepared.get(shift) is Special.LATE and not self._is_visiting(shift, now_s)
            return is_awaited and shift.start_s + _LATE_S < now_s < shift.end_s - HOUR_S

        return self._begins(may, now_s, Special.LATE)

    def unauthorized_site(self, now_s: float) -> bool:
        """A check-in of somebody off duty at a site where this person never works."""

        def may(shift: Shift) -> bool:
            was_s = max([until_s for _, until_s in shift.presence if until_s <= now_s], default=0.0)
            is_free = now_s - max(was_s, self._visiting_until_s.get(shift.person.id, 0.0)) > _IDLE_S
            is_away = bool(shift.presence) and shift.presence[-1][1] < now_s
            return is_free and shift not in self._rota.prepared and (is_away or shift.start_s - now_s > _IDLE_S)

        shift = self._anyone(may)
        if shift is None:
            return False
        until_s = self._visiting_until_s[shift.person.id] = now_s + self._rng.uniform(3, 6) * MINUTE_S
        site = self._visited[shift.person.id]
        self._visits(shift, now_s).stay_unauthorized(site, (now_s, until_s), "off duty")
        return True

    def impossible_shifts(self, now_s: float) -> bool:
        """A check-out at one site, and a minute later a check-in at the next shift's, across the city."""

        def may(shift: Shift) -> bool:
            is_there = any(from_s + 5 * MINUTE_S < now_s < until_s for from_s, until_s in shift.presence)
            return is_there and shift.end_s - now_s > _SHIFT_LEFT_S_MIN and self._far_site(shift.site) is not None

        is_enough = len(self._rota.at_work(now_s)) > _AT_WORK_SHARE_MIN * len(self._rota.shifts)
        shift = self._anyone(may) if is_enough else None
        site = None if shift is None else self._far_site(shift.site)
        if shift is None or site is None:
            return False
        self._rota.stop(shift, now_s)
        shift.presence = [(shift.presence[0][0], now_s)]
        left_s, visits = now_s - _FAR_S, self._visits(shift, now_s, by_phone=True)
        assign(self._timeline, shift.person, site, left_s, left_s + HOUR_S, now_s)
        visits.leave(shift.site, left_s)
        entry = visits.come(site, now_s)
        over_s = self._visiting_until_s[shift.person.id] = now_s + self._rng.uniform(4, 9) * MINUTE_S
        visits.leave(site, over_s)
        visits.label_impossible(site, [entry], f"across the city in {_FAR_S:.0f} s")
        return True

    def overtime(self, now_s: float) -> bool:
        """A phone that had no network all day sends a check-in and the check-out of far too long a day."""

        def may(shift: Shift) -> bool:
            is_long = self._rota.prepared.get(shift) is Special.LONG_DAY
            return is_long and now_s - shift.start_s > LONG_DAY_S + MINUTE_S

        shift = self._anyone(may)
        if shift is None:
            return False
        self._rota.stop(shift, now_s)
        shift.special = Special.LONG_DAY
        shift.presence = [(shift.start_s - self._rng.uniform(1, 9) * MINUTE_S, shift.start_s + LONG_DAY_S)]
        network = self._rota.offline(shift.person, now_s)
        attend(self._rota.attendance, shift, network, self._tenant.persons, by_phone=True)
        return True

    def missing_check_out(self, now_s: float) -> bool:
        """Somebody went home without a check-out, and no supervisor enters it: there is no row to it."""

        def may(shift: Shift) -> bool:
            is_gone = self._rota.prepared.get(shift) is Special.NO_CHECK_OUT
            left_s = shift.end_s + CHECK_OUT_GRACE_S - now_s
            return is_gone and _MISSED_WITHIN_S[0] < left_s < _MISSED_WITHIN_S[1]

        shift = self._anyone(may)
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
            # The way there was not recorded.
            return Route(site.radius_m + away_m, 1e9, fix_s, stay_s, fix_s, comes_back=False)

        return self._strays(now_s, Special.WALK_OUT, route)

    def unexpected_movement(self, now_s: float) -> bool:
        """A check-in after a break, and the fixes that follow lead away at the speed of a car."""
        far_m, fix_s = (_DRIVE_FIXES - 0.5) * _DRIVE_M, (_DRIVE_FIX_S, _DRIVE_FIX_S)
        route = Route(far_m, _DRIVE_M / _DRIVE_FIX_S, fix_s, comes_back=False)
        return self._strays(now_s, Special.DRIVE_OUT, lambda _: route)

    def location_spoofing(self, now_s: float) -> bool:
        """A fix that says itself that an app made it up."""

        def may(shift: Shift) -> bool:
            is_again = now_s - self._mocked_s.get(shift.person.id, 0.0) > _MOCK_PAUSE_S
            waits_since_s = self._fixes.waits_since(shift, now_s)
            return is_again and waits_since_s is not None and now_s - waits_since_s >= 1

        shift = self._anyone(may)
        if shift is None:
            return False
        self._mocked_s[shift.person.id] = now_s
        self._fixes.send(shift, now_s, is_mock=True)
        about = [f"person:{shift.person.id}"]
        self._timeline.label("LOCATION_SPOOFING", self._tenant.id, about, now_s, Special.MOCKED)
        return True

    def data_quality(self, now_s: float) -> bool:
        """A fix with a value that cannot be."""
        shift = self._anyone(lambda shift: shift.is_present(now_s))
        if shift is None:
            return False
        write_wrong_row(self._timeline, self._rng, shift.site, shift.person, now_s, kinds=FIX_KINDS)
        return True

    def device_offline(self, now_s: float) -> bool:
        """A device that is in nobody's hand says that it goes offline, and is back after some minutes."""
        in_hand = {shift.phone_id for shift in self._rota.at_work(now_s)}
        able = [device_id for device_id in self._devices.online(now_s) if device_id not in in_hand]
        if len(able) < len(self._tenant.devices) / 4:
            return False
        self._devices.lose(self._rng.choice(able), (now_s, now_s + self._rng.uniform(60, 240)), is_marked=True)
        return True

    def _begins(self, may: Callable[[Shift], bool], now_s: float, special: Special) -> bool:
        shift = self._anyone(may)
        if shift is not None:
            self._rota.begin(shift, now_s, special)
        return shift is not None

    def _strays(self, now_s: float, special: Special, route: Callable[[Site], Route]) -> bool:
        def may(shift: Shift) -> bool:
            is_again = now_s - self._strayed_s.get(shift.person.id, 0.0) > _STRAY_PAUSE_S
            return is_again and self._is_back(shift, now_s) and shift.end_s - now_s > _SHIFT_LEFT_S_MIN

        shift = self._anyone(may)
        if shift is None:
            return False
        self._strayed_s[shift.person.id] = now_s
        receiver = Receiver(self._rng, is_clear=True)
        fixes = list(travelled(self._rng, receiver, now_s + 1, route(shift.site)))
        span = (fixes[0].at_s, fixes[-1].at_s)
        # The way back takes a break.
        self._rota.begin(shift, now_s, until_s=span[1])
        self._fixes.send_planned(shift, fixes)
        label_location(self._timeline, shift, special, span)
        return True

    def _visits(self, shift: Shift, now_s: float, *, by_phone: bool = False) -> Visits:
        network = self._rota.offline(shift.person, now_s)
        return Visits(self._rota.attendance, shift.person, network, by_phone=by_phone)

    def _is_back(self, shift: Shift, now_s: float) -> bool:
        """Whether the person may come back from a break now."""
        left_s = shift.left_s(now_s)
        return left_s is not None and now_s - left_s > _BREAK_S_MIN

    def _is_visiting(self, shift: Shift, now_s: float) -> bool:
        return self._visiting_until_s.get(shift.person.id, 0.0) >= now_s

    def _foreign_sites(self, person: Person) -> list[Site]:
        """The sites of the person's city where this person never works."""
        foreign = [site for site in self._rota.tenant.sites if site not in person.sites]
        return [site for site in foreign if site.city is person.sites[0].city] or foreign

    def _far_site(self, site: Site) -> Site | None:
        """The site of the same city that is farthest away; None where none is far enough."""
        there = [other for other in self._tenant.sites if other.city is site.city]
        farthest = max(there, key=site.distance_m)
        return farthest if site.distance_m(farthest) >= _FAR_M_MIN else None

    def _anyone(self, may: Callable[[Shift], bool]) -> Shift | None:
        able = [shift for shift in self._rota.shifts.values() if may(shift)]
        return self._rng.choice(able) if able else None


PLANTS: dict[str, Callable[[Planting, float], bool]] = {
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
"""By the finding type that the feed shows."""
