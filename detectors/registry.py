"""Every detector. Adding one here is all that it takes to run it."""

from collections.abc import Iterable

from detectors.attendance.buddy_punching import BuddyPunching
from detectors.attendance.impossible_shifts import ImpossibleShifts
from detectors.attendance.late_check_in import LateCheckIn
from detectors.attendance.missing_check_out import MissingCheckOut
from detectors.attendance.overtime import Overtime
from detectors.attendance.unauthorized_site import UnauthorizedSite
from detectors.attendance.unexpected_location import UnexpectedLocation
from detectors.attendance.wrong_person import WrongPerson
from detectors.devices.device_offline import DeviceOffline
from detectors.devices.phone_events import PhoneEvents
from detectors.interface import Detector
from detectors.location.geofence_violation import GeofenceViolation
from detectors.location.location_spoofing import LocationSpoofing
from detectors.location.unexpected_movement import UnexpectedMovement
from detectors.row_quality.attendance_order import AttendanceOrder
from detectors.row_quality.data_quality import DataQuality
from detectors.work.checkpoints_skipped import CheckpointsSkipped
from detectors.work.task_overdue import TaskOverdue
from detectors.work.ticket_escalated import TicketEscalated
from detectors.work.ticket_sla_breach import TicketSlaBreach
from detectors.work.unusual_completion_time import UnusualCompletionTime
from detectors.work.work_order_overdue import WorkOrderOverdue

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
