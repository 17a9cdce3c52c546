"""GEOFENCE_VIOLATION: a person on duty at a site is outside its area."""

from typing import Annotated, Any

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance, Location
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.location.helpers.duty import CheckHistory, shift_on_duty, with_check
from detectors.policy import COUNT_MAX, Metres, Policy, Seconds


class GeofenceViolationPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of GEOFENCE_VIOLATION."""

    margin_m: Metres = 30.0
    """How far outside a fix may be beyond its own accuracy: fences are drawn by hand, and gates lie on them."""
    unknown_accuracy_m: Metres = 30.0
    """Assumed where a fix does not state its accuracy."""
    outside_fixes_min: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)] = 3
    """Fixes outside without one inside between them; a single one may be a signal reflected by a facade."""
    outside_s_min: Seconds = 20.0
    """From the first of them to the last: one reflection can last for seconds."""
    outside_gap_s_max: Seconds = 3_600.0
    """Fixes further apart in time than this are not counted together."""
    inside_fixes_min: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)] = 2
    """Fixes inside that end a violation that was reported."""
    arrive_s: Seconds = 1_800.0
    """Time from a shift's start in which a person whose attendance is unknown may be on the way."""
    leave_s: Seconds = 600.0
    """Time before a shift's end from which a person may leave the site."""


