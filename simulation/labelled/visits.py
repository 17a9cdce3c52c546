"""Check-ins of people at other sites than their own: entered ones, those nobody entered, and impossible ones."""

import random
from collections.abc import Callable
from datetime import date

from simulation.labelled.attendance import Gate
from simulation.labelled.calendar import HOUR_S, MINUTE_S, local_s
from simulation.labelled.ledger import Ledger
from simulation.labelled.roster import Roster
from simulation.labelled.world import Company, Kind, Person, Site

_SHARE = 0.1
"""Of a company's days, for each kind of visit."""
_REMOTE_WAY_H = 2.5


class Visits:
    """Lives the visits of one company.

    Args:
        ledger: where rows and labels go.
        seed: of the life.
        company: whose people they are.
        roster: who is free.
        planted: whether wrong ones happen.
    """

    def __init__(self, ledger: Ledger, seed: int, company: Company, roster: Roster, *, planted: bool) -> None:
        self._ledger = ledger
        self._seed = seed
        self._company = company
        self._roster = roster
        self._planted = planted
        by_kind = {site.kind: site for site in company.sites}
        self._home, self._near, self._far = by_kind[Kind.REMOTE], by_kind[Kind.GUARDED], by_kind[Kind.OFFICE]

    def live(self, day: date) -> None:
        """The visits of a day."""
        chance = random.Random(f"{self._seed}/visits/{self._company.id}/{day}")
        gate = Gate(self._ledger, chance)
        kinds: list[Callable[[date, random.Random, Gate], None]] = [self._two_sites]
        if self._planted:
            kinds += [self._stranger, self._unentered_swap, self._flight, self._two_places, self._still_there]
        for kind in kinds:
            if chance.random() < _SHARE:
                kind(day, chance, gate)

    def _somebody(self, day: date, start: float, end: float) -> tuple[Person, float] | None:
        """Somebody of the remote site, which has people to spare, who is free at that wall-clock time."""
        start_s, end_s = local_s(day, start, self._company.zone), local_s(day, end, self._company.zone)
        person = self._roster.free(self._home, start_s, end_s)
        if person is None:
            return None
        self._roster.occupy(person, start_s, end_s)
        return person, start_s

    def _two_sites(self, day: date, chance: random.Random, gate: Gate) -> None:
        """A morning here and an afternoon an hour's drive away, as entered: nothing is wrong."""
        found = self._somebody(day, 7, 17)
        if found is None:
            return
        person, start_s = found
        second_s = start_s + (4 + _REMOTE_WAY_H) * HOUR_S
        for site, begin_s in ((self._near, start_s), (self._home, second_s)):
            self._enter(person, site, begin_s, begin_s + 3.5 * HOUR_S)
            self._pass(gate, "CHECK_IN", site, person, begin_s - 4 * MINUTE_S)
            self._pass(gate, "CHECK_OUT", site, person, begin_s + 3.5 * HOUR_S + chance.uniform(0, 10) * MINUTE_S)

    def _stranger(self, day: date, chance: random.Random, gate: Gate) -> None:
        """An hour at a site where the person has nothing to do."""
        found = self._somebody(day, 9, 18)
        if found is None:
            return
        person, start_s = found
        self._unauthorized(gate, person, start_s + chance.uniform(0, 6) * HOUR_S, 1.0, "visited on a day off")

    def _unentered_swap(self, day: date, chance: random.Random, gate: Gate) -> None:
        """A whole shift for a colleague, which nobody entered."""
        found = self._somebody(day, 8, 16)
        if found is not None:
            self._unauthorized(gate, found[0], found[1] + chance.uniform(0, 600), 7.5, "a swap nobody entered")

    def _unauthorized(self, gate: Gate, person: Person, at_s: float, hours: float, note: str) -> None:
        number = self._pass(gate, "CHECK_IN", self._near, person, at_s)
        self._pass(gate, "CHECK_OUT", self._near, person, at_s + hours * HOUR_S)
        about = [f"attendance:{number}", f"person:{person.id}"]
        self._ledger.label("UNAUTHORIZED_SITE", self._company.id, about, at_s + 1.5, note)

    def _flight(self, day: date, chance: random.Random, gate: Gate) -> None:
        """Out here, and minutes later in there, an hour's drive away."""
        found = self._somebody(day, 8, 17)
        if found is None:
            return
        person, start_s = found
        middle_s = start_s + 4 * HOUR_S
        in_s = middle_s + chance.uniform(5, 12) * MINUTE_S
        self._enter(person, self._near, start_s, middle_s)
        self._enter(person, self._home, middle_s, start_s + 8 * HOUR_S)
        self._pass(gate, "CHECK_IN", self._near, person, start_s - 60)
        self._pass(gate, "CHECK_OUT", self._near, person, middle_s)
        number = self._pass(gate, "CHECK_IN", self._home, person, in_s)
        self._pass(gate, "CHECK_OUT", self._home, person, start_s + 8 * HOUR_S)
        self._impossible(person, [number], in_s, f"60 km or more in {(in_s - middle_s) / 60:.0f} min")

    def _two_places(self, day: date, chance: random.Random, gate: Gate) -> None:
        """In at two sites within minutes; both are entered, by two planners."""
        found = self._somebody(day, 8, 17)
        if found is None:
            return
        person, start_s = found
        in_s = start_s + chance.uniform(4, 10) * MINUTE_S
        for site, at_s in ((self._near, start_s), (self._home, in_s)):
            self._enter(person, site, start_s, start_s + 8 * HOUR_S)
            number = self._pass(gate, "CHECK_IN", site, person, at_s)
        self._pass(gate, "CHECK_OUT", self._home, person, start_s + 8 * HOUR_S)
        self._impossible(person, [number], in_s, "in at two sites within minutes")
        self._ledger.label(
            "MISSING_CHECK_OUT",
            self._company.id,
            [f"person:{person.id}"],
            start_s + 8 * HOUR_S,
            "never out at the first of two sites",
            after_s=8 * HOUR_S,
            required=False,
        )

    def _still_there(self, day: date, chance: random.Random, gate: Gate) -> None:
        """In there at noon, and minutes later out here, an hour's drive away."""
        found = self._somebody(day, 8, 18)
        if found is None:
            return
        person, start_s = found
        in_s = start_s + 5 * HOUR_S
        out_s = in_s + chance.uniform(4, 10) * MINUTE_S
        self._enter(person, self._near, start_s, out_s)
        self._enter(person, self._home, in_s, start_s + 9 * HOUR_S)
        self._pass(gate, "CHECK_IN", self._near, person, start_s)
        first = self._pass(gate, "CHECK_IN", self._home, person, in_s)
        second = self._pass(gate, "CHECK_OUT", self._near, person, out_s)
        self._pass(gate, "CHECK_OUT", self._home, person, start_s + 9 * HOUR_S)
        self._impossible(person, [first, second], in_s, "out here minutes after in there", 15 * MINUTE_S)

    def _impossible(self, person: Person, rows: list[int], at_s: float, note: str, after_s: float = 10.0) -> None:
        about = [f"person:{person.id}", *(f"attendance:{row}" for row in rows)]
        self._ledger.label("IMPOSSIBLE_SHIFTS", self._company.id, about, at_s + 1.5, note, after_s=after_s)

    def _enter(self, person: Person, site: Site, start_s: float, end_s: float) -> None:
        self._roster.assign(person, site, start_s, end_s, start_s - 3 * HOUR_S)

    def _pass(self, gate: Gate, kind: str, site: Site, person: Person, at_s: float) -> int:
        return gate.pass_by(
            kind, site, person, at_s, at_s + 1.5, site.kiosk_id, verified=person.id, by_phone=site.kiosk_id is None
        )
