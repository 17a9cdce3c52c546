"""Which values of a row cannot be right, by table. Never judges what people did: the other detectors do."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Final

from contracts.rows import Assignment, Attendance, Device, Jobneed, Location, Site, Tenant, Ticket, WorkOrder, known
from detectors.row_quality.helpers.reason import Reason
from detectors.row_quality.helpers.row_check import YEAR_2000, Cleaned, DataQualityPolicy, RowCheck
from detectors.shared.facts import CHECKS as ATTENDANCE_CHECKS
from detectors.shared.geo import LATITUDE_MAX, LONGITUDE_MAX, AreaError
from detectors.shared.geofence import polygon

_YEAR_2000_S = YEAR_2000.timestamp()
_SPEED_UNKNOWN = -1.0
"""What an iPhone reports where it does not know its speed (CLLocation.speed)."""

_JOB_TYPES = frozenset({"TASK", "TOUR", None})
_JOB_STATUSES = frozenset({"ASSIGNED", "IN_PROGRESS", "COMPLETED", "CANCELLED", None})
_DEVICE_STATUSES = frozenset({"ONLINE", "OFFLINE", None})
_TICKET_STATUSES = frozenset({"NEW", "OPEN", "IN_PROGRESS", "ON_HOLD", "RESOLVED", "CLOSED", "CANCELLED", None})
_PRIORITIES = frozenset({"LOW", "MEDIUM", "HIGH", "CRITICAL", None})
_BATTERY_PERCENT_MAX = 100.0
_WORK_ORDER_STATUSES = frozenset({"OPEN", "IN_PROGRESS", "DONE", "CANCELLED", None})


def _location(row: Location, now_us: int, policy: DataQualityPolicy, at_s: float | None = None) -> Cleaned | None:
    latitude, longitude, at = row.latitude, row.longitude, row.recorded_at
    accuracy_m, speed_mps = row.accuracy_m, row.speed_mps
    # Nearly all rows are good, and most rows are fixes: a good one costs no more than these few comparisons.
    if (
        latitude is not None
        and longitude is not None
        and at is not None
        and -LATITUDE_MAX <= latitude <= LATITUDE_MAX
        and -LONGITUDE_MAX <= longitude <= LONGITUDE_MAX
        and (latitude or longitude)
        and (accuracy_m is None or 0.0 <= accuracy_m < inf)
        and (speed_mps is None or 0.0 <= speed_mps < inf)
        and _YEAR_2000_S <= (at_s or at.timestamp()) <= now_us / 1e6 + policy.future_s_max
    ):
        return None
    check = RowCheck(row, now_us, policy)
    if latitude is None and longitude is None:
        check.required("latitude", "longitude")
    check.required("recorded_at")
    check.position()
    check.number("accuracy_m")
    if speed_mps == _SPEED_UNKNOWN:
        check.unknown("speed_mps")
    else:
        check.number("speed_mps")
    check.past("recorded_at")
    return check.cleaned()


def _attendance(row: Attendance, now_us: int, policy: DataQualityPolicy, at_s: float | None = None) -> Cleaned | None:
    latitude, longitude, at, accuracy_m = row.latitude, row.longitude, row.occurred_at, row.accuracy_m
    if (  # as for fixes: all that a good row costs
        row.person_id is not None
        and row.event_type in ATTENDANCE_CHECKS
        and at is not None
        and (
            (latitude is None and longitude is None)
            or (
                latitude is not None
                and longitude is not None
                and -LATITUDE_MAX <= latitude <= LATITUDE_MAX
                and -LONGITUDE_MAX <= longitude <= LONGITUDE_MAX
                and (latitude or longitude)
            )
        )
        and (accuracy_m is None or 0.0 <= accuracy_m < inf)
        and _YEAR_2000_S <= (at_s or at.timestamp()) <= now_us / 1e6 + policy.future_s_max
    ):
        return None
    check = RowCheck(row, now_us, policy)
    check.required("person_id", "event_type", "occurred_at")
    check.position()
    check.number("accuracy_m")
    check.one_of("event_type", ATTENDANCE_CHECKS)
    check.past("occurred_at")
    return check.cleaned()


def _jobneed(row: Jobneed, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    planned, due, started, completed = row.planned_start, row.due_at, row.started_at, row.completed_at
    expected, scanned = row.checkpoints_expected, row.checkpoints_scanned
    latest_s = now_us / 1e6 + policy.future_s_max
    if (  # as for fixes: all that a good row costs
        row.status in _JOB_STATUSES
        and row.job_type in _JOB_TYPES
        and (expected is None or expected >= 0)
        and (scanned is None or scanned >= 0)
        and (planned is None or planned >= YEAR_2000)
        and (due is None or (due >= YEAR_2000 and (planned is None or planned <= due)))
        and (started is None or _YEAR_2000_S <= started.timestamp() <= latest_s)
        and (completed is None or _YEAR_2000_S <= completed.timestamp() <= latest_s)
        and (started is None or completed is None or started <= completed)
    ):
        return None
    check = RowCheck(row, now_us, policy)
    check.one_of("job_type", _JOB_TYPES)
    check.one_of("status", _JOB_STATUSES)
    check.number("checkpoints_expected")
    check.number("checkpoints_scanned")
    check.past("started_at", "completed_at")
    check.past_or_future("planned_start", "due_at")
    # Either of the two may be wrong; the one is kept that more detectors use.
    check.in_order("after_completed_at", "started_at", "completed_at", blank=("started_at",))
    check.in_order("after_due_at", "planned_start", "due_at", blank=("planned_start",))
    return check.cleaned()


def _device(row: Device, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    seen, battery = row.last_seen, row.battery_percent
    if (  # as for fixes: all that a good row costs
        row.status in _DEVICE_STATUSES
        and (battery is None or 0.0 <= battery <= _BATTERY_PERCENT_MAX)
        and (seen is None or _YEAR_2000_S <= seen.timestamp() <= now_us / 1e6 + policy.future_s_max)
    ):
        return None
    check = RowCheck(row, now_us, policy)
    check.one_of("status", _DEVICE_STATUSES)
    check.number("battery_percent", most=_BATTERY_PERCENT_MAX)
    check.past("last_seen")
    return check.cleaned()


def _ticket(row: Ticket, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    check = RowCheck(row, now_us, policy)
    check.one_of("status", _TICKET_STATUSES)
    check.one_of("priority", _PRIORITIES)
    check.number("escalation_level")
    check.past("created_at", "updated_at")
    return check.cleaned()


def _work_order(row: WorkOrder, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    check = RowCheck(row, now_us, policy)
    check.one_of("status", _WORK_ORDER_STATUSES)
    check.past("created_at", "updated_at")
    check.past_or_future("due_at")
    return check.cleaned()


def _assignment(row: Assignment, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    check = RowCheck(row, now_us, policy)
    check.past_or_future("shift_start", "shift_end")
    check.in_order("before_shift_start", "shift_start", "shift_end", blank=("shift_end", "shift_start"))
    return check.cleaned()


def _site(row: Site, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    check = RowCheck(row, now_us, policy)
    check.position()
    check.number("geofence_radius_m", above=0.0, most=policy.site_reach_m_max)
    check.time_zone()
    geofence = known(row.geofence)
    if geofence is not None:
        try:
            polygon(geofence, points_max=policy.geofence_points_max, reach_m_max=policy.site_reach_m_max)
        except AreaError as error:
            # It stays in the row: building the site's area then fails too, and no circle replaces it.
            check.reasons.append(Reason("no_area", "geofence", str(error)))
    return check.cleaned()


def _tenant(row: Tenant, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    check = RowCheck(row, now_us, policy)
    check.time_zone()
    return check.cleaned()


CHECKS: Final[Mapping[str, Callable[..., Cleaned | None]]] = {
    "location": _location,
    "attendance": _attendance,
    "jobneed": _jobneed,
    "device": _device,
    "ticket": _ticket,
    "work_order": _work_order,
    "assignment": _assignment,
    "site": _site,
    "tenant": _tenant,
}
"""By canonical table: takes a row, its commit time in microseconds and the policy; returns None where the row is good.

Those of `location` and `attendance` also take `Event.at_s`, where it is known.
"""
