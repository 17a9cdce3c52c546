"""Check-ins and check-outs: the rows of `attendance`, and those of an ordinary shift."""

from collections.abc import Callable
from random import Random

from simulation.world.calendar import moment
from simulation.world.company import Person, Site
from simulation.world.geometry import moved
from simulation.world.phones import Network
from simulation.world.timeline import Entry, Timeline

CHECK_IN, CHECK_OUT = "CHECK_IN", "CHECK_OUT"
_UNVERIFIED_SHARE = 0.1
"""The camera is dirty now and then: then nobody was verified, which is no finding."""
_INDOORS_SHARE, _INDOORS_M = 0.02, 120.0


class Attendance:
    """Writes check-ins and check-outs.

    Args:
        timeline: where they go.
        rng: of the details.
        may_use_reader: whether a site's gate reader is free at a time; it is used where there is one.
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
    ) -> Entry:
        """One row. A gate reader gives no position, a phone its own: `off_m` east and north of the site."""
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
        self, kind: str, site: Site, person: Person, at_s: float, network: Network, *, by_phone: bool = False
    ) -> Entry:
        """The check of somebody with nothing special: at the gate's reader, which has a cable, or by phone."""
        verified_id = None if self.rng.random() < _UNVERIFIED_SHARE else person.id
        if not by_phone and site.reader_id is not None and self._may_use_reader(site, at_s):
            committed_s = at_s + self.rng.uniform(*network.delay_s)
            return self.check(kind, site, person, at_s, committed_s, site.reader_id, verified_id=verified_id)
        committed_s = network.committed_s(at_s)
        return self.check(kind, site, person, at_s, committed_s, network.phone_id, verified_id=verified_id)
