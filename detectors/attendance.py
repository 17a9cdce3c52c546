"""What attendance detectors know beside the event: the person's shifts and the tenant's policy."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from contracts.rows import Attendance
from detectors.judgement import Judgement

CHECK_IN = "CHECK_IN"


class Shift(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person's assignment to a site; times are Unix seconds."""

    assignment_id: int
    site_id: int
    start_s: float
    end_s: float


class AttendanceContext(msgspec.Struct, frozen=True):
    """What is known of the person of the event."""

    shifts: Sequence[Shift] = ()


class AttendancePolicy(msgspec.Struct, frozen=True):
    """Thresholds of the attendance detectors."""

    check_in_early_s_max: float = 3_600.0
    """How long before a shift its site may be entered."""
    check_in_late_s_max: float = 3_600.0
    """How long after the end of a shift its site may still be entered (a forgotten bag, an extension)."""


class AttendanceDetector(Protocol):
    """One detector of attendance events."""

    name: str

    def __call__(self, event: Attendance, context: AttendanceContext, policy: AttendancePolicy) -> Judgement | None:
        """What is wrong with the event, or None."""
