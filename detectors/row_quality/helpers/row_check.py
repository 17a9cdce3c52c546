"""Goes over the columns of a row and collects what cannot be. `detectors.row_quality.helpers.plausible` says which column is what."""

from datetime import UTC, datetime
from math import inf, isfinite
from typing import Annotated, Any, Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from detectors.policy import NonNegative, Policy
from detectors.shared.geo import LATITUDE_MAX, LONGITUDE_MAX

YEAR_2000: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Nothing that these tables tell of happened before."""
_TEXT_CHARACTERS_MAX = 40


class DataQualityPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of DATA_QUALITY."""

    future_s_max: NonNegative = 600.0
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


class RowCheck:
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
        """Columns that must have a value."""
        for column in columns:
            if getattr(self._row, column) is None:
                self.wrong("missing", column)

    def position(self) -> None:
        """Both of latitude and longitude, somewhere on Earth, or neither."""
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
            if at is not None and at < YEAR_2000:
                self.wrong("before_the_year_2000", column, observed=at)

    def order(self, code: str, first: str, second: str, *, blank: tuple[str, ...]) -> None:
        """Two times of which the second cannot lie before the first; the observed value is their distance in s."""
        if first in self._blank or second in self._blank:
            return
        start, end = getattr(self._row, first), getattr(self._row, second)
        if start is not None and end is not None and end < start:
            self.wrong(code, *blank, observed=(end - start).total_seconds(), threshold=0)

    def word(self, column: str, words: frozenset[str | None]) -> None:
        """One of the known words, or none."""
        value = getattr(self._row, column)
        if value is not None and value not in words:
            self.wrong("not_one_of_the_known_words", column, observed=value)

    def zone(self) -> None:
        """A time zone that there is, or none."""
        name = self._row.timezone
        if name is not None and not _is_zone(name):
            self.wrong("no_time_zone", "timezone", observed=name)

    def cleaned(self) -> Cleaned | None:
        """What was found; None: the row is good."""
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
        return str(value)  # JSON has no word for it
    return None if value is None else float(value)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # an OSError: the name of a directory, or one too long for a file
        return False
    return True
