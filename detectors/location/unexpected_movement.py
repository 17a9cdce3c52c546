"""UNEXPECTED_MOVEMENT: a person on duty at a site travels at the speed of a vehicle."""

from typing import Annotated

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance, Location
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.location.helpers.duty import CheckHistory, shift_on_duty, with_check
from detectors.location.helpers.tracks import NEAR_DEGREES_PER_M
from detectors.policy import COUNT_MAX, Metres, Policy, PositiveMetres, PositiveSpeed, Seconds
from detectors.shared.geo import distance_m


class UnexpectedMovementPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of UNEXPECTED_MOVEMENT."""

    speed_mps_min: PositiveSpeed = 6.0
    """22 km/h: faster than anybody walks a round, runs for long, or goes by cart in a yard."""
    speed_mps_max: PositiveSpeed = 70.0
    """Anything faster is not a movement but a false position, which LOCATION_SPOOFING reports."""
    steps_min: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)] = 2
    """Consecutive steps from fix to fix that are each so fast."""
    moving_s_min: Seconds = 60.0
    """Duration of all of them together."""
    displaced_m_min: PositiveMetres = 300.0
    """Distance from the fix before the first of them: a position that jumps away and back again is no journey."""
    still_s_min: Seconds = 14_400.0
    """A journey ends back where it began, or after this time without a fast step; then the next one is reported."""
    gap_s_max: Seconds = 1_800.0
    """Fixes further apart in time do not show how fast anybody was."""
    unknown_accuracy_m: Metres = 30.0
    """Assumed where a fix does not state its accuracy."""
    arrive_s: Seconds = 1_800.0
    """Time from a shift's start in which a person whose attendance is unknown may be on the way."""
    leave_s: Seconds = 600.0
    """Time before a shift's end from which the way home may begin."""