class OutsideRun(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Consecutive fixes outside; times are Unix seconds."""

    site_id: int
    duty_id: int
    """As `shift_on_duty` returns it."""
    first_s: float
    last_s: float
    n: int = 1
    inside_n: int = 0
    inside_s: float = 0.0
    reported: bool = False


class GeofenceState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person's attendance, and the fixes outside a site."""

    checks: CheckHistory = ()
    outside: OutsideRun | None = None


_NEW = GeofenceState()


class GeofenceViolation(Detector):
    """A fix is outside where `area.distance_m - accuracy_m > margin_m`, by great circle (`detectors.shared.geo`).

    Reported when a person on duty (`detectors.location.helpers.duty`) has `outside_fixes_min` such fixes over at least
    `outside_s_min` without a fix inside between them: once, until `inside_fixes_min` fixes are inside again or another
    duty begins. A fix from before the first one outside does not end the run, so a phone may upload in any order.

    Not judged: a person who is not on duty; a site without a polygon or radius; fixes without position or time, and
    those marked as mock, which LOCATION_SPOOFING reports.

    >>> from datetime import UTC, datetime
    >>> from detectors.shared.facts import Shift, SiteFacts
    >>> from detectors.shared.geo import circle
    >>> site = SiteFacts(site_id=4, area=circle(48.0, 11.0, 100.0, reach_m_max=1e5))
    >>> fix = Location(id=1, tenant_id=1, person_id=17, site_id=4, latitude=48.01, longitude=11.0, accuracy_m=10.0)
    >>> detector, state = GeofenceViolation(), None
    >>> for minute in (0, 3, 6, 9):
    ...     row = msgspec.structs.replace(fix, recorded_at=datetime(2026, 3, 2, 12, minute, tzinfo=UTC))
    ...     shift = Shift(1, 4, row.recorded_at.timestamp() - 7_200, row.recorded_at.timestamp() + 7_200)
    ...     state, found = detector.judge(state, Event(row, 0, site=site, shifts=[shift]), detector.policy)
    ...     print([draft.evidence["observed_m"] for draft in found])
    []
    []
    [1012.0]
    []
    """

    name = "geofence_violation"
    tables = ("attendance", "location")
    entity = Entity.PERSON
    state_type = GeofenceState
    policy = GeofenceViolationPolicy()

    def judge(
        self, state: GeofenceState | None, event: Event[Location | Attendance], policy: GeofenceViolationPolicy
    ) -> tuple[GeofenceState | None, FindingDrafts]:
        """The finding at the fix that confirms it; attendance only updates the state."""
        row, site = event.row, event.site
        if not isinstance(row, Location):
            held = state or _NEW
            checks = with_check(held.checks, row, event.at_s)
            return (state if checks is held.checks else GeofenceState(checks, held.outside)), NOTHING
        if site is None or site.area is None or row.latitude is None or row.longitude is None:
            return state, NOTHING
        far_m = site.area.distance_m(row.latitude, row.longitude)
        if far_m == 0.0 and (state is None or state.outside is None):
            return state, NOTHING
        if row.recorded_at is None or row.is_mock or _same(event.before, row):
            return state, NOTHING
        return _judge_fix(state, event, row, site.site_id, far_m, event.at_s or row.recorded_at.timestamp(), policy)


def _judge_fix(
    state: GeofenceState | None,
    event: Event[Any],
    row: Location,
    site_id: int,
    far_m: float,
    at_s: float,
    policy: GeofenceViolationPolicy,
) -> tuple[GeofenceState | None, FindingDrafts]:
    """A fix that is outside, or comes after one."""
    accuracy_m = policy.unknown_accuracy_m if row.accuracy_m is None else row.accuracy_m
    held = state or _NEW
    outside = held.outside
    if far_m - accuracy_m <= policy.margin_m:
        # A fix that may be inside or outside by its accuracy neither starts nor ends a violation.
        after = _inside(outside, site_id, at_s, policy) if far_m <= policy.margin_m else outside
        return (state if after is outside else _state_of(held.checks, after)), NOTHING
    duty_id = shift_on_duty(held.checks, event.shifts, site_id, at_s, arrive_s=policy.arrive_s, leave_s=policy.leave_s)
    run = outside if duty_id is None else _outside(outside, site_id, duty_id, at_s, policy)
    if run is None or run is outside:
        return state, NOTHING
    if run.reported or run.n < policy.outside_fixes_min or run.last_s - run.first_s < policy.outside_s_min:
        return GeofenceState(held.checks, run), NOTHING
    reported = msgspec.structs.replace(run, reported=True)
    return GeofenceState(held.checks, reported), (_draft(row, site_id, far_m, accuracy_m, run, policy),)


def _inside(
    outside: OutsideRun | None, site_id: int, at_s: float, policy: GeofenceViolationPolicy
) -> OutsideRun | None:
    """The run after a fix inside; the same object where that changes nothing."""
    if outside is None or outside.site_id != site_id or at_s < outside.first_s:
        return outside
    if not outside.reported:
        return None
    if at_s <= outside.last_s or at_s <= outside.inside_s:
        return outside
    if outside.inside_n + 1 >= policy.inside_fixes_min:
        return None
    return msgspec.structs.replace(outside, inside_n=outside.inside_n + 1, inside_s=at_s)


def _outside(
    outside: OutsideRun | None, site_id: int, duty_id: int, at_s: float, policy: GeofenceViolationPolicy
) -> OutsideRun:
    """The run with one more fix; the same object for a fix that was counted already."""
    if outside is None or (outside.site_id, outside.duty_id) != (site_id, duty_id):
        return OutsideRun(site_id, duty_id, at_s, at_s)
    if at_s in {outside.first_s, outside.last_s}:
        return outside
    gap_s = max(outside.first_s - at_s, at_s - outside.last_s)
    if gap_s > policy.outside_gap_s_max and not outside.reported:
        return OutsideRun(site_id, duty_id, at_s, at_s)
    first_s, last_s = min(outside.first_s, at_s), max(outside.last_s, at_s)
    return OutsideRun(site_id, duty_id, first_s, last_s, outside.n + 1, 0, outside.inside_s, outside.reported)


def _state_of(checks: CheckHistory, outside: OutsideRun | None) -> GeofenceState | None:
    return GeofenceState(checks, outside) if checks or outside is not None else None


def _same(before: Location | Attendance | None, row: Location) -> bool:
    """Whether an update leaves the fix as it was."""
    fix = (row.latitude, row.longitude, row.recorded_at)
    return isinstance(before, Location) and (before.latitude, before.longitude, before.recorded_at) == fix


def _draft(
    row: Location, site_id: int, far_m: float, accuracy_m: float, run: OutsideRun, policy: GeofenceViolationPolicy
) -> FindingDraft:
    return FindingDraft(
        finding_type=FindingType.GEOFENCE_VIOLATION,
        category=Category.LOCATION,
        severity=Severity.HIGH,
        title="{person_name} is outside the area of {site_name} while on duty",
        description=f"{{person_name}} (person {row.person_id}) is {far_m:.0f} m outside the area of {{site_name}} "
        f"(site {site_id}), by {run.n} fixes over {run.last_s - run.first_s:.0f} seconds.",
        evidence={
            "observed_m": round(far_m, 1),
            "expected_m": 0.0,
            "accuracy_m": round(accuracy_m, 1),
            "threshold": policy.margin_m,
            "n": run.n,
            "outside_s": round(run.last_s - run.first_s, 1),
            "assignment_id": run.duty_id or None,
        },
    )


DETECTOR = GeofenceViolation()
