"""Every detector. Adding one here is all that it takes to run it."""

from collections.abc import Iterable

from detectors.attendance_order import AttendanceOrder
from detectors.geofence_violation import GeofenceViolation
from detectors.interface import Detector
from detectors.location_spoofing import LocationSpoofing
from detectors.quality import DataQuality
from detectors.ticket_sla_breach import TicketSlaBreach
from detectors.unauthorized_site import UnauthorizedSite
from detectors.unexpected_movement import UnexpectedMovement
from detectors.wrong_person import WrongPerson

DETECTORS: tuple[Detector, ...] = (
    DataQuality(),
    AttendanceOrder(),
    WrongPerson(),
    UnauthorizedSite(),
    TicketSlaBreach(),
    GeofenceViolation(),
    LocationSpoofing(),
    UnexpectedMovement(),
)
"""In the order in which an event's findings are told."""


def named(names: Iterable[str] | None) -> tuple[Detector, ...]:
    """The detectors of these names, in the registry's order; all of them for None.

    Raises:
        KeyError: a name that no detector has.
    """
    if names is None:
        return DETECTORS
    wanted = set(names)
    for name in wanted - {detector.name for detector in DETECTORS}:
        raise KeyError(name)
    return tuple(detector for detector in DETECTORS if detector.name in wanted)
