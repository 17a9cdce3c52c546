"""WRONG_PERSON by buddy punching: one phone checks in several persons within seconds."""

from operator import attrgetter
from typing import Annotated

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance
from detectors.attendance.helpers.checks import is_unchanged
from detectors.attendance.helpers.fraud_score import saturating_score
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.policy import COUNT_MAX, Policy, PositiveDays, Seconds, Share
from detectors.shared.facts import CHECKS
from detectors.shared.times import unix_s

_USES_MAX = 8
_PERSONS_SHOWN_MAX = 10
_DAY_S = 86_400.0
_time = attrgetter("at_s")


class BuddyPunchingPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of buddy punching."""

    between_s_max: Seconds = 10.0
    """Two persons on one phone within this time: passing a phone on, looking at it and signing in takes longer."""
    shared_persons_min: Annotated[int, msgspec.Meta(ge=2, le=_USES_MAX)] = 4
    """A device that this many persons have used recently is a terminal, where people queue."""
    shared_days: PositiveDays = 14.0
    """What "recently" means, and how long a device counts as a terminal after it was last found to be one."""
    shared_between_s_max: Seconds = 2.0
    """As between_s_max, on a terminal, where only persons count whom its face check did not recognise."""
    shared_face_checks_min: Share = 0.8
    """Share of a terminal's other users whom its face check recognised; below it a face that it did not recognise
    proves nothing."""
    new_device_s: Seconds = 43_200.0
    """For this long after its first use nobody knows whether a device is a phone or a terminal."""
    new_device_persons_min: Annotated[int, msgspec.Meta(ge=2, le=COUNT_MAX)] = 3
    """Until then it takes this many persons within between_s_max, where the face check recognised all of them."""
    face_check_clears: bool = False
    """True: two persons whom the face check both recognised are no finding. False by default, because a photograph can
    deceive it."""
    fraud_score_max: Share = 0.7
    verified_fraud_score_max: Share = 0.4
    """Where the face check recognised both."""


class DeviceUse(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The latest check of one person on a device."""

    row_id: int
    person_id: int
    at_s: float
    verified: bool
    """Whether the face check recognised this person."""


