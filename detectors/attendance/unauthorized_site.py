"""UNAUTHORIZED_SITE: a check-in at a site where the person has no shift around that time."""

from contracts.findings import Category, Evidence, FindingType, Severity
from contracts.rows import Attendance
from detectors.attendance.helpers.checks import is_unchanged
from detectors.attendance.helpers.fraud_score import saturating_score
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Event, FindingDrafts
from detectors.policy import Policy, Seconds, Share
from detectors.shared.facts import CHECK_IN
from detectors.shared.times import unix_s

_SITES_SHOWN_MAX = 10
_HOUR_S = 3_600.0


class UnauthorizedSitePolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of UNAUTHORIZED_SITE."""

    check_in_early_s_max: Seconds = 3_600.0
    """How long before a shift its site may be entered."""
    check_in_late_s_max: Seconds = 3_600.0
    """How long after the end of a shift its site may still be entered (a forgotten bag, an extension)."""
    fraud_score_max: Share = 0.5
    """Often two persons swapped shifts and nobody entered it; with other evidence it counts."""


class UnauthorizedSite(Detector):
    """A check-in at time t at site s is authorized by a shift at s with start - early <= t <= end + late.

    t is the row's own time: a late upload is judged by the shifts of when it happened, a night shift by its start and
    end. Only check-ins are judged: the check-out of an unauthorized visit would be reported a second time. Where the
    person's shifts did not arrive in time the evidence says so: `reference_missing`.

    >>> from datetime import datetime, timezone
    >>> from detectors.shared.facts import Shift
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
    policy = UnauthorizedSitePolicy()

    def judge(
        self, state: None, event: Event[Attendance], policy: UnauthorizedSitePolicy
    ) -> tuple[None, FindingDrafts]:
        """The finding where site, person and time are known and no shift covers them."""
        row = event.row
        if row.event_type != CHECK_IN or row.site_id is None or row.person_id is None:
            return state, NOTHING
        at_s = event.at_s or unix_s(row.occurred_at)
        if at_s is None or (event.before and is_unchanged(event)):
            return state, NOTHING
        early_s, late_s = policy.check_in_early_s_max, policy.check_in_late_s_max
        for shift in event.shifts:
            if shift.site_id == row.site_id and shift.start_s - early_s <= at_s <= shift.end_s + late_s:
                return state, NOTHING
        expected = {shift.site_id for shift in event.shifts if shift.start_s - early_s <= at_s <= shift.end_s + late_s}
        here = [shift for shift in event.shifts if shift.site_id == row.site_id]
        off_s = min((max(shift.start_s - early_s - at_s, at_s - shift.end_s - late_s) for shift in here), default=None)
        evidence: Evidence = {
            "observed_site_id": row.site_id,
            "expected_site_ids": sorted(expected)[:_SITES_SHOWN_MAX],
            "n": len(event.shifts),
            "observed_off_s": None if off_s is None else round(off_s, 3),
            "check_in_early_s_max": policy.check_in_early_s_max,
            "check_in_late_s_max": policy.check_in_late_s_max,
        }
        if "assignment" in event.missing:
            evidence["reference_missing"] = True
        return state, (
            FindingDraft(
                finding_type=FindingType.UNAUTHORIZED_SITE,
                category=Category.ATTENDANCE,
                severity=Severity.HIGH,
                title="{person_name} checked in at a site without a shift there",
                description=f"{{person_name}} (person {row.person_id}) checked in at {{site_name}} (site {row.site_id}); "
                f"of {len(event.shifts)} known shifts none is there at this time.",
                evidence=evidence,
                fraud_score=saturating_score(policy.fraud_score_max, float("inf") if off_s is None else off_s, _HOUR_S),
            ),
        )


DETECTOR = UnauthorizedSite()
