"""OVERTIME_VIOLATION: somebody worked longer in a day or a week than is allowed."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from operator import attrgetter

import msgspec

from contracts.findings import Category, Evidence, FindingType, Severity
from contracts.rows import Attendance
from detectors.attendance.helpers.checks import is_unchanged
from detectors.attendance.helpers.fraud_score import saturating_score
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.policy import Policy, PositiveHours, Seconds, Share
from detectors.shared.facts import CHECK_IN, CHECKS
from detectors.shared.times import unix_s, zone

_DAYS_MAX = 9
"""A week, the day before it and the day after it: rows arrive late."""
_UNPAIRED_MAX = 4
_WEEK_DAYS = 7
_HOUR_S = 3_600
_time = attrgetter("at_s")


class OvertimePolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of OVERTIME_VIOLATION."""

    day_hours_max: PositiveHours = 13.0
    """Work in a day: what the 11 hours of rest in EU directive 2003/88/EC, article 3, leave of 24 hours."""
    week_hours_max: PositiveHours = 60.0
    """Work from Monday to Sunday: the most in any single week under EU directive 2002/15/EC, article 4; the 48 hours of
    2003/88/EC are an average over months."""
    presence_hours_max: PositiveHours = 20.0
    """A check-out that comes later after a check-in does not belong to it: nothing is counted."""
    rounding_s: Seconds = 1_800.0
    """Up to this much time before a shift's start and after its end is not counted, as on most time sheets."""
    pause_s_max: Seconds = 10_800.0
    """Work that continues after a pause of up to this belongs to the day on which it began: a break in a night shift."""
    fraud_score_max: Share = 0.3
    """The hours may be inflated."""


