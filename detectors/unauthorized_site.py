"""UNAUTHORIZED_SITE: a check-in at a site where the person has no shift around that time."""

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance
from detectors.attendance import CHECK_IN, AttendanceContext, AttendancePolicy
from detectors.judgement import Judgement

FRAUD_SCORE = 0.5
"""Often a swap that nobody entered; with other evidence it weighs."""
_SITES_SHOWN_MAX = 10


class UnauthorizedSite:
    """A check-in at time t at site s is authorized by a shift at s with start - early <= t <= end + late.

    Only check-ins are judged: the check-out of an unauthorized visit would say the same again.

    >>> from datetime import datetime, timezone
    >>> from detectors.attendance import Shift
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    >>> event = Attendance(id=1, tenant_id=1, person_id=17, site_id=4, event_type="CHECK_IN", occurred_at=noon)
    >>> here, there = Shift(1, 4, noon.timestamp(), noon.timestamp() + 60), Shift(2, 5, noon.timestamp(), noon.timestamp() + 60)
    >>> UnauthorizedSite()(event, AttendanceContext([here]), AttendancePolicy()) is None
    True
    >>> UnauthorizedSite()(event, AttendanceContext([there]), AttendancePolicy()).evidence["expected_site_ids"]
    [5]
    """

    name = "unauthorized_site"

    def __call__(self, event: Attendance, context: AttendanceContext, policy: AttendancePolicy) -> Judgement | None:
        """The finding where site, person and time are known and no shift covers them."""
        if (
            event.event_type != CHECK_IN
            or event.site_id is None
            or event.person_id is None
            or event.occurred_at is None
        ):
            return None
        at_s = event.occurred_at.timestamp()
        expected: set[int] = set()
        for shift in context.shifts:
            if shift.start_s - policy.check_in_early_s_max <= at_s <= shift.end_s + policy.check_in_late_s_max:
                if shift.site_id == event.site_id:
                    return None
                expected.add(shift.site_id)
        return Judgement(
            finding_type=FindingType.UNAUTHORIZED_SITE,
            category=Category.ATTENDANCE,
            severity=Severity.HIGH,
            title="{person_name} checked in at a site without a shift there",
            description=f"{{person_name}} (person {event.person_id}) checked in at {{site_name}} (site {event.site_id}); "
            f"of {len(context.shifts)} known shifts none is there at this time.",
            evidence={
                "observed_site_id": event.site_id,
                "expected_site_ids": sorted(expected)[:_SITES_SHOWN_MAX],
                "n": len(context.shifts),
                "check_in_early_s_max": policy.check_in_early_s_max,
                "check_in_late_s_max": policy.check_in_late_s_max,
            },
            fraud_score=FRAUD_SCORE,
        )
