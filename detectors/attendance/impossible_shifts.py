"""IMPOSSIBLE_SHIFTS: a person is at two sites at once, or came from one to the other faster than anybody can."""

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from contracts.findings import Category, Evidence, FindingType, Severity
from contracts.rows import Attendance
from detectors.attendance.helpers.checks import is_unchanged, shift_at
from detectors.attendance.helpers.fraud_score import saturating_score
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.policy import Metres, Policy, PositiveHours, PositiveSpeed, Seconds, Share
from detectors.shared.facts import CHECK_IN, CHECKS, Shift, SiteFacts
from detectors.shared.geo import distance_m
from detectors.shared.times import iso_utc, unix_s

_CHECKS_MAX = 4
_HOUR_S = 3_600.0
_time = attrgetter("at_s")


class ImpossibleShiftsPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of IMPOSSIBLE_SHIFTS."""

    speed_mps_max: PositiveSpeed = 36.0
    """Fastest way between two sites: 130 km/h, by car on a motorway without a stop. Raise it where people fly."""
    distance_m_min: Metres = 300.0
    """Sites whose edges are nearer to each other than this count as one: people may use either's gate."""
    site_radius_m: Metres = 500.0
    """Extent of a site that states no radius."""
    clock_s_max: Seconds = 60.0
    """How far the clocks of two devices may be apart."""
    presence_s_max: Seconds = 14_400.0
    """Somebody who checked in without a known shift is assumed to stay for so long, then to have forgotten to check out."""
    stay_hours_max: PositiveHours = 20.0
    """A check-out that comes later after a check-in does not belong to it: a check between the two was forgotten."""
    leave_early_s_max: Seconds = 3_600.0
    """How long before the end of a shift a person may have left for the next one elsewhere, forgetting to check out."""
    check_in_early_s_max: Seconds = 3_600.0
    """A check-in up to this long before a shift belongs to it."""
    fraud_score_max: Share = 0.95
    """One of the two checks was not made by this person."""


