"""CHECKPOINTS_SKIPPED: a tour that was completed with fewer checkpoints scanned than expected."""

from typing import Annotated

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Jobneed
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.policy import COUNT_MAX, Policy

COMPLETED = "COMPLETED"


class CheckpointsSkippedPolicy(Policy, frozen=True, kw_only=True):
    """How many checkpoints may be left out. Both thresholds must be exceeded."""

    skipped_checkpoints_max: Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)] = 0
    """This many may be left out."""
    skipped_share_max: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    """This share of the expected checkpoints may be left out."""


class SkippedTour(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A completed tour that was reported. About 60 bytes in memory; a complete tour leaves no state."""

    skipped: int


class CheckpointsSkipped(Detector):
    """`checkpoints_expected - checkpoints_scanned` at completion, against a number and a share.

    Any job with checkpoints is judged, whatever its type, when it becomes COMPLETED (also when its row arrives completed)
    and when a completed job is corrected. Reported once a job, and again only where a correction increases the number. A
    job whose expected or scanned number is unknown is not judged.

    >>> row = Jobneed(id=1, tenant_id=1, status="COMPLETED", checkpoints_expected=8, checkpoints_scanned=6)
    >>> _, (draft,) = CheckpointsSkipped().judge(None, Event(row, 0), CheckpointsSkippedPolicy())
    >>> draft.evidence
    {'observed': 6, 'expected': 8, 'skipped': 2, 'skipped_share': 0.25, 'threshold': 0, 'threshold_share': 0.0}
    """

    name = "checkpoints_skipped"
    tables = ("jobneed",)
    entity = Entity.ROW
    state_type = SkippedTour
    policy = CheckpointsSkippedPolicy()

    def judge(
        self, state: SkippedTour | None, event: Event[Jobneed], policy: CheckpointsSkippedPolicy
    ) -> tuple[SkippedTour | None, FindingDrafts]:
        """The finding where the job is completed now and more is missing than was reported."""
        row = event.row
        if row.status != COMPLETED:
            return None, NOTHING
        expected, scanned = row.checkpoints_expected, row.checkpoints_scanned
        if expected is None or scanned is None or expected <= scanned or scanned < 0:
            return state, NOTHING
        skipped = expected - scanned
        if skipped <= policy.skipped_checkpoints_max or skipped <= policy.skipped_share_max * expected:
            return state, NOTHING
        before = event.before
        if state is not None and skipped <= state.skipped:
            return state, NOTHING
        if before is not None and before.status == COMPLETED and _skipped(before) >= skipped:
            return state, NOTHING
        return SkippedTour(skipped), (
            FindingDraft(
                finding_type=FindingType.CHECKPOINTS_SKIPPED,
                category=Category.TASK,
                severity=Severity.MEDIUM,
                title="Checkpoints were skipped at {site_name}",
                description=f"{{person_name}} completed the tour with {scanned} of {expected} checkpoints scanned.",
                evidence={
                    "observed": scanned,
                    "expected": expected,
                    "skipped": skipped,
                    "skipped_share": round(skipped / expected, 4),
                    "threshold": policy.skipped_checkpoints_max,
                    "threshold_share": policy.skipped_share_max,
                },
            ),
        )


def _skipped(row: Jobneed) -> int:
    return (row.checkpoints_expected or 0) - (row.checkpoints_scanned or 0)


DETECTOR = CheckpointsSkipped()