class UnpairedCheck(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A check-in without its check-out so far, or a check-out without its check-in."""

    row_id: int
    at_s: float
    is_check_in: bool


class WorkDay(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Work that began on one day."""

    ordinal: int
    """As `date.toordinal`, in the site's time zone."""
    worked_s: int
    reported: bool = False


class WorkHistory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person's recent working hours."""

    unpaired: tuple[UnpairedCheck, ...] = ()
    days: tuple[WorkDay, ...] = ()
    reported_week: int = 0
    row_ids: tuple[int, int] = (0, 0)
    """Check-in and check-out of the last stretch that was counted, whose rows may arrive again."""
    began_s: float = 0.0
    ended_s: float = 0.0
    """Of the last stretch that was counted; `day` is its day."""
    day: int = 0


class Overtime(Detector):
    """Sum of the stretches from a check-in to the next check-out that began on one day, or in one week from Monday.

    Reported with the row that completes the stretch which takes the sum over day_hours_max or week_hours_max; once a day
    and once a week. Days and weeks are those of the site's time zone. A stretch belongs to the day on which it began,
    so a night shift is one day's work; so does a stretch that follows within pause_s_max. Hours are elapsed time: in the
    night in which the clocks go back the day may be an hour longer. Time before the start of a known shift and after its
    end, up to rounding_s, is not counted.

    A check-in that is followed by another one counts for nothing: its check-out was forgotten. A row that arrives late
    finds its counterpart among the last unpaired ones. A correction of a stretch that was counted changes nothing.

    >>> from datetime import datetime, timezone
    >>> def check(number, kind, day, hour):
    ...     at = datetime(2026, 3, day, hour, tzinfo=timezone.utc)
    ...     return Event(Attendance(id=number, tenant_id=1, person_id=17, site_id=4, event_type=kind, occurred_at=at), 0)
    >>> detector, policy = Overtime(), OvertimePolicy()
    >>> state, _ = detector.judge(None, check(1, "CHECK_IN", 2, 6), policy)
    >>> _, (draft,) = detector.judge(state, check(2, "CHECK_OUT", 2, 21), policy)
    >>> draft.evidence["period"], draft.evidence["observed_hours"], draft.evidence["threshold_hours"]
    ('day', 15.0, 13.0)
    """

    name = "overtime"
    tables = ("attendance",)
    entity = Entity.PERSON
    state_type = WorkHistory
    policy = OvertimePolicy()

    def judge(
        self, state: WorkHistory | None, event: Event[Attendance], policy: OvertimePolicy
    ) -> tuple[WorkHistory | None, FindingDrafts]:
        """The findings where the hours of a day or a week go over their limit."""
        row = event.row
        at_s = event.at_s or unix_s(row.occurred_at)
        if at_s is None or row.event_type not in CHECKS or (event.before and is_unchanged(event)):
            return state, NOTHING
        work = WorkHistory() if state is None else state
        check = UnpairedCheck(row.id, at_s, row.event_type == CHECK_IN)
        if row.id in work.row_ids or check in work.unpaired:
            return state, NOTHING
        if not work.unpaired and check.is_check_in:
            return _with_unpaired(work, (check,)), NOTHING
        oldest_s = at_s - policy.presence_hours_max * _HOUR_S
        if len(work.unpaired) == 1 and not check.is_check_in:  # nearly always: the check-out of the one open check-in
            (only,) = work.unpaired
            here = only.is_check_in and oldest_s <= only.at_s < at_s and only.row_id != row.id
            if here and not _overlaps_counted(work, only.at_s, at_s):
                return _with_stretch(work, (), only, check, event, policy)
        unpaired = tuple(each for each in work.unpaired if each.row_id != row.id and each.at_s >= oldest_s)
        other = _counterpart(check, unpaired, oldest_s, policy)
        if other is None or _overlaps_counted(work, min(check.at_s, other.at_s), max(check.at_s, other.at_s)):
            unpaired = tuple(sorted((*unpaired, check), key=_time))[-_UNPAIRED_MAX:]
            return _with_unpaired(work, unpaired), NOTHING
        unpaired = tuple(each for each in unpaired if each is not other)
        began, ended = (check, other) if check.is_check_in else (other, check)
        return _with_stretch(work, unpaired, began, ended, event, policy)


def _with_unpaired(work: WorkHistory, unpaired: tuple[UnpairedCheck, ...]) -> WorkHistory:
    return WorkHistory(unpaired, work.days, work.reported_week, work.row_ids, work.began_s, work.ended_s, work.day)


def _counterpart(
    check: UnpairedCheck, unpaired: Sequence[UnpairedCheck], oldest_s: float, policy: OvertimePolicy
) -> UnpairedCheck | None:
    """The check-in before a check-out, or the check-out after a check-in, with no other check between."""
    if check.is_check_in:
        latest_s = check.at_s + policy.presence_hours_max * _HOUR_S
        after = next((each for each in unpaired if each.at_s > check.at_s), None)
        return after if after is not None and not after.is_check_in and after.at_s <= latest_s else None
    before = next((each for each in reversed(unpaired) if each.at_s < check.at_s), None)
    return before if before is not None and before.is_check_in and before.at_s >= oldest_s else None


def _overlaps_counted(work: WorkHistory, began_s: float, ended_s: float) -> bool:
    """Whether some of this time was counted already: a check-out was made twice."""
    return began_s < work.ended_s and work.began_s < ended_s


def _with_stretch(
    work: WorkHistory,
    unpaired: tuple[UnpairedCheck, ...],
    began: UnpairedCheck,
    ended: UnpairedCheck,
    event: Event[Attendance],
    policy: OvertimePolicy,
) -> tuple[WorkHistory, FindingDrafts]:
    """The history with one more stretch of work; `unpaired` are the checks that are still without a counterpart."""
    local = zone("UTC" if event.site is None else event.site.timezone)
    began_s, ended_s = began.at_s, ended.at_s
    for shift in event.shifts:
        if began.at_s < shift.start_s <= began.at_s + policy.rounding_s:
            began_s = shift.start_s
        if shift.end_s < ended.at_s <= shift.end_s + policy.rounding_s:
            ended_s = shift.end_s
    worked_s = max(0, round(ended_s - began_s))
    after_a_pause = work.ended_s > 0 and 0 <= began_s - work.ended_s <= policy.pause_s_max
    ordinal = work.day if after_a_pause else datetime.fromtimestamp(began_s, local).toordinal()
    days, at = _with_work(work.days, ordinal, worked_s)
    day, week, week_s = days[at], (ordinal - 1) // _WEEK_DAYS, 0
    for each in days:
        if (each.ordinal - 1) // _WEEK_DAYS == week:
            week_s += each.worked_s
    findings: FindingDrafts = NOTHING
    day_max_s, week_max_s = policy.day_hours_max * _HOUR_S, policy.week_hours_max * _HOUR_S
    if day.worked_s > day_max_s and not day.reported:
        day_max_s += max(0.0, _utc_offset_s(began_s, local) - _utc_offset_s(ended_s, local))
        if day.worked_s > day_max_s:
            days = (*days[:at], WorkDay(ordinal, day.worked_s, reported=True), *days[at + 1 :])
            findings = (_draft("day", day.worked_s, day_max_s, worked_s, began, policy),)
    reported_week = work.reported_week
    if week_s > week_max_s and week > reported_week:
        reported_week = week
        findings = (*findings, _draft("week", week_s, week_max_s, worked_s, began, policy))
    row_ids = (began.row_id, ended.row_id)
    return WorkHistory(unpaired, days[-_DAYS_MAX:], reported_week, row_ids, began.at_s, ended.at_s, ordinal), findings


def _with_work(days: tuple[WorkDay, ...], ordinal: int, worked_s: int) -> tuple[tuple[WorkDay, ...], int]:
    """The days with more work on one of them, and its index; days are in order, and it is mostly the last one."""
    at = len(days)
    while at and days[at - 1].ordinal > ordinal:
        at -= 1
    if at and days[at - 1].ordinal == ordinal:
        at -= 1
        held = days[at]
        return (*days[:at], WorkDay(ordinal, held.worked_s + worked_s, held.reported), *days[at + 1 :]), at
    return (*days[:at], WorkDay(ordinal, worked_s), *days[at:]), at


def _utc_offset_s(at_s: float, local: tzinfo) -> float:
    offset = datetime.fromtimestamp(at_s, local).utcoffset()
    return 0.0 if offset is None else offset.total_seconds()


def _draft(
    period: str, observed_s: float, limit_s: float, last_s: int, began: UnpairedCheck, policy: OvertimePolicy
) -> FindingDraft:
    observed_hours, limit_hours = observed_s / _HOUR_S, limit_s / _HOUR_S
    evidence: Evidence = {
        "period": period,
        "observed_hours": round(observed_hours, 3),
        "threshold_hours": limit_hours,
        "last_stretch_hours": round(last_s / _HOUR_S, 3),
        "check_in_attendance_id": began.row_id,
    }
    return FindingDraft(
        finding_type=FindingType.OVERTIME_VIOLATION,
        category=Category.ATTENDANCE,
        severity=Severity.MEDIUM,
        title="{person_name} worked too long in a " + period,
        description=f"{{person_name}} has worked {observed_hours:.1f} hours in this {period}; {limit_hours:g} are allowed.",
        evidence=evidence,
        fraud_score=saturating_score(policy.fraud_score_max, observed_s - limit_s, limit_s / 4),
    )


DETECTOR = Overtime()
