"""Which values of a row cannot be, by table. Never judges what people did: that is the detectors' part."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import inf, isfinite
from typing import Annotated, Any, Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from contracts.rows import Assignment, Attendance, Device, Jobneed, Location, Site, Tenant, Ticket, WorkOrder, known
from detectors.facts import CHECKS as ATTENDANCE_CHECKS
from detectors.geo import LATITUDE_MAX, LONGITUDE_MAX, AreaError, polygon
from detectors.policy import Policy

_YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)
_YEAR_2000_S = _YEAR_2000.timestamp()
_TEXT_CHARACTERS_MAX = 40
_SPEED_UNKNOWN = -1.0
"""What an iPhone says where it does not know its speed (CLLocation.speed)."""

_JOB_TYPES = frozenset({"TASK", "TOUR", None})
_JOB_STATUSES = frozenset({"ASSIGNED", "IN_PROGRESS", "COMPLETED", "CANCELLED", None})
_DEVICE_STATUSES = frozenset({"ONLINE", "OFFLINE", None})
_TICKET_STATUSES = frozenset({"NEW", "OPEN", "IN_PROGRESS", "ON_HOLD", "RESOLVED", "CLOSED", "CANCELLED", None})
_PRIORITIES = frozenset({"LOW", "MEDIUM", "HIGH", "CRITICAL", None})
_BATTERY_PERCENT_MAX = 100.0
_WORK_ORDER_STATUSES = frozenset({"OPEN", "IN_PROGRESS", "DONE", "CANCELLED", None})


class DataQualityPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of DATA_QUALITY."""

    future_s_max: Annotated[float, msgspec.Meta(ge=0)] = 600.0
    """How long after its row's commit something that has happened may lie: clocks of phones are off."""
    geofence_points_max: Annotated[int, msgspec.Meta(ge=4)] = 20_000
    """Of a site's polygon."""
    site_reach_m_max: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 50_000.0
    """Largest radius of a site, and largest extent of its polygon from the middle."""


class Reason(NamedTuple):
    """One value that cannot be."""

    code: str
    """A word for programs; with spaces for its underscores it reads: the column is `negative`."""
    column: str
    observed: float | str | None = None
    """The value, shortened; never what identifies a person."""
    threshold: float | None = None


Cleaned: TypeAlias = tuple[Any, list[Reason]]
"""The row with what cannot be blanked, and why. Without a reason a value was blanked that says "unknown"."""


