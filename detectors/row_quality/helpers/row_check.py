"""Checks the columns of a row one by one and collects what cannot be right.

`detectors.row_quality.helpers.checks_by_table` says which column is checked for what.
"""

from datetime import UTC, datetime
from math import inf, isfinite
from typing import Annotated, Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from detectors.policy import Policy, Seconds
from detectors.row_quality.helpers.reason import Reason
from detectors.shared.geo import LATITUDE_MAX, LONGITUDE_MAX
from detectors.shared.geofence import POINTS_MAX, REACH_M_MAX

YEAR_2000: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Nothing in these tables happened before."""
_TEXT_CHARACTERS_MAX = 40


class DataQualityPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of DATA_QUALITY."""

    future_s_max: Seconds = 600.0
    """How far in the future, by its row's commit, something that has happened may be: clocks of phones are wrong."""
    geofence_points_max: Annotated[int, msgspec.Meta(ge=4, le=POINTS_MAX)] = POINTS_MAX
    """Of a site's polygon."""
    site_reach_m_max: Annotated[float, msgspec.Meta(gt=0, le=REACH_M_MAX)] = 50_000.0
    """Largest radius of a site, and largest extent of its polygon from its middle."""


Cleaned: TypeAlias = tuple[Any, list[Reason]]
"""The row with each impossible value set to None, and the reasons. A value that stands for "unknown" needs none."""


class RowCheck:
    """Checks the columns of one row; each method adds what it finds."""

    def __init__(self, row: Any, now_us: int, policy: DataQualityPolicy) -> None:
        self.reasons: list[Reason] = []
        self._row = row
        self._now_s = now_us / 1e6
        self._policy = policy
        self._blank: dict[str, None] = {}

    def reject(self, code: str, *columns: str, observed: Any = None, threshold: float | None = None) -> None:
        """Set the columns to None; the reason names the first of them."""
        self.reasons.append(Reason(code, columns[0], _shown(observed), threshold))
        self._blank.update(dict.fromkeys(columns))

    def unknown(self, column: str) -> None:
        """Set a value to None that stands for "unknown"."""
        self._blank[column] = None

    def required(self, *columns: str) -> None:
        """Columns that must have a value."""
        for column in columns:
            if getattr(self._row, column) is None:
                self.reject("missing", column)

    def position(self) -> None:
        """Both latitude and longitude, on the earth, or neither."""
        latitude, longitude = self._row.latitude, self._row.longitude
        if latitude is None and longitude is None:
            return
        if latitude is None or longitude is None:
            present, absent = ("longitude", "latitude") if latitude is None else ("latitude", "longitude")
            self.reject("missing", absent, present)
        elif not abs(latitude) <= LATITUDE_MAX:
            self.reject("not_on_earth", "latitude", "longitude", observed=latitude, threshold=LATITUDE_MAX)
        elif not abs(longitude) <= LONGITUDE_MAX:
            self.reject("not_on_earth", "longitude", "latitude", observed=longitude, threshold=LONGITUDE_MAX)
        elif latitude == longitude == 0:
            self.reject("at_zero_zero", "latitude", "longitude", observed=0.0)

    def number(self, column: str, *, above: float | None = None, most: float = inf) -> None:
        """A finite number of at least 0, or above `above`, and at most `most`; or none."""
        value = getattr(self._row, column)
        if value is None:
            return
        if not isfinite(value):
            self.reject("not_a_number", column, observed=value)
        elif value < 0:
            self.reject("negative", column, observed=value, threshold=0)
        elif above is not None and value <= above:
            self.reject("too_small", column, observed=value, threshold=above)
        elif value > most:
            self.reject("too_large", column, observed=value, threshold=most)

    def past(self, *columns: str) -> None:
        """Times that cannot be in the future."""
        for column in columns:
            at = getattr(self._row, column)
            if at is not None and at.timestamp() > self._now_s + self._policy.future_s_max:
                self.reject("in_the_future", column, observed=at, threshold=self._policy.future_s_max)
        self.past_or_future(*columns)

    def past_or_future(self, *columns: str) -> None:
        """Times that may be in the future."""
        for column in columns:
            at = getattr(self._row, column)
            if at is not None and at < YEAR_2000:
                self.reject("before_the_year_2000", column, observed=at)

    def in_order(self, code: str, first: str, second: str, *, blank: tuple[str, ...]) -> None:
        """Two times of which the second cannot be before the first; the observed value is their difference in seconds."""
        if first in self._blank or second in self._blank:
            return
        start, end = getattr(self._row, first), getattr(self._row, second)
        if start is not None and end is not None and end < start:
            self.reject(code, *blank, observed=(end - start).total_seconds(), threshold=0)

    def one_of(self, column: str, words: frozenset[str | None]) -> None:
        """One of the words of the contract, or None."""
        value = getattr(self._row, column)
        if value is not None and value not in words:
            self.reject("not_one_of_the_known_words", column, observed=value)

    def time_zone(self) -> None:
        """A time zone that exists, or None."""
        name = self._row.timezone
        if name is not None and not _is_zone(name):
            self.reject("no_time_zone", "timezone", observed=name)

    def cleaned(self) -> Cleaned | None:
        """The result; None: the row is good."""
        if not self._blank and not self.reasons:
            return None
        row = msgspec.structs.replace(self._row, **self._blank) if self._blank else self._row
        return row, self.reasons


def _shown(value: Any) -> float | str | None:
    if isinstance(value, str):
        return value[:_TEXT_CHARACTERS_MAX]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not isfinite(value):
        return str(value)  # JSON cannot express it
    return None if value is None else float(value)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # an OSError: the name of a directory, or one too long for a file
        return False
    return True
