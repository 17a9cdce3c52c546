"""DATA_QUALITY: a row with a value that cannot be right, which is judged without it."""

from collections.abc import Sequence
from typing import Any

from contracts.rows import AnyRow
from detectors.interface import NOTHING, Detector, Event, FindingDrafts
from detectors.row_quality.helpers.checks_by_table import CHECKS
from detectors.row_quality.helpers.reason import Reason, quality_draft
from detectors.row_quality.helpers.row_check import DataQualityPolicy
from detectors.shared.times import unix_s

__all__ = ["DataQuality", "DataQualityPolicy", "Reason", "clean", "event_time_s", "quality_draft"]


class DataQuality(Detector):
    """Checks every row before the other detectors, which see it without the values that cannot be right.

    A row that cannot be *read* is a dead letter: text where a number belongs, a row without id or tenant. A value that
    can be read but cannot be *right* is set to None and reported here, once a row however many such values it has, and
    the row is judged by its other values:

    - a position that is not on the earth, is (0, 0), or lacks one coordinate; a fix of the table `location` without one;
    - a fix without `recorded_at`; attendance without `person_id`, `event_type` or `occurred_at`;
    - a negative or infinite accuracy, speed, count or level; a battery outside 0 to 100 percent. A speed of -1
      is how phones say that they do not know it: it is set to None and not reported;
    - something that happened more than `future_s_max` after its own commit, and any time before the year 2000;
    - a task completed before it was started, or due before its planned start: the start is set to None;
    - a shift that ends before it starts: it is ignored;
    - a status, type or priority that is not one of the contract's words;
    - a site with a radius of 0 or beyond `site_reach_m_max`, or with an invalid polygon: it has no area then;
      a site or tenant with an unknown time zone: its tenant's holds then, or UTC.

    More checkpoints scanned than expected are allowed: people scan twice. For an update only what is new in it is
    reported. A row of a snapshot is cleaned and not reported.

    >>> from contracts.rows import Device
    >>> row, reasons = clean("device", Device(id=1, tenant_id=1, battery_percent=130), 0, DataQualityPolicy())
    >>> row.battery_percent, quality_draft(reasons).evidence
    (None, {'reason': 'too_large', 'column': 'battery_percent', 'observed': 130.0, 'threshold': 100.0, 'n': 1})
    """

    name = "data_quality"
    tables = ()
    policy = DataQualityPolicy()

    def judge(self, state: None, event: Event[AnyRow], policy: DataQualityPolicy) -> tuple[None, FindingDrafts]:
        """Never called, because it reads no table: the worker calls `clean` before all detectors."""
        return state, NOTHING


def clean(
    table: str,
    row: AnyRow,
    now_us: int,
    policy: DataQualityPolicy,
    before: AnyRow | None = None,
    at_s: float | None = None,
) -> tuple[AnyRow, Sequence[Reason]]:
    """The row without the values that cannot be right, and the reasons that are new in it.

    Args:
        table: its canonical name.
        row: to be checked; the same object is returned where nothing is wrong.
        now_us: its commit time, microseconds since 1970.
        policy: in effect at its site.
        before: the row as it was, of an update.
        at_s: `Event.at_s`, of a fix or a check, where it is known.
    """
    check = CHECKS.get(table)
    if check is None:
        return row, ()
    cleaned = check(row, now_us, policy) if at_s is None else check(row, now_us, policy, at_s)
    if cleaned is None:
        return row, ()
    row, reasons = cleaned
    if before is not None and reasons:
        reported = check(before, now_us, policy)
        if reported is not None:
            return row, [reason for reason in reasons if reason not in reported[1]]
    return row, reasons


def event_time_s(table: str, row: Any) -> float | None:
    """The `Event.at_s` of a fix or a check; None for other rows, and where no calendar has the time."""
    if table == "location":
        return unix_s(row.recorded_at)
    return unix_s(row.occurred_at) if table == "attendance" else None


DETECTOR = DataQuality()
