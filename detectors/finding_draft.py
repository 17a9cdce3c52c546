"""What a detector returns, and how scores combine."""

from collections.abc import Iterable

import msgspec

from contracts.findings import Category, Evidence, Severity


class FindingDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A finding without its identity and time: what a detector says.

    `title` and `description` may hold `{person_name}` and `{site_name}`, never a name itself.
    """

    finding_type: str
    """One of `contracts.findings.FindingType`, or a new type's name in the same form."""
    category: Category
    severity: Severity
    title: str
    description: str
    evidence: Evidence
    fraud_score: float | None = None
    """How strongly this evidence alone suggests fraud, 0..1."""


def combined_fraud_score(scores: Iterable[float | None]) -> float | None:
    """Independent pieces of evidence combined: 1 - prod(1 - s), the noisy-or (Pearl 1988, section 4.3.2).

    It grows with each piece and with each piece's score, and stays within 0..1. None where no piece has a score.

    >>> combined_fraud_score([0.5, 0.5]), combined_fraud_score([None]), combined_fraud_score([None, 0.2])
    (0.75, None, 0.2)
    """
    doubt = 1.0
    found = False
    for score in scores:
        if score is not None:
            doubt *= 1.0 - score
            found = True
    return round(1.0 - doubt, 6) if found else None
