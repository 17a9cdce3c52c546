"""IMPOSSIBLE_SHIFTS: a person is at two sites at once, or came from one to the other faster than anybody can."""

from collections.abc import Sequence

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance
from detectors.attendance.helpers.checks import iso_utc, occurred_s, restated, shift_at
from detectors.attendance.helpers.fraud_score import saturating_score
from detectors.finding_draft import Evidence, FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.policy import NonNegative, Policy, Positive, Share
from detectors.shared.facts import CHECK_IN, CHECKS, Shift, SiteFacts
from detectors.shared.geo import distance_m

_CHECKS_MAX = 4
_HOUR_S = 3_600.0


class ImpossibleShiftsPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of IMPOSSIBLE_SHIFTS."""

    speed_mps_max: Positive = 36.0
    """Fastest way between two sites: 130 km/h, a car on a motorway without a stop. More where people fly."""
    distance_m_min: NonNegative = 300.0
    """Sites whose edges are nearer than this are one place: their gates may be used by turns."""
    site_radius_m: NonNegative = 500.0
    """Extent of a site that states no radius."""
    clock_s_max: NonNegative = 60.0
    """How far the clocks of two devices may be apart."""
    presence_s_max: NonNegative = 14_400.0
    """Somebody who checked in without a known shift is taken to be there so long, then to have forgotten to check out."""
    stay_hours_max: Positive = 20.0
    """A check-out longer after a check-in is not its own: one of the two was forgotten."""
    leave_early_s_max: NonNegative = 3_600.0
    """So long before a shift's end its person may have gone on to the next shift elsewhere, forgetting to check out."""
    check_in_early_s_max: NonNegative = 3_600.0
    """A check-in so long before a shift belongs to it."""
    fraud_score_max: Share = 0.95
    """One of the two checks was not made by this person."""


