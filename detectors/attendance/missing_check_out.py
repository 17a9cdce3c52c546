"""MISSING_CHECK_OUT: somebody checked in and has not checked out long after the shift ended."""

from collections.abc import Sequence

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance
from detectors.attendance.helpers.checks import is_unchanged, shift_at
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Entity, Event, FindingDrafts, PlannedDetector
from detectors.policy import Policy, PositiveHours, Seconds, Share
from detectors.shared.facts import CHECK_OUT, CHECKS, Shift
from detectors.shared.times import iso_utc, unix_s

_OPEN_MAX = 3
_HOUR_MS = 3_600_000


class MissingCheckOutPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of MISSING_CHECK_OUT."""

    grace_s_max: Seconds = 7_200.0
    """How long after the end of the shift the check-out may come: time to finish, and for the phone to find a network."""
    presence_hours_max: PositiveHours = 14.0
    """After a check-in without a known shift: the longest day that EU directive 2003/88/EC allows, and an hour."""
    check_in_early_s_max: Seconds = 3_600.0
    """A check-in up to this long before a shift belongs to it."""
    next_shift_s_max: Seconds = 3_600.0
    """A shift at the same site that begins within this time after the last one continues it: a double shift."""
    upload_s_max: Seconds = 10.0
    """After a check-in that is uploaded late, by a phone that had no network, the check-out may follow for so long."""
    age_hours_max: PositiveHours = 24.0
    """A check-out that was missing for this long already when its check-in arrives is not reported: it is an old row."""
    fraud_score: Share = 0.2
    """Mostly the check-out was forgotten; sometimes the person left early."""


class OpenCheckIn(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A check-in whose check-out is awaited; times are Unix milliseconds."""

    row_id: int
    site_id: int | None
    in_ms: int
    end_ms: int | None
    """End of the shift; None where none is known."""
    seen_ms: int = 0
    """When the row was committed; 0 for a row of a snapshot."""


