"""What a detector returns, and how scores combine."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from contracts.findings import Category, FindingType, Severity

Evidence: TypeAlias = dict[str, int | float | str | bool | list[int] | None]


class FindingDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A finding before it has an identity: the detector's part of it.

    `title` and `description` may hold `{person_name}` and `{site_name}`, never a name itself.
    """

    finding_type: FindingType
    category: Category
    severity: Severity
    title: str
    description: str
    evidence: Evidence
    fraud_score: float | None = None
    """How far this piece of evidence alone speaks for fraud, 0..1."""


def combined_fraud_score(scores: Iterable[float | None]) -> float | None:
    """Independent pieces of evidence combined: 1 - prod(1 - s), the noisy-or (Pearl 1988, section 4.3.2).

    Grows with each piece and with each piece's score, stays within 0..1. None where there is no piece.

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
