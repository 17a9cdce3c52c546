"""Findings about events that were judged without a row that they refer to. Pure."""

from collections.abc import Sequence

import msgspec

from contracts.envelope import Change
from contracts.findings import Category, FindingType, Severity
from detectors.finding_draft import FindingDraft
from streams.detection.reference_wait import ASSIGNMENT


def with_missing(
    drafts: Sequence[FindingDraft], change: Change, missing: Sequence[str], unreported: Sequence[str], waited_ms: int
) -> list[FindingDraft]:
    """The drafts with the missing references in their evidence, and a draft for each reference that should be reported.

    `unreported` are those of the missing ones that have not been reported recently. A person without shifts is not a
    wrong row and is never reported.
    """
    said = ",".join(missing)
    marked = [msgspec.structs.replace(each, evidence=each.evidence | {"reference_missing": said}) for each in drafts]
    marked += [_unknown(change, name, waited_ms) for name in unreported if name != ASSIGNMENT]
    return marked


def _unknown(change: Change, name: str, waited_ms: int) -> FindingDraft:
    return FindingDraft(
        finding_type=FindingType.DATA_QUALITY,
        category=Category.DATA_QUALITY,
        severity=Severity.INFO,
        title=f"A row names a {name} that is not known",
        description=f"A row of the table {change.table} names a {name} whose own row had not come {waited_ms} ms later. "
        "It was judged without it, and so are others that name it.",
        evidence={
            "reason": f"unknown_{name}",
            f"{name}_id": getattr(change.row, f"{name}_id"),
            "threshold": waited_ms,
            "unit": "ms",
        },
    )
