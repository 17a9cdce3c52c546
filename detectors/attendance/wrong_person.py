"""WRONG_PERSON: the face check recognised somebody else than the person who was checked in or out."""

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Event, FindingDrafts
from detectors.policy import Policy, Share


class WrongPersonPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of WRONG_PERSON."""

    fraud_score: Share = 0.9
    """Nearly certain by itself: the only other explanation is a mistake of the face check."""


class WrongPerson(Detector):
    """Compares `verified_person_id` with `person_id`. An event without a verification is not judged.

    >>> row = Attendance(id=1, tenant_id=1, person_id=17, verified_person_id=23, event_type="CHECK_IN")
    >>> _, (draft,) = WrongPerson().judge(None, Event(row, 0), WrongPersonPolicy())
    >>> draft.evidence
    {'expected_person_id': 17, 'observed_person_id': 23}
    """

    name = "wrong_person"
    tables = ("attendance",)
    policy = WrongPersonPolicy()

    def judge(self, state: None, event: Event[Attendance], policy: WrongPersonPolicy) -> tuple[None, FindingDrafts]:
        """The finding where the two persons are known and differ, and it is not what was judged before."""
        row, before = event.row, event.before
        expected, observed = row.person_id, row.verified_person_id
        if expected is None or observed is None or expected == observed:
            return state, NOTHING
        if before is not None and (before.person_id, before.verified_person_id) == (expected, observed):
            return state, NOTHING
        return state, (
            FindingDraft(
                finding_type=FindingType.WRONG_PERSON,
                category=Category.ATTENDANCE,
                severity=Severity.HIGH,
                title="Somebody else used the attendance of {person_name}",
                description=f"At {{site_name}} the face check recognised person {observed}, "
                f"not {{person_name}} (person {expected}).",
                evidence={"expected_person_id": expected, "observed_person_id": observed},
                fraud_score=policy.fraud_score,
            ),
        )


DETECTOR = WrongPerson()
