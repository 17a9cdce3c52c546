"""Stays of people elsewhere than at their own shift: where nobody entered them, or where nobody can be so soon."""

from simulation.world.attendance import CHECK_IN, CHECK_OUT, Attendance
from simulation.world.company import Person, Site
from simulation.world.phones import Network
from simulation.world.shifts import Span
from simulation.world.timeline import Entry


class Visits:
    """Writes the visits of one person.

    Args:
        attendance: writes the rows.
        person: who.
        network: of the person's phone.
        by_phone: no gate reader is used.
    """

    def __init__(self, attendance: Attendance, person: Person, network: Network, *, by_phone: bool = False) -> None:
        self._attendance = attendance
        self._person = person
        self._network = network
        self._by_phone = by_phone

    def come(self, site: Site, at_s: float) -> Entry:
        """Check in."""
        return self._check(CHECK_IN, site, at_s)

    def leave(self, site: Site, at_s: float) -> Entry:
        """Check out."""
        return self._check(CHECK_OUT, site, at_s)

    def stay_unauthorized(self, site: Site, span: Span, note: str) -> None:
        """Some time at a site where the person has nothing to do."""
        entry = self.come(site, span[0])
        self.leave(site, span[1])
        self._label("UNAUTHORIZED_SITE", site, [entry], note)

    def label_impossible(self, site: Site, entries: list[Entry], note: str, after_s: float = 10.0) -> None:
        """Say that the first of these checks is one that cannot be, or else one of the others."""
        self._label("IMPOSSIBLE_SHIFTS", site, entries, note, after_s)

    def _check(self, kind: str, site: Site, at_s: float) -> Entry:
        return self._attendance.usual(kind, site, self._person, at_s, self._network, by_phone=self._by_phone)

    def _label(self, finding_type: str, site: Site, entries: list[Entry], note: str, after_s: float = 5.0) -> None:
        about = [f"person:{self._person.id}", *(f"attendance:{entry.row_id}" for entry in entries)]
        timeline = self._attendance.timeline
        timeline.label(finding_type, site.tenant_id, about, entries[0].at_s, note, after_s=after_s)
