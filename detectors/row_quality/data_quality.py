"""DATA_QUALITY: a row with a value that cannot be, which is judged without it."""

from collections.abc import Sequence
from typing import Any

from contracts.findings import Category, FindingType, Severity
from contracts.rows import AnyRow
from detectors.attendance.helpers.checks import unix_s
from detectors.finding_draft import Evidence, FindingDraft
from detectors.interface import NOTHING, Detector, Event, FindingDrafts
from detectors.row_quality.helpers.plausible import CHECKS
from detectors.row_quality.helpers.row_check import DataQualityPolicy, Reason

__all__ = ["DataQuality", "DataQualityPolicy", "Reason", "clean", "data_quality"]

_REASONS_SHOWN_MAX = 8


class DataQuality(Detector):
    """Looks at every row before the detectors, which see it without the values that cannot be.

    The rule. What cannot be *read* is a dead letter: text where a number belongs, a row without id or tenant. What
    can be read but cannot *be* is blanked and told here, once a row however many values it has, and the row is
    judged by what is left of it:

    - a position that is not on the earth, is (0, 0), or lacks a half; a fix of the table `location` without any;
    - a fix without `recorded_at`; attendance without `person_id`, `event_type` or `occurred_at`;
    - a negative or infinite accuracy, speed, count or level; a battery outside 0 to 100 percent. A speed of -1
      is how phones say that they do not know it: it is blanked and not reported;
    - something that happened more than `future_s_max` after its own commit, and any time before the year 2000;
    - a task completed before it was started, or due before its planned start: the start is blanked;
    - a shift that ends before it starts: it is no shift;
    - a status, type or priority that is not one of the contract's words;
    - a site with a radius of 0 or beyond `site_reach_m_max`, or a polygon that is none: nobody is held against it;
      a site or tenant with an unknown time zone, which then is its tenant's, or UTC.

    More checkpoints scanned than expected are allowed: people scan twice. An update tells only what is new in it.
    A row of a snapshot is cleaned and not reported.

    >>> from contracts.rows import Device
    >>> row, reasons = clean("device", Device(id=1, tenant_id=1, battery_percent=130), 0, DataQualityPolicy())
    >>> row.battery_percent, data_quality(reasons).evidence
    (None, {'reason': 'too_large', 'column': 'battery_percent', 'observed': 130.0, 'threshold': 100.0, 'n': 1})
    """

    name = "data_quality"
    tables = ()
    policy = DataQualityPolicy()

    def judge(self, state: None, event: Event[AnyRow], policy: DataQualityPolicy) -> tuple[None, FindingDrafts]:
        """Never called, for it names no table: the worker calls `clean` before all detectors."""
        return state, NOTHING


def clean(
    table: str,
    row: AnyRow,
    now_us: int,
    policy: DataQualityPolicy,
    before: AnyRow | None = None,
    at_s: float | None = None,
) -> tuple[AnyRow, Sequence[Reason]]:
    """The row without the values that cannot be, and the reasons that are new with it.

    Args:
        table: its canonical name.
        row: to be judged. It is returned as it is where all is well.
        now_us: its commit time, microseconds since 1970.
        policy: that holds at its site.
        before: the row as it was, of an update.
        at_s: `Event.at_s`, of a fix or a check, where it is known already.
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


def happened_s(table: str, row: Any) -> float | None:
    """`Event.at_s` of a row: of a fix or a check; None for other rows, and where no calendar has the time."""
    if table == "location":
        return unix_s(row.recorded_at)
    return unix_s(row.occurred_at) if table == "attendance" else None


def data_quality(reasons: Sequence[Reason]) -> FindingDraft:
    """The finding of one row, for at least one reason.

    Evidence: `reason`, `column`, `observed` and, where there is one, `threshold`; of a second reason the same with
    `_2`, and so on; `n` is how many there are. Text of the row stands in the evidence only.
    """
    evidence: Evidence = {}
    for number, reason in enumerate(reasons[:_REASONS_SHOWN_MAX], 1):
        suffix = "" if number == 1 else f"_{number}"
        evidence["reason" + suffix] = reason.code
        evidence["column" + suffix] = reason.column
        evidence["observed" + suffix] = reason.observed
        if reason.threshold is not None:
            evidence["threshold" + suffix] = reason.threshold
    evidence["n"] = len(reasons)
    said = [f"{reason.column} is {reason.code.replace('_', ' ')}" for reason in reasons[:_REASONS_SHOWN_MAX]]
    return FindingDraft(
        finding_type=FindingType.DATA_QUALITY,
        category=Category.DATA_QUALITY,
        severity=Severity.INFO,
        title=f"A row that cannot be right: {said[0]}",
        description=f"{'; '.join(said).capitalize()}. The row was judged without it.",
        evidence=evidence,
    )


DETECTOR = DataQuality()