class OpenCheckIns(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a person is checked in, and when the last check-out was."""

    open: tuple[OpenCheckIn, ...] = ()
    out_ms: int = -1
    reported_id: int | None = None
    """The row of the last finding, which may arrive again."""


class MissingCheckOut(PlannedDetector):
    """Due at end of the shift + grace, without a known shift at check-in + presence_hours_max.

    The end is that of the shift which the check-in belongs to, or of the last of those that follow it at the same site
    without a pause, as they are now: a shift that is extended while it runs, or deleted, moves it. A check-out anywhere
    ends the check-ins before it: the person has left. Somebody who goes on to another site without a check-out still
    has to check out of the first one. Of two check-ins at one site the later one counts. A check-in that is older than
    the last check-out is ignored: its row came late. Times are the rows' own.

    >>> from datetime import datetime, timezone
    >>> detector, policy, at = MissingCheckOut(), MissingCheckOutPolicy(), datetime(2026, 3, 1, 8, tzinfo=timezone.utc)
    >>> row = Attendance(id=1, tenant_id=1, person_id=17, site_id=4, event_type="CHECK_IN", occurred_at=at)
    >>> state, _ = detector.judge(None, Event(row, 0, shifts=[Shift(6, 4, at.timestamp(), at.timestamp() + 28800)]), policy)
    >>> due_ms = detector.due_ms(state, policy)
    >>> (due_ms / 1000 - at.timestamp()) / 3600
    10.0
    >>> state, (draft,) = detector.expire(state, due_ms, policy)
    >>> draft.evidence["expected_by"], draft.evidence["observed_hours"], detector.due_ms(state, policy)
    ('2026-03-01T16:00:00Z', 10.0, None)
    """

    name = "missing_check_out"
    tables = ("attendance",)
    entity = Entity.PERSON
    state_type = OpenCheckIns
    policy = MissingCheckOutPolicy()

    def judge(
        self, state: OpenCheckIns | None, event: Event[Attendance], policy: MissingCheckOutPolicy
    ) -> tuple[OpenCheckIns | None, FindingDrafts]:
        """No finding, but who is where: the missing check-out is an absence."""
        row = event.row
        at_s = event.at_s or unix_s(row.occurred_at)
        if at_s is None or row.event_type not in CHECKS or (event.before and is_unchanged(event)):
            return state, NOTHING
        before = OpenCheckIns() if state is None else state
        held, at_ms, now_ms = before.open, round(at_s * 1000), event.now_us // 1000
        if held and row.event_type == CHECK_OUT and held[-1].in_ms <= at_ms:
            held = ()  # nearly always: it ends them all, for they are in order of time
        elif held:
            stale_ms = now_ms - round(policy.age_hours_max * _HOUR_MS)
            held = tuple(each for each in held if each.row_id != row.id and _due_ms(each, policy) > stale_ms)
        out_ms, reported_id = before.out_ms, before.reported_id
        if row.event_type == CHECK_OUT:
            held = tuple(each for each in held if each.in_ms > at_ms) if held else ()
            out_ms = max(out_ms, at_ms)
        elif at_ms > out_ms and row.id != reported_id:
            end_ms = _end_ms(event.shifts, row.site_id, at_s, policy)
            opened = OpenCheckIn(row.id, row.site_id, at_ms, end_ms, 0 if event.op == "r" else now_ms)
            held = _opened(held, opened)
        if state is not None and held == state.open and out_ms == state.out_ms:
            return state, NOTHING
        return OpenCheckIns(held, out_ms, reported_id), NOTHING

    def replan(self, state: OpenCheckIns, shifts: Sequence[Shift], policy: MissingCheckOutPolicy) -> OpenCheckIns:
        """A shift that is extended while it runs moves the end of the check-in that belongs to it."""
        held = tuple(
            each
            if (end_ms := _end_ms(shifts, each.site_id, each.in_ms / 1000, policy)) == each.end_ms
            else msgspec.structs.replace(each, end_ms=end_ms)
            for each in state.open
        )
        return state if held == state.open else OpenCheckIns(held, state.out_ms, state.reported_id)

    def due_ms(self, state: OpenCheckIns, policy: MissingCheckOutPolicy) -> int | None:
        """When the first of the check-outs is missing."""
        return min([_due_ms(each, policy) for each in state.open]) if state.open else None

    def expire(
        self, state: OpenCheckIns, at_ms: int, policy: MissingCheckOutPolicy
    ) -> tuple[OpenCheckIns | None, FindingDrafts]:
        """One finding for each check-out that is missing by now."""
        due = [each for each in state.open if _due_ms(each, policy) <= at_ms]
        left = tuple(each for each in state.open if _due_ms(each, policy) > at_ms)
        reported_id = due[-1].row_id if due else state.reported_id
        return OpenCheckIns(left, state.out_ms, reported_id), tuple(_draft(each, at_ms, policy) for each in due)


def _due_ms(presence: OpenCheckIn, policy: MissingCheckOutPolicy) -> int:
    if presence.end_ms is None:
        due_ms = presence.in_ms + round(policy.presence_hours_max * _HOUR_MS)
    else:
        due_ms = presence.end_ms + round(policy.grace_s_max * 1000)
    return max(due_ms, presence.seen_ms + round(policy.upload_s_max * 1000)) if presence.seen_ms else due_ms


def _end_ms(shifts: Sequence[Shift], site_id: int | None, at_s: float, policy: MissingCheckOutPolicy) -> int | None:
    """When the shift of a check-in ends, or the last of those at the site that follow it without a pause."""
    shift = shift_at(shifts, site_id, at_s, policy.check_in_early_s_max)
    if shift is None:
        return None
    end_s = shift.end_s
    here = [(each.start_s, each.end_s) for each in shifts if each.site_id == site_id and each.start_s >= shift.start_s]
    for next_start_s, next_end_s in sorted(here):
        if next_start_s > end_s + policy.next_shift_s_max:
            break
        end_s = max(end_s, next_end_s)
    return round(end_s * 1000)


def _opened(held: tuple[OpenCheckIn, ...], opened: OpenCheckIn) -> tuple[OpenCheckIn, ...]:
    """With one more, in order of time; of two at one site the later one counts."""
    if not held:
        return (opened,)
    here = [each for each in held if each.site_id == opened.site_id]
    if any(each.in_ms > opened.in_ms for each in here):
        return held
    left = [each for each in held if each.site_id != opened.site_id]
    return tuple(sorted((*left, opened), key=lambda each: each.in_ms)[-_OPEN_MAX:])


def _draft(presence: OpenCheckIn, at_ms: int, policy: MissingCheckOutPolicy) -> FindingDraft:
    hours = (at_ms - presence.in_ms) / _HOUR_MS
    until = "" if presence.end_ms is None else f", and the shift ended at {iso_utc(presence.end_ms / 1000)}"
    return FindingDraft(
        finding_type=FindingType.MISSING_CHECK_OUT,
        category=Category.ATTENDANCE,
        severity=Severity.MEDIUM,
        title="{person_name} has not checked out",
        description=f"{{person_name}} checked in at site {presence.site_id} {hours:.1f} hours ago{until}.",
        evidence={
            "attendance_id": presence.row_id,
            "expected_site_id": presence.site_id,
            "checked_in_at": iso_utc(presence.in_ms / 1000),
            "expected_by": None if presence.end_ms is None else iso_utc(presence.end_ms / 1000),
            "observed_hours": round(hours, 3),
            "threshold_hours": round((_due_ms(presence, policy) - presence.in_ms) / _HOUR_MS, 3),
        },
        fraud_score=policy.fraud_score,
    )


DETECTOR = MissingCheckOut()
