"""LATE_CHECK_IN: the first check-in of a shift comes after the shift's start and some grace."""

from operator import itemgetter

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance
from detectors.attendance.helpers.checks import is_unchanged, shift_at
from detectors.attendance.helpers.fraud_score import saturating_score
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.policy import Policy, Seconds, Share
from detectors.shared.facts import CHECK_IN, CHECKS
from detectors.shared.times import iso_utc, unix_s

_CHECKS_MAX = 4
_HOUR_S = 3_600.0
_time = itemgetter(1)


class LateCheckInPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of LATE_CHECK_IN."""

    grace_s_max: Seconds = 900.0
    """How long after the start of a shift its check-in may come: a quarter of an hour, the usual unit of time sheets."""
    check_in_early_s_max: Seconds = 3_600.0
    """A check up to this long before a shift belongs to it."""
    fraud_score_max: Share = 0.1
    """Being late is rarely fraud."""


class RecentChecks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Site and time (Unix seconds) of a person's latest checks, in order of time."""

    checks: tuple[tuple[int, float], ...] = ()


class LateCheckIn(Detector):
    """Late is a check-in at t with t - start > grace, where start is the start of the shift that it belongs to.

    Only the first one counts: no check of the person at that site is known in [start - early, t]. A check-in after a
    break is not late, and neither is one that is uploaded after its check-out. The time is the row's own, so a phone
    without a network makes nobody late. A check-in without a shift at its site, or after its end, is not judged here.

    >>> from datetime import datetime, timezone
    >>> from detectors.shared.facts import Shift
    >>> at = datetime(2026, 3, 1, 8, 25, tzinfo=timezone.utc)
    >>> row = Attendance(id=1, tenant_id=1, person_id=17, site_id=4, event_type="CHECK_IN", occurred_at=at)
    >>> event = Event(row, 0, shifts=[Shift(6, 4, at.timestamp() - 1500, at.timestamp() + 7200)])
    >>> state, (draft,) = LateCheckIn().judge(None, event, LateCheckInPolicy())
    >>> draft.evidence["observed_s"], draft.evidence["threshold_s"], draft.evidence["expected_at"]
    (1500.0, 900.0, '2026-03-01T08:00:00Z')
    >>> LateCheckIn().judge(state, event, LateCheckInPolicy())[1]
    ()
    """

    name = "late_check_in"
    tables = ("attendance",)
    entity = Entity.PERSON
    state_type = RecentChecks
    policy = LateCheckInPolicy()

    def judge(
        self, state: RecentChecks | None, event: Event[Attendance], policy: LateCheckInPolicy
    ) -> tuple[RecentChecks | None, FindingDrafts]:
        """The finding where a check-in is the first of its shift and too late."""
        row = event.row
        site_id, at_s = row.site_id, event.at_s or unix_s(row.occurred_at)
        if at_s is None or site_id is None or row.event_type not in CHECKS or (event.before and is_unchanged(event)):
            return state, NOTHING
        checks = () if state is None else state.checks
        check = (site_id, at_s)
        newest = not checks or at_s > checks[-1][1]  # nearly always: it is new, and there is nothing to sort
        if not newest and check in checks:
            return state, NOTHING
        found: FindingDrafts = NOTHING
        if row.event_type == CHECK_IN:
            shift = shift_at(event.shifts, site_id, at_s, policy.check_in_early_s_max)
            if shift is not None and at_s - shift.start_s > policy.grace_s_max:
                since_s = shift.start_s - policy.check_in_early_s_max
                if not _was_there(checks, site_id, since_s, at_s):
                    found = (_draft(row, at_s - shift.start_s, shift.assignment_id, shift.start_s, policy),)
        if event.before is not None:
            replaced = (event.before.site_id, unix_s(event.before.occurred_at))
            checks = tuple(known for known in checks if known != replaced)
        checks = (*checks, check)
        if not newest:
            checks = tuple(sorted(checks, key=_time))
        return RecentChecks(checks[-_CHECKS_MAX:]), found


def _was_there(checks: tuple[tuple[int, float], ...], site_id: int, since_s: float, until_s: float) -> bool:
    for site, at_s in checks:  # noqa: SIM110 - `any` would create a generator for every check-in
        if site == site_id and since_s <= at_s <= until_s:
            return True
    return False


def _draft(
    row: Attendance, late_s: float, assignment_id: int, start_s: float, policy: LateCheckInPolicy
) -> FindingDraft:
    return FindingDraft(
        finding_type=FindingType.LATE_CHECK_IN,
        category=Category.ATTENDANCE,
        severity=Severity.LOW,
        title="{person_name} checked in late",
        description=f"{{person_name}} (person {row.person_id}) checked in at {{site_name}} {late_s / 60:.0f} minutes after "
        f"the start of the shift; {policy.grace_s_max / 60:g} are allowed.",
        evidence={
            "assignment_id": assignment_id,
            "expected_at": iso_utc(start_s),
            "observed_s": round(late_s, 3),
            "threshold_s": policy.grace_s_max,
        },
        fraud_score=saturating_score(policy.fraud_score_max, late_s - policy.grace_s_max, _HOUR_S),
    )


DETECTOR = LateCheckIn()
