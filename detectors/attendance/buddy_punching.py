"""WRONG_PERSON by buddy punching: one phone checks in several persons within seconds."""

from typing import Annotated

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance
from detectors.attendance.helpers.checks import occurred_s, restated
from detectors.attendance.helpers.fraud_score import saturating_score
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.policy import NonNegative, Policy, Positive, Share
from detectors.shared.facts import CHECKS

_USES_MAX = 8
_PERSONS_SHOWN_MAX = 10
_DAY_S = 86_400.0


class BuddyPunchingPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of buddy punching."""

    between_s_max: NonNegative = 10.0
    """Two persons on one phone within this time: who hands a phone on, looks at it and signs in takes longer."""
    shared_persons_min: Annotated[int, msgspec.Meta(ge=2, le=_USES_MAX)] = 4
    """A device that so many persons have used lately is a terminal, where people queue."""
    shared_days: Positive = 14.0
    """What lately is, and how long a terminal is taken for one after it was last seen to be."""
    shared_between_s_max: NonNegative = 2.0
    """The same as between_s_max on a terminal, where only persons whom its face check did not recognise count."""
    shared_face_checks_min: Share = 0.8
    """Share of a terminal's other users whom its face check recognised; below it says nothing that it did not."""
    new_device_s: NonNegative = 43_200.0
    """So long after its first use nobody knows whether a device is a phone or a terminal."""
    new_device_persons_min: Annotated[int, msgspec.Meta(ge=2)] = 3
    """Until then so many persons within between_s_max, where the face check recognised all of them, are a finding."""
    face_check_clears: bool = False
    """True: two persons whom the face check both recognised are no finding. False, because a photograph will do."""
    fraud_score_max: Share = 0.7
    verified_fraud_score_max: Share = 0.4
    """Where the face check recognised both."""


