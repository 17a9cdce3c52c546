"""UNEXPECTED_LOCATION: a check-in was made away from the site that it names."""

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Attendance
from detectors.attendance.helpers.fraud_score import saturating_score
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Event, FindingDrafts
from detectors.policy import Factor, Metres, Policy, Share
from detectors.shared.facts import CHECK_IN

_KM_M = 1_000.0


class UnexpectedLocationPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of UNEXPECTED_LOCATION."""

    margin_m: Metres = 100.0
    """How far outside the site's area a check-in may be beyond its accuracy: the car park, a gate across the street."""
    accuracy_factor: Factor = 2.0
    """Phones state the radius that contains 68 % of fixes; twice that contains more than 95 % of normal errors."""
    accuracy_default_m: Metres = 50.0
    """Of a position that states no accuracy."""
    accuracy_m_max: Metres = 1_000.0
    """A position less accurate than this is no evidence and is not judged."""
    fraud_score_max: Share = 0.8
    """Checking in from home is a plain case of fraud."""


class UnexpectedLocation(Detector):
    """outside > accuracy_factor * accuracy + margin, with outside the metres from the position to the site's area.

    The area is the site's polygon, or the circle around its position; within it the distance is 0 m. Check-outs are not
    judged: people remember them on the way home. Neither is a row without a position, nor a site without an area. The
    accuracy is what Android's `Location.getAccuracy` and iOS's `horizontalAccuracy` state: the radius of 68 % confidence.

    >>> from detectors.shared.facts import SiteFacts
    >>> from detectors.shared.geo import circle
    >>> yard = SiteFacts(site_id=4, area=circle(48.0, 11.0, 100.0, reach_m_max=1e5))
    >>> row = Attendance(id=1, tenant_id=1, site_id=4, person_id=17, event_type="CHECK_IN",
    ...                  latitude=48.01, longitude=11.0, accuracy_m=20.0)
    >>> _, (draft,) = UnexpectedLocation().judge(None, Event(row, 0, site=yard), UnexpectedLocationPolicy())
    >>> draft.evidence
    {'observed_m': 1012.0, 'expected_m': 0.0, 'threshold_m': 140.0, 'accuracy_m': 20.0, 'margin_m': 100.0}
    """

    name = "unexpected_location"
    tables = ("attendance",)
    policy = UnexpectedLocationPolicy()

    def judge(
        self, state: None, event: Event[Attendance], policy: UnexpectedLocationPolicy
    ) -> tuple[None, FindingDrafts]:
        """The finding where the position and the area are known and too far apart."""
        row, before = event.row, event.before
        if row.event_type != CHECK_IN or row.latitude is None or row.longitude is None:
            return state, NOTHING
        area = None if event.site is None else event.site.area
        if area is None or (before is not None and _where(before) == _where(row)):
            return state, NOTHING
        outside_m = area.distance_m(row.latitude, row.longitude)
        accuracy_m = policy.accuracy_default_m if row.accuracy_m is None else max(0.0, row.accuracy_m)
        threshold_m = policy.accuracy_factor * accuracy_m + policy.margin_m
        if not outside_m > threshold_m or accuracy_m > policy.accuracy_m_max:
            return state, NOTHING
        return state, (
            FindingDraft(
                finding_type=FindingType.UNEXPECTED_LOCATION,
                category=Category.ATTENDANCE,
                severity=Severity.MEDIUM,
                title="{person_name} checked in away from the site",
                description=f"{{person_name}} (person {row.person_id}) checked in at {{site_name}} from a place "
                f"{outside_m:.0f} m outside it; {threshold_m:.0f} m are allowed.",
                evidence={
                    "observed_m": round(outside_m, 1),
                    "expected_m": 0.0,
                    "threshold_m": round(threshold_m, 1),
                    "accuracy_m": accuracy_m,
                    "margin_m": policy.margin_m,
                },
                fraud_score=saturating_score(policy.fraud_score_max, outside_m - threshold_m, _KM_M),
            ),
        )


def _where(row: Attendance) -> tuple[object, ...]:
    return (row.event_type, row.site_id, row.person_id, row.latitude, row.longitude, row.accuracy_m)


DETECTOR = UnexpectedLocation()
