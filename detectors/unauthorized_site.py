"""UNAUTHORIZED_SITE: a check-in at a site where the person has no shift around that time."""

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance
from detectors.facts import CHECK_IN
from detectors.interface import NOTHING, Entity, Event, Judgements
from detectors.judgement import Evidence, Judgement
from detectors.policy import Policy

_SITES_SHOWN_MAX = 10


class UnauthorizedSitePolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of UNAUTHORIZED_SITE."""

    check_in_early_s_max: float = 3_600.0
    """How long before a shift its site may be entered."""
    check_in_late_s_max: float = 3_600.0
    """How long after the end of a shift its site may still be entered (a forgotten bag, an extension)."""
    fraud_score: float = 0.5
    """Often a swap that nobody entered; with other evidence it weighs."""


class UnauthorizedSite:
    """A check-in at time t at site s is authorized by a shift at s with start - early <= t <= end + late.

    Only check-ins are judged: the check-out of an unauthorized visit would say the same again.

    >>> from datetime import datetime, timezone
    >>> from detectors.facts import Shift
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    >>> row = Attendance(id=1, tenant_id=1, person_id=17, site_id=4, event_type="CHECK_IN", occurred_at=noon)
    >>> here = Shift(1, 4, noon.timestamp(), noon.timestamp() + 60)
    >>> there = Shift(2, 5, noon.timestamp(), noon.timestamp() + 60)
    >>> judge = UnauthorizedSite().judge
    >>> judge(None, Event(row, 0, shifts=[here]), UnauthorizedSitePolicy())
    (None, ())
    >>> judge(None, Event(row, 0, shifts=[there]), UnauthorizedSitePolicy())[1][0].evidence["expected_site_ids"]
    [5]
    """

    name = "unauthorized_site"
    tables = ("attendance",)
    entity = Entity.NOTHING
    state_type = None
    policy = UnauthorizedSitePolicy()

    def judge(self, state: None, event: Event[Attendance], policy: UnauthorizedSitePolicy) -> tuple[None, Judgements]:
        """The finding where site, person and time are known and no shift covers them."""
        row = event.row
        if row.event_type != CHECK_IN or row.site_id is None or row.person_id is None or row.occurred_at is None:
            return state, NOTHING
        if event.before is not None and _judged(event.before) == _judged(row):
            return state, NOTHING
        at_s = row.occurred_at.timestamp()
        expected: set[int] = set()
        for shift in event.shifts:
            if shift.start_s - policy.check_in_early_s_max <= at_s <= shift.end_s + policy.check_in_late_s_max:
                if shift.site_id == row.site_id:
                    return state, NOTHING
                expected.add(shift.site_id)
        evidence: Evidence = {
            "observed_site_id": row.site_id,
            "expected_site_ids": sorted(expected)[:_SITES_SHOWN_MAX],
            "n": len(event.shifts),
            "check_in_early_s_max": policy.check_in_early_s_max,
            "check_in_late_s_max": policy.check_in_late_s_max,
        }
        return state, (
            Judgement(
                finding_type=FindingType.UNAUTHORIZED_SITE,
                category=Category.ATTENDANCE,
                severity=Severity.HIGH,
                title="{person_name} checked in at a site without a shift there",
                description=f"{{person_name}} (person {row.person_id}) checked in at {{site_name}} (site {row.site_id}); "
                f"of {len(event.shifts)} known shifts none is there at this time.",
                evidence=evidence,
                fraud_score=policy.fraud_score,
            ),
        )


def _judged(row: Attendance) -> tuple[object, ...]:
    return (row.event_type, row.site_id, row.person_id, row.occurred_at)
