"""Every detector by the kind of event that it reads. Adding one here is all that it takes to run it."""

from detectors.attendance import AttendanceDetector
from detectors.unauthorized_site import UnauthorizedSite
from detectors.wrong_person import WrongPerson

ATTENDANCE_DETECTORS: tuple[AttendanceDetector, ...] = (WrongPerson(), UnauthorizedSite())