class SiteCheck(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A check-in or check-out, and where the person was by it."""

    row_id: int
    at_s: float
    site_id: int
    is_check_in: bool
    latitude: float | None = None
    """Of the site, otherwise of the row itself; degrees."""
    longitude: float | None = None
    slack_m: float = 0.0
    """How far from there the person may have been: the site's radius, otherwise the accuracy of the row's position."""
    against_site_id: int | None = None
    """The other site, where this check led to a finding."""


class SiteChecks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person's latest checks in order of time."""

    latest: tuple[SiteCheck, ...] = ()


_Contradiction = tuple[SiteCheck, Evidence, float]
"""The other check, the evidence and the fraud score."""


class ImpossibleShifts(Detector):
    """Travel: (d - slack) / (dt + clock) > speed_mps_max between a check and the one before or after it in time.

    d is the great-circle distance of the two sites (of the rows' positions where a site has none), slack the radii of
    both, dt the time between the checks. Sites with d - slack < distance_m_min count as one.

    Overlap: a check-in at t at B while the last check at A is a check-in at u < t, and the person should still be at A:
    t is before the end of the shift at A; where the check-in at A belongs to no shift, t < u + presence_s_max. A
    forgotten check-out is no overlap: somebody who has a shift at B around t may have left A up to leave_early_s_max
    before the end of the shift there, and at any time where no shift at A is known. A check-out at A after a check-in at
    B after a check-in at A is an overlap too, within `stay_hours_max`: the rows say so themselves, in whatever order
    they arrive.

    Reported with the row that completes the contradiction; the way back to the same site is not reported again. A check
    in which the face check recognised somebody else is judged but not kept: it does not say where the person was.

    >>> from datetime import datetime, timezone
    >>> at = datetime(2026, 3, 1, 8, tzinfo=timezone.utc)
    >>> def check(number, site_id, minute, latitude):
    ...     row = Attendance(id=number, tenant_id=1, person_id=17, site_id=site_id, event_type="CHECK_IN",
    ...                      occurred_at=at.replace(minute=minute))
    ...     return Event(row, 0, site=SiteFacts(site_id=site_id, latitude=latitude, longitude=11.0, geofence_radius_m=100.0))
    >>> detector, policy = ImpossibleShifts(), ImpossibleShiftsPolicy()
    >>> state, _ = detector.judge(None, check(1, 4, 0, 48.0), policy)
    >>> _, (draft,) = detector.judge(state, check(2, 5, 30, 49.0), policy)
    >>> draft.evidence["reason"], draft.evidence["observed_mps"], draft.evidence["threshold_mps"]
    ('travel', 59.7, 36.0)
    """

    name = "impossible_shifts"
    tables = ("attendance",)
    entity = Entity.PERSON
    state_type = SiteChecks
    policy = ImpossibleShiftsPolicy()

    def judge(
        self, state: SiteChecks | None, event: Event[Attendance], policy: ImpossibleShiftsPolicy
    ) -> tuple[SiteChecks | None, FindingDrafts]:
        """The finding where this check and a known one cannot both be true."""
        row = event.row
        at_s, site_id = event.at_s or unix_s(row.occurred_at), row.site_id
        if at_s is None or site_id is None or row.event_type not in CHECKS or (event.before and is_unchanged(event)):
            return state, NOTHING
        check = _check(row, event.site, at_s, site_id, policy)
        latest = () if state is None else state.latest
        elsewhere = False
        for known in latest:
            if known.row_id == check.row_id:
                if (known.at_s, known.site_id, known.is_check_in) == (at_s, site_id, check.is_check_in):
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
                found = (_draft(row, check, other, evidence, score),)
        if row.verified_person_id is not None and row.verified_person_id != row.person_id:
            return state, found  # the row says that the person was here, the face check that somebody else was
        latest = (*latest, check)
        if len(latest) > 1 and at_s < latest[-2].at_s:
            latest = tuple(sorted(latest, key=_time))
        return SiteChecks(latest[-_CHECKS_MAX:]), found


def _check(
    row: Attendance, site: SiteFacts | None, at_s: float, site_id: int, policy: ImpossibleShiftsPolicy
) -> SiteCheck:
    is_check_in = row.event_type == CHECK_IN
    if site is not None and site.latitude is not None and site.longitude is not None:
        radius_m = policy.site_radius_m if site.geofence_radius_m is None else max(0.0, site.geofence_radius_m)
        return SiteCheck(row.id, at_s, site_id, is_check_in, site.latitude, site.longitude, radius_m)
    if row.latitude is None or row.longitude is None:
        return SiteCheck(row.id, at_s, site_id, is_check_in)
    return SiteCheck(row.id, at_s, site_id, is_check_in, row.latitude, row.longitude, max(0.0, row.accuracy_m or 0.0))


def _apart_m(one: SiteCheck, other: SiteCheck) -> float | None:
    """The least distance between two checks, metres; None where a position is unknown."""
    if one.latitude is None or one.longitude is None or other.latitude is None or other.longitude is None:
        return None
    between_m = distance_m(one.latitude, one.longitude, other.latitude, other.longitude)
    return max(0.0, between_m - one.slack_m - other.slack_m)


def _same_place(one: SiteCheck, other: SiteCheck, policy: ImpossibleShiftsPolicy) -> bool:
    apart_m = _apart_m(one, other)
    return apart_m is not None and apart_m < policy.distance_m_min


def _travel(
    check: SiteCheck, before: Sequence[SiteCheck], after: Sequence[SiteCheck], policy: ImpossibleShiftsPolicy
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
    check: SiteCheck, earlier: Sequence[SiteCheck], shifts: Sequence[Shift], policy: ImpossibleShiftsPolicy
) -> _Contradiction | None:
    """A check-in here while checked in elsewhere."""
    if not check.is_check_in:
        return None
    reported = {each.against_site_id for each in earlier if each.site_id == check.site_id}
    sites = {check.site_id}
    for other in reversed(earlier):
        if other.site_id in sites:
            continue
        sites.add(other.site_id)
        if not other.is_check_in or other.site_id in reported or _same_place(check, other, policy):
            continue
        until_s = _there_until_s(check, other, shifts, policy)
        if check.at_s < until_s:
            return other, *_overlap_of(check.at_s - other.at_s, until_s - check.at_s, policy)
    return None


def _there_until_s(
    check: SiteCheck, other: SiteCheck, shifts: Sequence[Shift], policy: ImpossibleShiftsPolicy
) -> float:
    """Until when somebody who checked in at the other site should still be there, by a later check-in here."""
    expected_here = any(
        each.site_id == check.site_id and each.start_s - policy.check_in_early_s_max <= check.at_s <= each.end_s
        for each in shifts
    )
    shift = shift_at(shifts, other.site_id, other.at_s, policy.check_in_early_s_max)
    if shift is None:
        return other.at_s if expected_here else other.at_s + policy.presence_s_max
    return shift.end_s - policy.leave_early_s_max if expected_here else shift.end_s


def _enclosed(check: SiteCheck, earlier: Sequence[SiteCheck], policy: ImpossibleShiftsPolicy) -> _Contradiction | None:
    """A check-out here after a check-in elsewhere after a check-in here."""
    if check.is_check_in:
        return None
    between: list[SiteCheck] = []
    for other in reversed(earlier):
        if check.at_s - other.at_s > policy.stay_hours_max * _HOUR_S:
            return None
        if other.site_id != check.site_id:
            between.append(other)
            continue
        if not other.is_check_in or other.against_site_id is not None:
            return None
        for each in between:
            if each.is_check_in and each.against_site_id is None and not _same_place(check, each, policy):
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


def _draft(row: Attendance, check: SiteCheck, other: SiteCheck, evidence: Evidence, score: float) -> FindingDraft:
    kind = "in at" if check.is_check_in else "out of"
    other_kind = "in at" if other.is_check_in else "out of"
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