class Check(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A check-in or check-out: where it says that the person was."""

    row_id: int
    at_s: float
    site_id: int
    arrives: bool
    latitude: float | None = None
    """Of the site, else of the row itself; degrees."""
    longitude: float | None = None
    slack_m: float = 0.0
    """The person may be so far from there: the site's radius, else the fix's accuracy."""
    against_site_id: int | None = None
    """The site with which a finding was told."""


class Checks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person's latest checks by time."""

    latest: tuple[Check, ...] = ()


class ImpossibleShifts(Detector):
    """Travel: (d - slack) / (dt + clock) > speed_mps_max between a check and the one before or after it in time.

    d is the great-circle distance of the two sites (of the rows' positions where a site has none), slack the radii of
    both, dt the time between the checks. Sites with d - slack < distance_m_min count as one place.

    Overlap: a check-in at t at B while the last check at A is a check-in at u < t, and the person is taken to be at A
    still: t is before the end of the shift at A; where the check-in at A belongs to no shift, t < u + presence_s_max.
    A forgotten check-out is none: somebody who has a shift at B around t may have left A up to leave_early_s_max
    before its end, and any time where no shift at A is known. Overlap is also a check-out at A after a check-in at B
    that is after the check-in at A, `stay_hours_max` at most: then the rows say it themselves, in whatever order
    they came.

    Reported with the row that completes the contradiction; the way back to the same site is not reported again. A check in
    which the face check saw somebody else is judged and not remembered: it does not say where the person was.

    >>> from datetime import datetime, timezone
    >>> at = datetime(2026, 3, 1, 8, tzinfo=timezone.utc)
    >>> def check(number, site_id, minute, latitude):
    ...     row = Attendance(id=number, tenant_id=1, person_id=17, site_id=site_id, event_type="CHECK_IN",
    ...                      occurred_at=at.replace(minute=minute))
    ...     return Event(row, 0, site=SiteFacts(site_id=site_id, latitude=latitude, longitude=11.0, geofence_radius_m=100.0))
    >>> detector, policy = ImpossibleShifts(), ImpossibleShiftsPolicy()
    >>> state, _ = detector.judge(None, check(1, 4, 0, 48.0), policy)
    >>> _, (judgement,) = detector.judge(state, check(2, 5, 30, 49.0), policy)
    >>> judgement.evidence["reason"], judgement.evidence["observed_mps"], judgement.evidence["threshold_mps"]
    ('travel', 59.7, 36.0)
    """

    name = "impossible_shifts"
    tables = ("attendance",)
    entity = Entity.PERSON
    state_type = Checks
    policy = ImpossibleShiftsPolicy()

    def judge(
        self, state: Checks | None, event: Event[Attendance], policy: ImpossibleShiftsPolicy
    ) -> tuple[Checks | None, FindingDrafts]:
        """The finding where this check and a known one cannot both be true."""
        row = event.row
        at_s, site_id = event.at_s or occurred_s(row), row.site_id
        if at_s is None or site_id is None or row.event_type not in CHECKS or (event.before and restated(event)):
            return state, NOTHING
        check = _check(row, event.site, at_s, site_id, policy)
        latest = () if state is None else state.latest
        elsewhere = False
        for known in latest:
            if known.row_id == check.row_id:
                if (known.at_s, known.site_id, known.arrives) == (at_s, site_id, check.arrives):
                    return state, NOTHING
                latest = tuple(each for each in latest if each.row_id != check.row_id)
            elif known.site_id != site_id:
                elsewhere = True
        found: FindingDrafts = NOTHING
        if elsewhere:
            earlier = [each for each in latest if each.at_s <= at_s]
            later = [each for each in latest if each.at_s > at_s]
            contradiction = (
                _travel(check, earlier[-1:], later[:1], policy)
                or _overlap(check, earlier, event.shifts, policy)
                or _enclosed(check, earlier, policy)
            )
            if contradiction is not None:
                other, evidence, score = contradiction
                check = msgspec.structs.replace(check, against_site_id=other.site_id)
                found = (_judgement(row, check, other, evidence, score),)
        if row.verified_person_id is not None and row.verified_person_id != row.person_id:
            return state, found  # it claims that the person was here; the face says somebody else was
        latest = (*latest, check)
        if len(latest) > 1 and at_s < latest[-2].at_s:
            latest = tuple(sorted(latest, key=_time))
        return Checks(latest[-_CHECKS_MAX:]), found


_Contradiction = tuple[Check, Evidence, float]


def _time(check: Check) -> float:
    return check.at_s


def _check(row: Attendance, site: SiteFacts | None, at_s: float, site_id: int, policy: ImpossibleShiftsPolicy) -> Check:
    arrives = row.event_type == CHECK_IN
    if site is not None and site.latitude is not None and site.longitude is not None:
        radius_m = policy.site_radius_m if site.geofence_radius_m is None else max(0.0, site.geofence_radius_m)
        return Check(row.id, at_s, site_id, arrives, site.latitude, site.longitude, radius_m)
    if row.latitude is None or row.longitude is None:
        return Check(row.id, at_s, site_id, arrives)
    return Check(row.id, at_s, site_id, arrives, row.latitude, row.longitude, max(0.0, row.accuracy_m or 0.0))


def _apart_m(one: Check, other: Check) -> float | None:
    """Metres between two checks at the least; None where a position is unknown."""
    if one.latitude is None or one.longitude is None or other.latitude is None or other.longitude is None:
        return None
    between_m = distance_m(one.latitude, one.longitude, other.latitude, other.longitude)
    return max(0.0, between_m - one.slack_m - other.slack_m)


def _one_place(one: Check, other: Check, policy: ImpossibleShiftsPolicy) -> bool:
    apart_m = _apart_m(one, other)
    return apart_m is not None and apart_m < policy.distance_m_min


def _travel(
    check: Check, before: Sequence[Check], after: Sequence[Check], policy: ImpossibleShiftsPolicy
) -> _Contradiction | None:
    for other in (*before, *after):
        if check.site_id in {other.site_id, other.against_site_id}:
            continue
        apart_m = _apart_m(check, other)
        if apart_m is None or apart_m < policy.distance_m_min:
            continue
        between_s = abs(check.at_s - other.at_s)
        allowed_s = between_s + policy.clock_s_max
        speed_mps = apart_m / allowed_s if allowed_s > 0 else float("inf")
        if speed_mps > policy.speed_mps_max:
            evidence: Evidence = {
                "reason": "travel",
                "observed_mps": round(min(speed_mps, 1e9), 1),
                "threshold_mps": policy.speed_mps_max,
                "distance_m": round(apart_m),
                "between_s": round(between_s, 3),
                "clock_s_max": policy.clock_s_max,
            }
            score = saturating_score(policy.fraud_score_max, speed_mps - policy.speed_mps_max, policy.speed_mps_max)
            return other, evidence, score
    return None


def _overlap(
    check: Check, earlier: Sequence[Check], shifts: Sequence[Shift], policy: ImpossibleShiftsPolicy
) -> _Contradiction | None:
    """A check-in here while checked in elsewhere."""
    if not check.arrives:
        return None
    reported = {each.against_site_id for each in earlier if each.site_id == check.site_id}
    looked_at = {check.site_id}
    for other in reversed(earlier):
        if other.site_id in looked_at:
            continue
        looked_at.add(other.site_id)
        if not other.arrives or other.site_id in reported or _one_place(check, other, policy):
            continue
        until_s = _there_until_s(check, other, shifts, policy)
        if check.at_s < until_s:
            return other, *_overlap_of(check.at_s - other.at_s, until_s - check.at_s, policy)
    return None


def _there_until_s(check: Check, other: Check, shifts: Sequence[Shift], policy: ImpossibleShiftsPolicy) -> float:
    """How long the person of an open check-in is taken to be there, seen from a check-in elsewhere."""
    expected_here = any(
        each.site_id == check.site_id and each.start_s - policy.check_in_early_s_max <= check.at_s <= each.end_s
        for each in shifts
    )
    shift = shift_at(shifts, other.site_id, other.at_s, policy.check_in_early_s_max)
    if shift is None:
        return other.at_s if expected_here else other.at_s + policy.presence_s_max
    return shift.end_s - policy.leave_early_s_max if expected_here else shift.end_s


def _enclosed(check: Check, earlier: Sequence[Check], policy: ImpossibleShiftsPolicy) -> _Contradiction | None:
    """A check-out here, after a check-in elsewhere, after the check-in here."""
    if check.arrives:
        return None
    between: list[Check] = []
    for other in reversed(earlier):
        if check.at_s - other.at_s > policy.stay_hours_max * _HOUR_S:
            return None
        if other.site_id != check.site_id:
            between.append(other)
            continue
        if not other.arrives or other.against_site_id is not None:
            return None
        for each in between:
            if each.arrives and each.against_site_id is None and not _one_place(check, each, policy):
                return each, *_overlap_of(each.at_s - other.at_s, check.at_s - each.at_s, policy)
        return None
    return None


def _overlap_of(since_s: float, both_s: float, policy: ImpossibleShiftsPolicy) -> tuple[Evidence, float]:
    evidence: Evidence = {
        "reason": "overlap",
        "checked_in_elsewhere_s": round(since_s, 3),
        "observed_overlap_s": round(both_s, 3),
        "threshold_s": 0.0,
    }
    return evidence, saturating_score(policy.fraud_score_max, both_s, _HOUR_S)


def _judgement(row: Attendance, check: Check, other: Check, evidence: Evidence, score: float) -> FindingDraft:
    kind = "in at" if check.arrives else "out of"
    other_kind = "in at" if other.arrives else "out of"
    both: Evidence = {
        "observed_site_id": check.site_id,
        "other_site_id": other.site_id,
        "other_attendance_id": other.row_id,
        "other_at": iso_utc(other.at_s),
    }
    return FindingDraft(
        finding_type=FindingType.IMPOSSIBLE_SHIFTS,
        category=Category.ATTENDANCE,
        severity=Severity.CRITICAL,
        title="{person_name} cannot have been at both sites",
        description=f"{{person_name}} (person {row.person_id}) checked {kind} {{site_name}} at {iso_utc(check.at_s)} and "
        f"{other_kind} site {other.site_id} at {iso_utc(other.at_s)}.",
        evidence=both | evidence,
        fraud_score=score,
    )


DETECTOR = ImpossibleShifts()