class Use(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The latest check of one person on a device."""

    row_id: int
    person_id: int
    at_s: float
    verified: bool
    """Whether the face check recognised this person."""


class Uses(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who used a device lately, by time, one entry a person."""

    latest: tuple[Use, ...] = ()
    shared_until_s: float = 0.0
    """Until then the device is taken for a terminal; 0: it is not."""
    since_s: float = 0.0
    """The first use."""


class BuddyPunching(Detector):
    """Two checks of different persons on one device with |t1 - t2| <= between_s_max, on a device that is no terminal.

    A terminal is known by its users: shared_persons_min different persons in shared_days, not counting those within
    between_s_max of the check that is judged, so that one large fraud does not look like a terminal. People queue there,
    and a card reader's queue has no shortest step; so on a terminal only persons count whom a face check that usually
    works did not recognise, within shared_between_s_max. Before that many have used it a new terminal is taken for a
    phone: its first queue may give a few findings, once in its life, though not for two persons whom the face check
    recognised; rows of a snapshot teach.

    Told with the row of the second person and of each one after; not again where a person checks twice. Times are the
    rows' own, in any order.

    >>> from datetime import datetime, timezone
    >>> def check(number, person, second):
    ...     at = datetime(2026, 3, 1, 8, 0, second, tzinfo=timezone.utc)
    ...     return Event(Attendance(id=number, tenant_id=1, site_id=4, person_id=person, device_id=9,
    ...                             event_type="CHECK_IN", occurred_at=at), 0)
    >>> detector, policy = BuddyPunching(), BuddyPunchingPolicy()
    >>> state, _ = detector.judge(None, check(1, 17, 0), policy)
    >>> _, (judgement,) = detector.judge(state, check(2, 23, 4), policy)
    >>> judgement.evidence["observed_person_ids"], judgement.evidence["observed_s"], judgement.evidence["threshold_s"]
    ([17, 23], 4.0, 10.0)
    """

    name = "buddy_punching"
    tables = ("attendance",)
    entity = Entity.DEVICE
    state_type = Uses
    policy = BuddyPunchingPolicy()

    def judge(
        self, state: Uses | None, event: Event[Attendance], policy: BuddyPunchingPolicy
    ) -> tuple[Uses | None, FindingDrafts]:
        """The finding where somebody else used the device just before or after."""
        row, before = event.row, event.before
        at_s, person_id = event.at_s or occurred_s(row), row.person_id
        if at_s is None or person_id is None or row.event_type not in CHECKS:
            return state, NOTHING
        if before is not None and restated(event) and before.device_id == row.device_id:
            return state, NOTHING
        uses = Uses(since_s=at_s) if state is None else state
        use = Use(row.id, person_id, at_s, row.verified_person_id == person_id)
        latest, shared_until_s, since_s = uses.latest, uses.shared_until_s, min(uses.since_s, at_s)
        if len(latest) == 1 and latest[0].person_id == person_id and latest[0].at_s < at_s:
            return Uses((use,), shared_until_s, since_s), NOTHING  # a phone and its owner
        if use in latest:
            return state, NOTHING
        near: list[Use] = []
        limit_s = policy.between_s_max
        if not latest or at_s - latest[-1].at_s <= limit_s or shared_until_s - at_s <= _sure_s(policy):
            others = _at_other_times(uses, use, policy)
            if len(others) >= policy.shared_persons_min:
                shared_until_s = max(shared_until_s, at_s + policy.shared_days * _DAY_S)
            if at_s < shared_until_s:
                limit_s, near = policy.shared_between_s_max, _near_on_terminal(uses, use, others, policy)
            else:
                near = _near_on_phone(uses, use, at_s - since_s, policy)
        found = (_judgement(row, use, near, limit_s, policy),) if near else NOTHING
        after = Uses(_with(latest, use), shared_until_s, since_s)
        return (state if after == uses else after), found


def _sure_s(policy: BuddyPunchingPolicy) -> float:
    """While a terminal is taken for one so much longer, nobody asks again whether it is."""
    return (policy.shared_days - 1) * _DAY_S


def _at_other_times(uses: Uses, use: Use, policy: BuddyPunchingPolicy) -> list[Use]:
    """Who used the device lately, but not just now."""
    since_s = use.at_s - policy.shared_days * _DAY_S
    return [
        each
        for each in uses.latest
        if each.at_s >= since_s and abs(each.at_s - use.at_s) > policy.between_s_max and each.row_id != use.row_id
    ]


def _near(uses: Uses, use: Use, limit_s: float, policy: BuddyPunchingPolicy) -> list[Use]:
    """The checks of others just before and after; none where this person had one there already: it was told with that."""
    near = [each for each in uses.latest if each.row_id != use.row_id and abs(each.at_s - use.at_s) <= limit_s]
    if any(each.person_id == use.person_id for each in near):
        return []
    return [each for each in near if not (policy.face_check_clears and each.verified and use.verified)]


def _near_on_phone(uses: Uses, use: Use, age_s: float, policy: BuddyPunchingPolicy) -> list[Use]:
    """The same on a phone, or on what may be one."""
    near = _near(uses, use, policy.between_s_max, policy)
    if age_s >= policy.new_device_s or len(near) + 1 >= policy.new_device_persons_min:
        return near
    return [] if use.verified and all(each.verified for each in near) else near


def _near_on_terminal(uses: Uses, use: Use, others: list[Use], policy: BuddyPunchingPolicy) -> list[Use]:
    """The same on a terminal."""
    recognised = sum(each.verified for each in others)
    if use.verified or not others or recognised < policy.shared_face_checks_min * len(others):
        return []
    return [each for each in _near(uses, use, policy.shared_between_s_max, policy) if not each.verified]


def _with(latest: tuple[Use, ...], use: Use) -> tuple[Use, ...]:
    """The uses with one more, by time: a person's latest counts."""
    left = [each for each in latest if each.row_id != use.row_id]
    if any(each.person_id == use.person_id and each.at_s >= use.at_s for each in left):
        return tuple(left)
    left = [each for each in left if each.person_id != use.person_id]
    left.append(use)
    left.sort(key=_time)
    return tuple(left[-_USES_MAX:])


def _time(use: Use) -> float:
    return use.at_s


def _judgement(
    row: Attendance, use: Use, near: list[Use], between_s_max: float, policy: BuddyPunchingPolicy
) -> FindingDraft:
    between_s = min(abs(each.at_s - use.at_s) for each in near)
    verified = use.verified and all(each.verified for each in near)
    score_max = min(policy.verified_fraud_score_max, policy.fraud_score_max) if verified else policy.fraud_score_max
    persons = sorted({use.person_id, *(each.person_id for each in near)})
    return FindingDraft(
        finding_type=FindingType.WRONG_PERSON,
        category=Category.ATTENDANCE,
        severity=Severity.HIGH,
        title="One device checked in {person_name} and somebody else within seconds",
        description=f"At {{site_name}} device {row.device_id} was used by {len(persons)} persons within "
        f"{between_s_max:g} seconds, {{person_name}} (person {row.person_id}) among them; the nearest check of another "
        f"is {between_s:g} seconds away.",
        evidence={
            "device_id": row.device_id,
            "observed_person_ids": persons[:_PERSONS_SHOWN_MAX],
            "n": len(persons),
            "observed_s": round(between_s, 3),
            "threshold_s": between_s_max,
            "face_check_recognised_all": verified,
        },
        fraud_score=saturating_score(score_max, between_s_max - between_s, max(between_s_max, 1.0)),
    )


DETECTOR = BuddyPunching()