class Journey(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Consecutive fast steps; times are Unix seconds."""

    latitude: float
    """Of the fix before the first step."""
    longitude: float
    since_s: float
    last_s: float
    """End of the last fast step."""
    steps: int
    reported: bool = False


class MovementState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person's newest fix, attendance and journey."""

    checks: CheckHistory = ()
    latitude: float | None = None
    longitude: float | None = None
    at_s: float = 0.0
    accuracy_m: float = 0.0
    device_id: int | None = None
    journey: Journey | None = None


_NEW = MovementState()


class UnexpectedMovement(Detector):
    """Speed of a step from fix to fix: (great-circle distance - both accuracies) / time, a lower bound.

    Reported when a person on duty (`detectors.location.helpers.duty`) makes `steps_min` steps in a row, over at least
    `moving_s_min`, each faster than `speed_mps_min`, that lead `displaced_m_min` away: once a journey, there and back. A
    journey ends with a slow step within `displaced_m_min` of where it began, or after `still_s_min` without a fast one.
    Subtracting the accuracies makes noise look slower, never faster. The phone's own `speed_mps` is not used: it holds
    for a moment and has no direction.

    Not judged: a person who is not on duty, such as on the way home; fixes without position or time, of another device
    than the one before, marked as mock, or older than the newest one (a late upload in any order).

    >>> from datetime import UTC, datetime
    >>> from detectors.shared.facts import Shift, SiteFacts
    >>> detector, state, site = UnexpectedMovement(), None, SiteFacts(site_id=4)
    >>> for minute in range(4):
    ...     at = datetime(2026, 3, 2, 12, minute, tzinfo=UTC)
    ...     row = Location(id=1, tenant_id=1, person_id=17, site_id=4, latitude=48 + minute / 100, longitude=11.0,
    ...                    accuracy_m=10.0, recorded_at=at)
    ...     shift = Shift(1, 4, at.timestamp() - 7_200, at.timestamp() + 7_200)
    ...     state, found = detector.judge(state, Event(row, 0, site=site, shifts=[shift]), detector.policy)
    ...     print([(each.evidence["observed_mps"], each.evidence["displaced_m"]) for each in found])
    []
    []
    [(18.2, 2223.9)]
    []
    """

    name = "unexpected_movement"
    tables = ("attendance", "location")
    entity = Entity.PERSON
    state_type = MovementState
    policy = UnexpectedMovementPolicy()

    def judge(
        self, state: MovementState | None, event: Event[Location | Attendance], policy: UnexpectedMovementPolicy
    ) -> tuple[MovementState | None, FindingDrafts]:
        """The finding at the fix that confirms the journey; attendance only updates the state."""
        row = event.row
        if not isinstance(row, Location):
            held = state or _NEW
            checks = with_check(held.checks, row, event.at_s)
            return (state if checks is held.checks else msgspec.structs.replace(held, checks=checks)), NOTHING
        latitude, longitude, at = row.latitude, row.longitude, row.recorded_at
        if latitude is None or longitude is None or at is None or row.is_mock:
            return state, NOTHING
        held, at_s = state or _NEW, event.at_s or at.timestamp()
        if at_s <= held.at_s:
            return state, NOTHING
        accuracy_m = policy.unknown_accuracy_m if row.accuracy_m is None else row.accuracy_m
        journey, speed_mps = held.journey, 0.0
        if held.latitude is not None and held.longitude is not None and held.device_id == row.device_id:
            seconds = at_s - held.at_s
            # Nearly all steps are short: whether one can be fast at all is cheaper to compute than how fast it is.
            near = (policy.speed_mps_min * seconds + accuracy_m + held.accuracy_m) * NEAR_DEGREES_PER_M
            if not (-near < latitude - held.latitude < near and -near < longitude - held.longitude < near):
                far_m = distance_m(held.latitude, held.longitude, latitude, longitude)
                speed_mps = (far_m - accuracy_m - held.accuracy_m) / seconds
                if seconds > policy.gap_s_max:
                    speed_mps = 0.0
        after = MovementState(held.checks, latitude, longitude, at_s, accuracy_m, row.device_id, journey)
        if speed_mps < policy.speed_mps_min and journey is None:
            return after, NOTHING
        return _judge_step(held, after, event, row, speed_mps, policy)


def _judge_step(
    before: MovementState,
    state: MovementState,
    event: Event[Location | Attendance],
    row: Location,
    speed_mps: float,
    policy: UnexpectedMovementPolicy,
) -> tuple[MovementState, FindingDrafts]:
    """The state and the finding after a fast step, or after any step during a journey."""
    journey = state.journey
    if not policy.speed_mps_min <= speed_mps <= policy.speed_mps_max:
        continues = journey is not None and journey.reported and not _ended(journey, state, row, policy)
        return (state if continues else msgspec.structs.replace(state, journey=None)), NOTHING
    if before.latitude is None or before.longitude is None or not _on_duty(before, event, row, state.at_s, policy):
        return msgspec.structs.replace(state, journey=None), NOTHING
    if journey is None or (journey.reported and state.at_s - journey.last_s >= policy.still_s_min):
        journey = Journey(before.latitude, before.longitude, before.at_s, state.at_s, 1)
    else:
        journey = msgspec.structs.replace(journey, last_s=state.at_s, steps=journey.steps + 1)
    displaced_m = _displaced_m(journey, row)
    confirmed = (
        journey.steps >= policy.steps_min
        and state.at_s - journey.since_s >= policy.moving_s_min
        and displaced_m >= policy.displaced_m_min
        and not journey.reported
    )
    if not confirmed:
        return msgspec.structs.replace(state, journey=journey), NOTHING
    journey = msgspec.structs.replace(journey, reported=True)
    return msgspec.structs.replace(state, journey=journey), (_draft(row, journey, speed_mps, displaced_m, policy),)


def _ended(journey: Journey, state: MovementState, row: Location, policy: UnexpectedMovementPolicy) -> bool:
    """Whether a slow step ends a journey that was reported."""
    return state.at_s - journey.last_s >= policy.still_s_min or _displaced_m(journey, row) < policy.displaced_m_min


def _displaced_m(journey: Journey, row: Location) -> float:
    if row.latitude is None or row.longitude is None:
        return 0.0
    return distance_m(journey.latitude, journey.longitude, row.latitude, row.longitude)


def _on_duty(
    before: MovementState,
    event: Event[Location | Attendance],
    row: Location,
    at_s: float,
    policy: UnexpectedMovementPolicy,
) -> bool:
    """Whether the person is on duty at the row's site from the beginning to the end of the step."""
    return row.site_id is not None and all(
        shift_on_duty(
            before.checks, event.shifts, row.site_id, time_s, arrive_s=policy.arrive_s, leave_s=policy.leave_s
        )
        is not None
        for time_s in (before.at_s, at_s)
    )


def _draft(
    row: Location, journey: Journey, speed_mps: float, displaced_m: float, policy: UnexpectedMovementPolicy
) -> FindingDraft:
    moving_s = journey.last_s - journey.since_s
    return FindingDraft(
        finding_type=FindingType.UNEXPECTED_MOVEMENT,
        category=Category.LOCATION,
        severity=Severity.LOW,
        title="{person_name} travels while on duty at {site_name}",
        description=f"{{person_name}} (person {row.person_id}) went {displaced_m:.0f} m in {moving_s:.0f} seconds, "
        f"by {journey.steps} fast steps, during the duty at {{site_name}} (site {row.site_id}).",
        evidence={
            "observed_mps": round(speed_mps, 1),
            "threshold": policy.speed_mps_min,
            "n": journey.steps,
            "moving_s": round(moving_s, 1),
            "displaced_m": round(displaced_m, 1),
            "displaced_m_min": policy.displaced_m_min,
        },
    )


DETECTOR = UnexpectedMovement()