class _Check:
    """Goes over the columns of one row and collects."""

    def __init__(self, row: Any, now_us: int, policy: DataQualityPolicy) -> None:
        self.reasons: list[Reason] = []
        self._row = row
        self._now_s = now_us / 1e6
        self._policy = policy
        self._blank: dict[str, None] = {}

    def wrong(self, code: str, *columns: str, observed: Any = None, threshold: float | None = None) -> None:
        """Blank the columns; the reason names the first of them."""
        self.reasons.append(Reason(code, columns[0], _shown(observed), threshold))
        self._blank.update(dict.fromkeys(columns))

    def unknown(self, column: str) -> None:
        """Blank a value that says that it is none."""
        self._blank[column] = None

    def there(self, *columns: str) -> None:
        for column in columns:
            if getattr(self._row, column) is None:
                self.wrong("missing", column)

    def position(self) -> None:
        latitude, longitude = self._row.latitude, self._row.longitude
        if latitude is None and longitude is None:
            return
        if latitude is None or longitude is None:
            there, gone = ("longitude", "latitude") if latitude is None else ("latitude", "longitude")
            self.wrong("missing", gone, there)
        elif not abs(latitude) <= LATITUDE_MAX:
            self.wrong("not_on_earth", "latitude", "longitude", observed=latitude, threshold=LATITUDE_MAX)
        elif not abs(longitude) <= LONGITUDE_MAX:
            self.wrong("not_on_earth", "longitude", "latitude", observed=longitude, threshold=LONGITUDE_MAX)
        elif latitude == longitude == 0:
            self.wrong("at_zero_zero", "latitude", "longitude", observed=0.0)

    def number(self, column: str, *, above: float | None = None, most: float = inf) -> None:
        """A finite number of at least 0, or above `above`, and at most `most`; or none."""
        value = getattr(self._row, column)
        if value is None:
            return
        if not isfinite(value):
            self.wrong("not_a_number", column, observed=value)
        elif value < 0:
            self.wrong("negative", column, observed=value, threshold=0)
        elif above is not None and value <= above:
            self.wrong("too_small", column, observed=value, threshold=above)
        elif value > most:
            self.wrong("too_large", column, observed=value, threshold=most)

    def happened(self, *columns: str) -> None:
        """Times that cannot lie in the future."""
        for column in columns:
            at = getattr(self._row, column)
            if at is not None and at.timestamp() > self._now_s + self._policy.future_s_max:
                self.wrong("in_the_future", column, observed=at, threshold=self._policy.future_s_max)
        self.planned(*columns)

    def planned(self, *columns: str) -> None:
        """Times that may lie in the future."""
        for column in columns:
            at = getattr(self._row, column)
            if at is not None and at < _YEAR_2000:
                self.wrong("before_the_year_2000", column, observed=at)

    def order(self, code: str, first: str, second: str, *, blank: tuple[str, ...]) -> None:
        """Two times of which the second cannot lie before the first; the observed value is their distance in s."""
        if first in self._blank or second in self._blank:
            return
        start, end = getattr(self._row, first), getattr(self._row, second)
        if start is not None and end is not None and end < start:
            self.wrong(code, *blank, observed=(end - start).total_seconds(), threshold=0)

    def word(self, column: str, words: frozenset[str | None]) -> None:
        value = getattr(self._row, column)
        if value is not None and value not in words:
            self.wrong("not_one_of_the_known_words", column, observed=value)

    def zone(self) -> None:
        name = self._row.timezone
        if name is not None and not _is_zone(name):
            self.wrong("no_time_zone", "timezone", observed=name)

    def cleaned(self) -> Cleaned | None:
        if not self._blank and not self.reasons:
            return None
        row = msgspec.structs.replace(self._row, **self._blank) if self._blank else self._row
        return row, self.reasons


def _location(row: Location, now_us: int, policy: DataQualityPolicy, at_s: float | None = None) -> Cleaned | None:
    latitude, longitude, at, accuracy_m, speed_mps = (
        row.latitude,
        row.longitude,
        row.recorded_at,
        row.accuracy_m,
        row.speed_mps,
    )
    # Nearly all rows are good, and most rows are fixes: these few comparisons are the whole cost of a good one.
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
    check = _Check(row, now_us, policy)
    if latitude is None and longitude is None:
        check.there("latitude", "longitude")
    check.there("recorded_at")
    check.position()
    check.number("accuracy_m")
    if speed_mps == _SPEED_UNKNOWN:
        check.unknown("speed_mps")
    else:
        check.number("speed_mps")
    check.happened("recorded_at")
    return check.cleaned()


