"""Who visits which other site on which day: as entered, with nobody having entered it, or impossibly."""

from collections.abc import Callable
from datetime import date
from random import Random

from simulation.labelled.roster import Roster
from simulation.world.attendance import CHECK_IN, Attendance
from simulation.world.calendar import HOUR_S, MINUTE_S, local_s
from simulation.world.company import Person, Site, SiteKind, Tenant
from simulation.world.phones import Network
from simulation.world.shifts import assign
from simulation.world.timeline import Timeline

Kind = Callable[[Random, Person, float], None]
"""Lives a visit of somebody who is free from a time on."""
_SHARE = 0.1
"""Of a tenant's days, for each kind of visit."""
_REMOTE_WAY_H = 2.5
_ENTERED_BEFORE_S = 3 * HOUR_S


class VisitDays:
    """The visits of one tenant.

    Args:
        timeline: where rows and labels go.
        seed: of the scenario.
        tenant: whose people they are.
        roster: who is free.
        planted: whether wrong ones happen.
    """

    def __init__(self, timeline: Timeline, seed: int, tenant: Tenant, roster: Roster, *, planted: bool) -> None:
        self._timeline = timeline
        self._seed = seed
        self._tenant = tenant
        self._roster = roster
        by_kind = {site.kind: site for site in tenant.sites}
        self._home, self._near = by_kind[SiteKind.REMOTE], by_kind[SiteKind.GUARDED]
        self._kinds: list[tuple[float, float, Kind]] = [(7, 17, self._two_sites)]
        if planted:
            self._kinds += [
                (9, 18, self._stranger),
                (8, 16, self._unentered_swap),
                (8, 17, self._flight),
                (8, 17, self._two_places),
                (8, 18, self._still_there),
            ]

    def day(self, day: date) -> None:
        """The visits of a day, each by somebody of the remote site, which has people to spare, who is free then."""
        rng = Random(f"{self._seed}/visits/{self._tenant.id}/{day}")
        zone = self._home.zone
        for start_h, end_h, visit in self._kinds:
            if rng.random() >= _SHARE:
                continue
            start_s, end_s = local_s(day, start_h, zone), local_s(day, end_h, zone)
            person = self._roster.free(self._home, start_s, end_s)
            if person is not None:
                self._roster.occupy(person, start_s, end_s)
                visit(rng, person, start_s)

    def _attendance(self, rng: Random, person: Person) -> tuple[Attendance, Network]:
        return Attendance(self._timeline, rng), Network(rng, person.phone_id)

    def _enter(self, person: Person, site: Site, start_s: float, end_s: float) -> None:
        assign(self._timeline, person, site, start_s, end_s, written_s=start_s - _ENTERED_BEFORE_S)

    def _two_sites(self, rng: Random, person: Person, start_s: float) -> None:
        """A morning here and an afternoon an hour's drive away, as entered: nothing is wrong."""
        attendance, network = self._attendance(rng, person)
        second_s = start_s + (4 + _REMOTE_WAY_H) * HOUR_S
        for site, begin_s in ((self._near, start_s), (self._home, second_s)):
            end_s = begin_s + 3.5 * HOUR_S
            self._enter(person, site, begin_s, end_s)
            span = (begin_s - 4 * MINUTE_S, end_s + rng.uniform(0, 10) * MINUTE_S)
            attendance.stay(site, person, span, network)

    def _stranger(self, rng: Random, person: Person, start_s: float) -> None:
        """An hour at a site where the person has nothing to do."""
        self._unauthorized(rng, person, start_s + rng.uniform(0, 6) * HOUR_S, 1.0, "visited on a day off")

    def _unentered_swap(self, rng: Random, person: Person, start_s: float) -> None:
        """A whole shift for a colleague, which nobody entered."""
        self._unauthorized(rng, person, start_s + rng.uniform(0, 600), 7.5, "a swap nobody entered")

    def _unauthorized(self, rng: Random, person: Person, at_s: float, hours: float, note: str) -> None:
        attendance, network = self._attendance(rng, person)
        come, _ = attendance.stay(self._near, person, (at_s, at_s + hours * HOUR_S), network)
        attendance.label_unauthorized(person, come, note)

    def _flight(self, rng: Random, person: Person, start_s: float) -> None:
        """Out here, and minutes later in there, an hour's drive away."""
        attendance, network = self._attendance(rng, person)
        middle_s, end_s = start_s + 4 * HOUR_S, start_s + 8 * HOUR_S
        in_s = middle_s + rng.uniform(5, 12) * MINUTE_S
        self._enter(person, self._near, start_s, middle_s)
        self._enter(person, self._home, middle_s, end_s)
        attendance.stay(self._near, person, (start_s - 60, middle_s), network)
        come, _ = attendance.stay(self._home, person, (in_s, end_s), network)
        attendance.label_impossible(person, [come], f"60 km or more in {(in_s - middle_s) / 60:.0f} min")

    def _two_places(self, rng: Random, person: Person, start_s: float) -> None:
        """In at two sites within minutes; both are entered, by two planners."""
        attendance, network = self._attendance(rng, person)
        end_s = start_s + 8 * HOUR_S
        self._enter(person, self._near, start_s, end_s)
        self._enter(person, self._home, start_s, end_s)
        attendance.usual(CHECK_IN, self._near, person, start_s, network)
        in_s = start_s + rng.uniform(4, 10) * MINUTE_S
        come, _ = attendance.stay(self._home, person, (in_s, end_s), network)
        attendance.label_impossible(person, [come], "in at two sites within minutes")
        about, note = [f"person:{person.id}"], "never out at the first of two sites"
        self._timeline.label(
            "MISSING_CHECK_OUT", self._tenant.id, about, end_s, note, after_s=8 * HOUR_S, required=False
        )

    def _still_there(self, rng: Random, person: Person, start_s: float) -> None:
        """In there at noon, and minutes later out here, an hour's drive away."""
        attendance, network = self._attendance(rng, person)
        in_s, end_s = start_s + 5 * HOUR_S, start_s + 9 * HOUR_S
        out_s = in_s + rng.uniform(4, 10) * MINUTE_S
        self._enter(person, self._near, start_s, out_s)
        self._enter(person, self._home, in_s, end_s)
        _, leave = attendance.stay(self._near, person, (start_s, out_s), network)
        come, _ = attendance.stay(self._home, person, (in_s, end_s), network)
        note = "out here minutes after in there"
        attendance.label_impossible(person, [come, leave], note, after_s=15 * MINUTE_S)
