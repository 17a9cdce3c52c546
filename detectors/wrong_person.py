"""WRONG_PERSON: the face check recognised somebody else than the person who was checked in or out."""

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance
from detectors.attendance import AttendanceContext, AttendancePolicy
from detectors.judgement import Judgement

FRAUD_SCORE = 0.9
"""Alone nearly certain: what remains is a mistake of the face check."""


class WrongPerson:
    """Compares `verified_person_id` with `person_id`. An event without a verification is not judged.

    >>> event = Attendance(id=1, tenant_id=1, person_id=17, verified_person_id=23, event_type="CHECK_IN")
    >>> WrongPerson()(event, AttendanceContext(), AttendancePolicy()).evidence
    {'expected_person_id': 17, 'observed_person_id': 23}
    """

    name = "wrong_person"

    def __call__(self, event: Attendance, context: AttendanceContext, policy: AttendancePolicy) -> Judgement | None:
        """The finding where the two persons are known and differ."""
        expected, observed = event.person_id, event.verified_person_id
        if expected is None or observed is None or expected == observed:
            return None
        return Judgement(
            finding_type=FindingType.WRONG_PERSON,
            category=Category.ATTENDANCE,
            severity=Severity.HIGH,
            title="Somebody else used the attendance of {person_name}",
            description=f"At {{site_name}} the face check recognised person {observed}, not {{person_name}} (person {expected}).",
            evidence={"expected_person_id": expected, "observed_person_id": observed},
            fraud_score=FRAUD_SCORE,
        )
