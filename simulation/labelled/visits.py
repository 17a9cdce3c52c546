"""Who visits which other site on which day: as entered, with nobody having entered it, or impossibly."""

from collections.abc import Callable
from datetime import date
from random import Random

from simulation.labelled.roster import Roster
from simulation.world.attendance import Attendance
from simulation.world.calendar import HOUR_S, MINUTE_S, local_s
from simulation.world.company import Person, Site, SiteKind, Tenant
from simulation.world.phones import Network
from simulation.world.shifts import assign
from simulation.world.timeline import Timeline
from simulation.world.visits import Visits

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

    def _visits(self, rng: Random, person: Person) -> Visits:
        return Visits(Attendance(self._timeline, rng), person, Network(rng, person.phone_id))

    def _enter(self, person: Person, site: Site, start_s: float, end_s: float) -> None:
        assign(self._timeline, person, site, start_s, end_s, written_s=start_s - _ENTERED_BEFORE_S)

    def _two_sites(self, rng: Random, person: Person, start_s: float) -> None:
        """A morning here and an afternoon an hour's drive away, as entered: nothing is wrong."""
        visits = self._visits(rng, person)
        second_s = start_s + (4 + _REMOTE_WAY_H) * HOUR_S
        for site, begin_s in ((self._near, start_s), (self._home, second_s)):
            end_s = begin_s + 3.5 * HOUR_S
            self._enter(person, site, begin_s, end_s)
            visits.come(site, begin_s - 4 * MINUTE_S)
            visits.leave(site, end_s + rng.uniform(0, 10) * MINUTE_S)

    def _stranger(self, rng: Random, person: Person, start_s: float) -> None:
        """An hour at a site where the person has nothing to do."""
        at_s = start_s + rng.uniform(0, 6) * HOUR_S
        self._visits(rng, person).stay_unauthorized(self._near, (at_s, at_s + HOUR_S), "visited on a day off")

    def _unentered_swap(self, rng: Random, person: Person, start_s: float) -> None:
        """A whole shift for a colleague, which nobody entered."""
        at_s = start_s + rng.uniform(0, 600)
        span = (at_s, at_s + 7.5 * HOUR_S)
        self._visits(rng, person).stay_unauthorized(self._near, span, "a swap nobody entered")

    def _flight(self, rng: Random, person: Person, start_s: float) -> None:
        """Out here, and minutes later in there, an hour's drive away."""
        visits = self._visits(rng, person)
        middle_s, end_s = start_s + 4 * HOUR_S, start_s + 8 * HOUR_S
        in_s = middle_s + rng.uniform(5, 12) * MINUTE_S
        self._enter(person, self._near, start_s, middle_s)
        self._enter(person, self._home, middle_s, end_s)
        visits.come(self._near, start_s - 60)
        visits.leave(self._near, middle_s)
        entry = visits.come(self._home, in_s)
        visits.leave(self._home, end_s)
        visits.label_impossible(self._home, [entry], f"60 km or more in {(in_s - middle_s) / 60:.0f} min")

    def _two_places(self, rng: Random, person: Person, start_s: float) -> None:
        """In at two sites within minutes; both are entered, by two planners."""
        visits = self._visits(rng, person)
        end_s = start_s + 8 * HOUR_S
        self._enter(person, self._near, start_s, end_s)
        self._enter(person, self._home, start_s, end_s)
        visits.come(self._near, start_s)
        entry = visits.come(self._home, start_s + rng.uniform(4, 10) * MINUTE_S)
        visits.leave(self._home, end_s)
        visits.label_impossible(self._home, [entry], "in at two sites within minutes")
        self._timeline.label(
            "MISSING_CHECK_OUT", self._tenant.id, [f"person:{person.id}"], end_s, "never out at the first of two sites",
            after_s=8 * HOUR_S, required=False,
        )  # fmt: skip

    def _still_there(self, rng: Random, person: Person, start_s: float) -> None:
        """In there at noon, and minutes later out here, an hour's drive away."""
        visits = self._visits(rng, person)
        in_s, end_s = start_s + 5 * HOUR_S, start_s + 9 * HOUR_S
        out_s = in_s + rng.uniform(4, 10) * MINUTE_S
        self._enter(person, self._near, start_s, out_s)
        self._enter(person, self._home, in_s, end_s)
        visits.come(self._near, start_s)
        entries = [visits.come(self._home, in_s), visits.leave(self._near, out_s)]
        visits.leave(self._home, end_s)
        visits.label_impossible(self._home, entries, "out here minutes after in there", after_s=15 * MINUTE_S)
