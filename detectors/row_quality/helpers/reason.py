"""Why a row cannot be right, and the DATA_QUALITY finding that says so."""

from collections.abc import Sequence
from typing import NamedTuple

from contracts.findings import Category, Evidence, FindingType, Severity
from detectors.finding_draft import FindingDraft

_REASONS_SHOWN_MAX = 8


class Reason(NamedTuple):
    """One value that cannot be right."""

    code: str
    """For programs; with spaces for its underscores it completes a sentence: the column is `negative`."""
    column: str
    observed: float | str | None = None
    """The value, shortened; never one that identifies a person."""
    threshold: float | None = None


def quality_draft(reasons: Sequence[Reason]) -> FindingDraft:
    """The finding of one row, for at least one reason.

    Evidence: `reason`, `column`, `observed` and, where there is one, `threshold`; of a second reason the same with
    `_2`, and so on; `n` is how many there are. Text of the row appears in the evidence only.
    """
    evidence: Evidence = {}
    for number, reason in enumerate(reasons[:_REASONS_SHOWN_MAX], 1):
        suffix = "" if number == 1 else f"_{number}"
        evidence["reason" + suffix] = reason.code
        evidence["column" + suffix] = reason.column
        evidence["observed" + suffix] = reason.observed
        if reason.threshold is not None:
            evidence["threshold" + suffix] = reason.threshold
    evidence["n"] = len(reasons)
    said = [f"{reason.column} is {reason.code.replace('_', ' ')}" for reason in reasons[:_REASONS_SHOWN_MAX]]
    return FindingDraft(
        finding_type=FindingType.DATA_QUALITY,
        category=Category.DATA_QUALITY,
        severity=Severity.INFO,
        title=f"A row that cannot be right: {said[0]}",
        description=f"{'; '.join(said).capitalize()}. The row was judged without it.",
        evidence=evidence,
    )
