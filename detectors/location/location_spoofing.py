"""LOCATION_SPOOFING: fixes that did not come from a receiver: marked as mock, teleporting, frozen, or too perfect."""

from typing import Annotated, Any, NamedTuple

import msgspec

from contracts.findings import Category, Evidence, FindingType, Severity
from contracts.rows import Attendance, Location
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.location.helpers.tracks import NEAR_DEGREES_PER_M, ROUNDED_DECIMALS, RepeatedSteps, is_rounded, with_fix
from detectors.policy import COUNT_MAX, Metres, Policy, PositiveMetres, PositiveSeconds, PositiveSpeed, Share
from detectors.shared.geo import distance_m

_Count = Annotated[int, msgspec.Meta(ge=2, le=COUNT_MAX)]

_TIME_STEP_S_MIN = 1.0
"""The times of fixes are accurate to about a second: a jump in less counts as a jump in one second."""


class LocationSpoofingPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of LOCATION_SPOOFING."""

    speed_mps_max: PositiveSpeed = 70.0
    """250 km/h: faster than any vehicle of people on duty."""
    jump_m_min: PositiveMetres = 1_000.0
    """Facades and tunnels cause shorter jumps."""
    frozen_fixes_min: _Count = 8
    """Fixes that are identical to the last digit; phones at rest repeat one or two."""
    frozen_s_min: PositiveSeconds = 1_200.0
    """From the first of them to the last. Some phones repeat a fix while they lie still: raise it where they do."""
    perfect_accuracy_m_max: Metres = 1.0
    """No phone is more accurate than this; 0 switches the reason off, for a source that writes 0 for unknown."""
    perfect_fixes_min: _Count = 5
    line_steps_min: _Count = 8
    """Steps that each repeat the one before to within `line_m_max`."""
    line_step_s_min: PositiveSeconds = 5.0
    """Fixes that follow sooner are left out: a receiver smooths what it reports every second."""
    line_step_m_min: PositiveMetres = 5.0
    line_m_max: PositiveMetres = 0.5
    """How far a fix may be from where the step before it, repeated, ends."""
    episode_s: PositiveSeconds = 3_600.0
    """The same reason is reported again after this time without it."""
    mock_fraud_score: Share = 0.9
    jump_fraud_score: Share = 0.8
    frozen_fraud_score: Share = 0.4
    """A phone that was left lying somewhere can look the same."""
    perfect_fraud_score: Share = 0.6
    line_fraud_score: Share = 0.7


class ReasonTimes(NamedTuple):
    """When each reason was last seen, Unix seconds of the log's clock; None: never."""

    mock: float | None = None
    impossible_speed: float | None = None
    frozen: float | None = None
    perfect_accuracy: float | None = None
    perfect_line: float | None = None


