"""Check-ins and check-outs: the rows of `attendance`, and those of an ordinary shift."""

from collections.abc import Callable, Sequence
from random import Random

from simulation.world.calendar import Interval, moment
from simulation.world.company import Person, Site
from simulation.world.geometry import moved
from simulation.world.phones import Network
from simulation.world.timeline import ScheduledChange, Timeline

CHECK_IN, CHECK_OUT = "CHECK_IN", "CHECK_OUT"
_UNVERIFIED_SHARE = 0.05
"""The camera is dirty now and then: then nobody was verified, which is no finding."""
_INDOORS_SHARE, _INDOORS_M = 0.02, 120.0


class AttendanceWriter:
    """Writes check-ins and check-outs.

    Args:
        may_use_reader: whether a site's gate reader, if it has one, is used at a time.
    """

    def __init__(
        self, timeline: Timeline, rng: Random, may_use_reader: Callable[[Site, float], bool] = lambda *_: True
    ) -> None:
        self.timeline = timeline
        self.rng = rng
        self._may_use_reader = may_use_reader

    def check(
        self,
        kind: str,
        site: Site,
        person: Person,
        at_s: float,
        committed_s: float,
        device_id: int | None,
        *,
        verified_id: int | None = None,
        off_m: tuple[float, float] = (0.0, 0.0),
    ) -> ScheduledChange:
        """One row. A gate reader gives no position; a phone gives its own, `off_m` east and north of the site."""
        rng = self.rng
        latitude = longitude = accuracy = None
        if device_id is None or device_id != site.reader_id:
            accuracy = round(rng.uniform(5, 25), 1)
            east, north = (off + rng.gauss(0, 0.4 * accuracy) + rng.uniform(-0.4, 0.4) * site.extent_m for off in off_m)
            if rng.random() < _INDOORS_SHARE:  # far off, and the phone knows it
                east, accuracy = east + _INDOORS_M, _INDOORS_M + 20
            latitude, longitude = moved(site.latitude, site.longitude, east, north)
        return self.timeline.insert(
            "attendance",
            site.tenant_id,
            committed_s,
            site_id=site.id,
            person_id=person.id,
            verified_person_id=verified_id,
            device_id=device_id,
            event_type=kind,
            occurred_at=moment(at_s),
            latitude=latitude,
            longitude=longitude,
            accuracy_m=accuracy,
        )

    def usual(
        self,
        kind: str,
        site: Site,
        person: Person,
        at_s: float,
        network: Network,
        off_m: tuple[float, float] = (0.0, 0.0),
    ) -> ScheduledChange:
        """An ordinary check: at the gate reader, which is always connected, or by phone."""
        committed_s, device_id = network.committed_s(at_s), network.phone_id
        if network.uses_reader and site.reader_id is not None and self._may_use_reader(site, at_s):
            committed_s, device_id = at_s + self.rng.uniform(*network.delay_s), site.reader_id
        verified_id = None if self.rng.random() < _UNVERIFIED_SHARE else person.id
        return self.check(kind, site, person, at_s, committed_s, device_id, verified_id=verified_id, off_m=off_m)

    def stay(
        self, site: Site, person: Person, span: Interval, network: Network
    ) -> tuple[ScheduledChange, ScheduledChange]:
        """A check-in and a check-out."""
        come = self.usual(CHECK_IN, site, person, span[0], network)
        return come, self.usual(CHECK_OUT, site, person, span[1], network)

    def label(
        self, finding_type: str, person: Person, entries: Sequence[ScheduledChange], note: str, after_s: float = 5.0
    ) -> None:
        """Add a label about these checks of a person; a finding is due with the first of them."""
        about = [f"person:{person.id}", *(f"attendance:{entry.row_id}" for entry in entries)]
        tenant_id, at_s = entries[0].columns["tenant_id"], entries[0].at_s
        self.timeline.label(finding_type, tenant_id, about, at_s, note, after_s=after_s)