class DeviceUses(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who used a device recently, in order of time, one entry for each person."""

    latest: tuple[DeviceUse, ...] = ()
    terminal_until_s: float = 0.0
    """Until then the device counts as a terminal; 0: it does not."""
    since_s: float = 0.0
    """The first use."""


class BuddyPunching(Detector):
    """Two checks of different persons on one device with |t1 - t2| <= between_s_max, on a device that is no terminal.

    A device is a terminal when shared_persons_min different persons have used it in shared_days, not counting those
    within between_s_max of the check that is judged, so that one large fraud does not look like a terminal. People queue
    at a terminal, and may follow each other at any interval; so only persons count there whom a face check that usually
    works did not recognise, within shared_between_s_max. Before enough persons have used it a new terminal counts as a
    phone: its first queue may give a few findings, once, though not for two persons whom the face check recognised. Rows
    of a snapshot count as uses.

    Reported with the row of the second person and of each one after; not again where a person checks twice. Times are
    the rows' own, in any order.

    >>> from datetime import datetime, timezone
    >>> def check(number, person, second):
    ...     at = datetime(2026, 3, 1, 8, 0, second, tzinfo=timezone.utc)
    ...     return Event(Attendance(id=number, tenant_id=1, site_id=4, person_id=person, device_id=9,
    ...                             event_type="CHECK_IN", occurred_at=at), 0)
    >>> detector, policy = BuddyPunching(), BuddyPunchingPolicy()
    >>> state, _ = detector.judge(None, check(1, 17, 0), policy)
    >>> _, (draft,) = detector.judge(state, check(2, 23, 4), policy)
    >>> draft.evidence["observed_person_ids"], draft.evidence["observed_s"], draft.evidence["threshold_s"]
    ([17, 23], 4.0, 10.0)
    """

    name = "buddy_punching"
    tables = ("attendance",)
    entity = Entity.DEVICE
    state_type = DeviceUses
    policy = BuddyPunchingPolicy()

    def judge(
        self, state: DeviceUses | None, event: Event[Attendance], policy: BuddyPunchingPolicy
    ) -> tuple[DeviceUses | None, FindingDrafts]:
        """The finding where somebody else used the device just before or after."""
        row, before = event.row, event.before
        at_s, person_id = event.at_s or unix_s(row.occurred_at), row.person_id
        if at_s is None or person_id is None or row.event_type not in CHECKS:
            return state, NOTHING
        if before is not None and is_unchanged(event) and before.device_id == row.device_id:
            return state, NOTHING
        uses = DeviceUses(since_s=at_s) if state is None else state
        use = DeviceUse(row.id, person_id, at_s, row.verified_person_id == person_id)
        latest, terminal_until_s, since_s = uses.latest, uses.terminal_until_s, min(uses.since_s, at_s)
        if len(latest) == 1 and latest[0].person_id == person_id and latest[0].at_s < at_s:
            return DeviceUses((use,), terminal_until_s, since_s), NOTHING  # a phone and its owner
        if use in latest:
            return state, NOTHING
        near: list[DeviceUse] = []
        limit_s = policy.between_s_max
        if not latest or at_s - latest[-1].at_s <= limit_s or terminal_until_s - at_s <= _settled_s(policy):
            others = _other_uses(uses, use, policy)
            if len(others) >= policy.shared_persons_min:
                terminal_until_s = max(terminal_until_s, at_s + policy.shared_days * _DAY_S)
            if at_s < terminal_until_s:
                limit_s, near = policy.shared_between_s_max, _near_on_terminal(uses, use, others, policy)
            else:
                near = _near_on_phone(uses, use, at_s - since_s, policy)
        found = (_draft(row, use, near, limit_s, policy),) if near else NOTHING
        after = DeviceUses(_with_use(latest, use), terminal_until_s, since_s)
        return (state if after == uses else after), found


def _settled_s(policy: BuddyPunchingPolicy) -> float:
    """A device that counts as a terminal for longer than this is not examined again: it was less than a day ago."""
    return (policy.shared_days - 1) * _DAY_S


def _other_uses(uses: DeviceUses, use: DeviceUse, policy: BuddyPunchingPolicy) -> list[DeviceUse]:
    """Who used the device recently, but not just now."""
    since_s = use.at_s - policy.shared_days * _DAY_S
    return [
        each
        for each in uses.latest
        if each.at_s >= since_s and abs(each.at_s - use.at_s) > policy.between_s_max and each.row_id != use.row_id
    ]


def _near(uses: DeviceUses, use: DeviceUse, limit_s: float, policy: BuddyPunchingPolicy) -> list[DeviceUse]:
    """The checks of others just before and after; none where this person had one then already: that was reported."""
    near = [each for each in uses.latest if each.row_id != use.row_id and abs(each.at_s - use.at_s) <= limit_s]
    if any(each.person_id == use.person_id for each in near):
        return []
    return [each for each in near if not (policy.face_check_clears and each.verified and use.verified)]


def _near_on_phone(uses: DeviceUses, use: DeviceUse, age_s: float, policy: BuddyPunchingPolicy) -> list[DeviceUse]:
    """The same on a phone, or on a device that may be one."""
    near = _near(uses, use, policy.between_s_max, policy)
    if age_s >= policy.new_device_s or len(near) + 1 >= policy.new_device_persons_min:
        return near
    return [] if use.verified and all(each.verified for each in near) else near


def _near_on_terminal(
    uses: DeviceUses, use: DeviceUse, others: list[DeviceUse], policy: BuddyPunchingPolicy
) -> list[DeviceUse]:
    """The same on a terminal."""
    recognised = sum(each.verified for each in others)
    if use.verified or not others or recognised < policy.shared_face_checks_min * len(others):
        return []
    return [each for each in _near(uses, use, policy.shared_between_s_max, policy) if not each.verified]


def _with_use(latest: tuple[DeviceUse, ...], use: DeviceUse) -> tuple[DeviceUse, ...]:
    """The uses with one more, in order of time: each person's latest counts."""
    others = [each for each in latest if each.row_id != use.row_id]
    if any(each.person_id == use.person_id and each.at_s >= use.at_s for each in others):
        return tuple(others)
    others = [each for each in others if each.person_id != use.person_id]
    return tuple(sorted((*others, use), key=_time)[-_USES_MAX:])


def _draft(
    row: Attendance, use: DeviceUse, near: list[DeviceUse], between_s_max: float, policy: BuddyPunchingPolicy
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