class SpoofingState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest fix of a person, and the series that it belongs to; times are Unix seconds."""

    latitude: float
    longitude: float
    at_s: float
    accuracy_m: float | None
    device_id: int | None
    frozen_n: int
    frozen_since_s: float
    perfect_n: int
    line: RepeatedSteps | None
    last_seen: ReasonTimes


_NEVER = ReasonTimes()


class LocationSpoofing(Detector):
    """Five reasons, each reported once an episode: again only after `episode_s` without it.

    - **mock**: the phone's system says that another program supplied the fix (`is_mock`).
    - **jump**: (distance - both accuracies) / time > `speed_mps_max`, for two fixes of one device of a person that
      are at least `jump_m_min` apart beyond their accuracies. The bound holds in both directions of time, so fixes
      that are uploaded late, in any order, are compared too.
    - **frozen**: `frozen_fixes_min` fixes over `frozen_s_min` with the same latitude, longitude and accuracy to the
      last digit. A real receiver has noise. Positions with at most four decimals (11 m: from the network, or rounded)
      repeat without any deceit and are not judged.
    - **too perfect accuracy**: `perfect_fixes_min` fixes in a row of less than `perfect_accuracy_m_max`. The best
      that phones reach is 1 to 3 m (van Diggelen and Enge 2015: 4.9 m under open sky).
    - **too perfect line**: `line_steps_min` steps that each repeat the one before to within `line_m_max`: with a noise
      of metres the second differences would not be so small.

    Not judged: fixes without position, time or person. Frozen, accuracy and line use the fixes in the order of their
    times; one that arrives after a newer one is left out of these series.

    >>> from datetime import UTC, datetime
    >>> fix = Location(id=1, tenant_id=1, person_id=17, latitude=48.0, longitude=11.0, accuracy_m=10.0)
    >>> detector, noon = LocationSpoofing(), datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> state, _ = detector.judge(None, Event(msgspec.structs.replace(fix, recorded_at=noon), 0), detector.policy)
    >>> far = msgspec.structs.replace(fix, latitude=49.0, recorded_at=noon.replace(minute=5))
    >>> state, (draft,) = detector.judge(state, Event(far, 0), detector.policy)
    >>> draft.evidence["reason"], draft.evidence["observed_mps"], draft.evidence["distance_m"]
    ('impossible_speed', 370.6, 111195.1)
    """

    name = "location_spoofing"
    tables = ("attendance", "location")
    entity = Entity.PERSON
    state_type = SpoofingState
    policy = LocationSpoofingPolicy()

    def judge(
        self, state: SpoofingState | None, event: Event[Location | Attendance], policy: LocationSpoofingPolicy
    ) -> tuple[SpoofingState | None, FindingDrafts]:
        """One finding for each reason that begins with this fix."""
        row = event.row
        if not isinstance(row, Location):
            return state, NOTHING
        latitude, longitude, at = row.latitude, row.longitude, row.recorded_at
        if latitude is None or longitude is None or at is None:
            return state, NOTHING
        at_s, accuracy_m = event.at_s or at.timestamp(), row.accuracy_m
        perfect = accuracy_m is not None and accuracy_m < policy.perfect_accuracy_m_max
        if state is None or state.device_id != row.device_id:
            last_seen = _NEVER if state is None else state.last_seen
            after = SpoofingState(
                latitude, longitude, at_s, accuracy_m, row.device_id, 1, at_s, int(perfect), None, last_seen
            )
            return _reported(after, event, row, policy, _of_fix(row, event, policy, None))
        jump = None
        near = policy.jump_m_min * NEAR_DEGREES_PER_M
        if not (-near < latitude - state.latitude < near and -near < longitude - state.longitude < near):
            jump = _jump(state, latitude, longitude, at_s, accuracy_m, policy)
        if at_s <= state.at_s:
            # A late upload, or a row that arrives again: it may be a jump or a mock, and belongs to no series.
            return _reported(state, event, row, policy, _of_fix(row, event, policy, jump))
        if latitude == state.latitude and longitude == state.longitude and accuracy_m == state.accuracy_m:
            frozen_n, frozen_since_s = state.frozen_n + 1, state.frozen_since_s
        else:
            frozen_n, frozen_since_s = 1, at_s
        line = with_fix(
            state.line, latitude, longitude, at_s,
            step_s_min=policy.line_step_s_min, step_m_min=policy.line_step_m_min, off_m_max=policy.line_m_max,
        )  # fmt: skip
        perfect_n = state.perfect_n + 1 if perfect else 0
        after = SpoofingState(
            latitude, longitude, at_s, accuracy_m, row.device_id,
            frozen_n, frozen_since_s, perfect_n, line, state.last_seen,
        )  # fmt: skip
        if (
            jump is None
            and not row.is_mock
            and frozen_n < policy.frozen_fixes_min
            and perfect_n < policy.perfect_fixes_min
            and (line is None or line.n < policy.line_steps_min)
        ):
            return after, NOTHING
        return _reported(after, event, row, policy, _of_fix(row, event, policy, jump) + _of_series(after, policy))


class Jump(NamedTuple):
    """Two fixes between which nobody can have travelled."""

    distance_m: float
    accuracies_m: float
    seconds: float
    speed_mps: float


def _jump(
    state: SpoofingState,
    latitude: float,
    longitude: float,
    at_s: float,
    accuracy_m: float | None,
    policy: LocationSpoofingPolicy,
) -> Jump | None:
    far_m = distance_m(state.latitude, state.longitude, latitude, longitude)
    accuracies_m = (state.accuracy_m or 0.0) + (accuracy_m or 0.0)
    seconds = max(_TIME_STEP_S_MIN, abs(at_s - state.at_s))
    speed_mps = (far_m - accuracies_m) / seconds
    if far_m - accuracies_m < policy.jump_m_min or speed_mps <= policy.speed_mps_max:
        return None
    return Jump(far_m, accuracies_m, seconds, speed_mps)


class Reason(NamedTuple):
    """Why a fix looks made up."""

    name: str
    """A field of `ReasonTimes`."""
    words: str
    fraud_score: float
    evidence: Evidence


def _of_fix(row: Location, event: Event[Any], policy: LocationSpoofingPolicy, jump: Jump | None) -> list[Reason]:
    """The reasons in the fix itself and in its distance to the one before, in whatever order they arrive."""
    reasons = []
    if row.is_mock and not (event.before is not None and event.before.is_mock):
        words = "the phone says that another program made up the position"
        reasons.append(Reason("mock", words, policy.mock_fraud_score, {"observed": True, "expected": False}))
    if jump is not None:
        words = (
            f"{jump.distance_m / 1000:.1f} km in {jump.seconds:.0f} seconds, {jump.speed_mps * 3.6:.0f} km/h "
            f"where {policy.speed_mps_max * 3.6:.0f} are possible"
        )
        evidence: Evidence = {
            "observed_mps": round(jump.speed_mps, 1),
            "threshold": policy.speed_mps_max,
            "distance_m": round(jump.distance_m, 1),
            "accuracies_m": round(jump.accuracies_m, 1),
            "seconds": round(jump.seconds, 3),
        }
        reasons.append(Reason("impossible_speed", words, policy.jump_fraud_score, evidence))
    return reasons


def _of_series(state: SpoofingState, policy: LocationSpoofingPolicy) -> list[Reason]:
    """The reasons in the series of fixes up to this one."""
    reasons = []
    frozen_s = state.at_s - state.frozen_since_s
    if (
        state.frozen_n >= policy.frozen_fixes_min
        and frozen_s >= policy.frozen_s_min
        and not is_rounded(state.latitude, state.longitude, ROUNDED_DECIMALS)
    ):
        words = f"{state.frozen_n} fixes over {frozen_s / 60:.0f} minutes are the same to the last digit"
        evidence: Evidence = {
            "observed_s": round(frozen_s, 3),
            "threshold": policy.frozen_s_min,
            "n": state.frozen_n,
            "fixes_min": policy.frozen_fixes_min,
        }
        reasons.append(Reason("frozen", words, policy.frozen_fraud_score, evidence))
    if state.perfect_n >= policy.perfect_fixes_min:
        words = f"{state.perfect_n} fixes in a row claim to be right to {state.accuracy_m:g} m"
        evidence = {"observed_m": state.accuracy_m, "threshold": policy.perfect_accuracy_m_max, "n": state.perfect_n}
        reasons.append(Reason("perfect_accuracy", words, policy.perfect_fraud_score, evidence))
    if state.line is not None and state.line.n >= policy.line_steps_min:
        words = f"{state.line.n} steps repeat each other to within {policy.line_m_max:g} m"
        evidence = {"threshold": policy.line_m_max, "n": state.line.n, "steps_min": policy.line_steps_min}
        reasons.append(Reason("perfect_line", words, policy.line_fraud_score, evidence))
    return reasons


def _reported(
    state: SpoofingState, event: Event[Any], row: Location, policy: LocationSpoofingPolicy, reasons: list[Reason]
) -> tuple[SpoofingState, FindingDrafts]:
    """The findings of the reasons that were not seen recently, by the log's clock: a late upload is one episode."""
    if not reasons:
        return state, NOTHING
    now_s, last_seen = event.now_us / 1e6, state.last_seen
    found = []
    for reason in reasons:
        seen_s = getattr(last_seen, reason.name)
        if seen_s is None or now_s - seen_s > policy.episode_s:
            found.append(_draft(row, reason))
    last_seen = last_seen._replace(**{reason.name: now_s for reason in reasons})
    return msgspec.structs.replace(state, last_seen=last_seen), found


def _draft(row: Location, reason: Reason) -> FindingDraft:
    return FindingDraft(
        finding_type=FindingType.LOCATION_SPOOFING,
        category=Category.LOCATION,
        severity=Severity.HIGH,
        title="The position of {person_name} seems to be made up",
        description=f"Fixes of {{person_name}} (person {row.person_id}): {reason.words}.",
        evidence={"reason": reason.name, **reason.evidence, "device_id": row.device_id},
        fraud_score=reason.fraud_score,
    )


DETECTOR = LocationSpoofing()
