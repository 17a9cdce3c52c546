"""Every detector. Adding one here is all that it takes to run it."""

from collections.abc import Iterable

from detectors.attendance_order import AttendanceOrder
from detectors.buddy_punching import BuddyPunching
from detectors.checkpoints_skipped import CheckpointsSkipped
from detectors.device_offline import DeviceOffline
from detectors.geofence_violation import GeofenceViolation
from detectors.impossible_shifts import ImpossibleShifts
from detectors.interface import Detector
from detectors.late_check_in import LateCheckIn
from detectors.location_spoofing import LocationSpoofing
from detectors.missing_check_out import MissingCheckOut
from detectors.overtime import Overtime
from detectors.phone_events import PhoneEvents
from detectors.quality import DataQuality
from detectors.task_overdue import TaskOverdue
from detectors.ticket_escalated import TicketEscalated
from detectors.ticket_sla_breach import TicketSlaBreach
from detectors.unauthorized_site import UnauthorizedSite
from detectors.unexpected_location import UnexpectedLocation
from detectors.unexpected_movement import UnexpectedMovement
from detectors.unusual_completion_time import UnusualCompletionTime
from detectors.work_order_overdue import WorkOrderOverdue
from detectors.wrong_person import WrongPerson

DETECTORS: tuple[Detector, ...] = (
    DataQuality(),
    AttendanceOrder(),
    WrongPerson(),
    BuddyPunching(),
    UnauthorizedSite(),
    UnexpectedLocation(),
    ImpossibleShifts(),
    LateCheckIn(),
    Overtime(),
    MissingCheckOut(),
    TaskOverdue(),
    CheckpointsSkipped(),
    UnusualCompletionTime(),
    TicketSlaBreach(),
    GeofenceViolation(),
    LocationSpoofing(),
    UnexpectedMovement(),
    TicketEscalated(),
    WorkOrderOverdue(),
    DeviceOffline(),
    PhoneEvents(),
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