def _attendance(row: Attendance, now_us: int, policy: DataQualityPolicy, at_s: float | None = None) -> Cleaned | None:
    latitude, longitude, at, accuracy_m = row.latitude, row.longitude, row.occurred_at, row.accuracy_m
    if (  # as for fixes: the whole cost of a good row
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
    check = _Check(row, now_us, policy)
    check.there("person_id", "event_type", "occurred_at")
    check.position()
    check.number("accuracy_m")
    check.word("event_type", ATTENDANCE_CHECKS)
    check.happened("occurred_at")
    return check.cleaned()


def _jobneed(row: Jobneed, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    planned, due, started, completed = row.planned_start, row.due_at, row.started_at, row.completed_at
    expected, scanned = row.checkpoints_expected, row.checkpoints_scanned
    latest_s = now_us / 1e6 + policy.future_s_max
    if (  # as for fixes: the whole cost of a good row
        row.status in _JOB_STATUSES
        and row.job_type in _JOB_TYPES
        and (expected is None or expected >= 0)
        and (scanned is None or scanned >= 0)
        and (planned is None or planned >= _YEAR_2000)
        and (due is None or (due >= _YEAR_2000 and (planned is None or planned <= due)))
        and (started is None or _YEAR_2000_S <= started.timestamp() <= latest_s)
        and (completed is None or _YEAR_2000_S <= completed.timestamp() <= latest_s)
        and (started is None or completed is None or started <= completed)
    ):
        return None
    check = _Check(row, now_us, policy)
    check.word("job_type", _JOB_TYPES)
    check.word("status", _JOB_STATUSES)
    check.number("checkpoints_expected")
    check.number("checkpoints_scanned")
    check.happened("started_at", "completed_at")
    check.planned("planned_start", "due_at")
    # Which of the two is wrong nobody knows; what is kept is what more rules rest on.
    check.order("after_completed_at", "started_at", "completed_at", blank=("started_at",))
    check.order("after_due_at", "planned_start", "due_at", blank=("planned_start",))
    return check.cleaned()


def _device(row: Device, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    seen, battery = row.last_seen, row.battery_percent
    if (  # as for fixes: the whole cost of a good row
        row.status in _DEVICE_STATUSES
        and (battery is None or 0.0 <= battery <= _BATTERY_PERCENT_MAX)
        and (seen is None or _YEAR_2000_S <= seen.timestamp() <= now_us / 1e6 + policy.future_s_max)
    ):
        return None
    check = _Check(row, now_us, policy)
    check.word("status", _DEVICE_STATUSES)
    check.number("battery_percent", most=_BATTERY_PERCENT_MAX)
    check.happened("last_seen")
    return check.cleaned()


def _ticket(row: Ticket, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    check = _Check(row, now_us, policy)
    check.word("status", _TICKET_STATUSES)
    check.word("priority", _PRIORITIES)
    check.number("escalation_level")
    check.happened("created_at", "updated_at")
    return check.cleaned()


def _work_order(row: WorkOrder, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    check = _Check(row, now_us, policy)
    check.word("status", _WORK_ORDER_STATUSES)
    check.happened("created_at", "updated_at")
    check.planned("due_at")
    return check.cleaned()


def _assignment(row: Assignment, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    check = _Check(row, now_us, policy)
    check.planned("shift_start", "shift_end")
    check.order("before_shift_start", "shift_start", "shift_end", blank=("shift_end", "shift_start"))
    return check.cleaned()


def _site(row: Site, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    check = _Check(row, now_us, policy)
    check.position()
    check.number("geofence_radius_m", above=0.0, most=policy.site_reach_m_max)
    check.zone()
    geofence = known(row.geofence)
    if geofence is not None:
        try:
            polygon(geofence, points_max=policy.geofence_points_max, reach_m_max=policy.site_reach_m_max)
        except AreaError as error:
            # Stays in the row: whoever builds the area meets the same error, and takes no circle in its place.
            check.reasons.append(Reason("no_area", "geofence", str(error)))
    return check.cleaned()


def _tenant(row: Tenant, now_us: int, policy: DataQualityPolicy) -> Cleaned | None:
    check = _Check(row, now_us, policy)
    check.zone()
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
"""By canonical table: takes a row, its commit time in microseconds and the policy; None: the row is good.

Those of fixes and checks also take `Event.at_s`, where somebody has worked it out.
"""


def _shown(value: Any) -> float | str | None:
    if isinstance(value, str):
        return value[:_TEXT_CHARACTERS_MAX]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not isfinite(value):
        return str(value)  # JSON has no word for it
    return None if value is None else float(value)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # an OSError: the name of a directory, or one too long for a file
        return False
    return True
