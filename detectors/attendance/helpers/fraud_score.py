"""How a piece of evidence becomes a fraud score: one curve for all attendance detectors.

`detectors.finding_draft.combined_fraud_score` puts the pieces of one event together.
"""


def saturating_score(score_max: float, excess: float, scale: float) -> float:
    """The score of something that exceeds its threshold: max * (1 - 1 / (2 * (1 + excess / scale))).

    Half of the maximum at the threshold, three quarters of it one scale beyond, the maximum in the limit: a saturating
    hyperbola (Michaelis and Menten 1913), which never decreases with the excess.

    Args:
        score_max: 0..1.
        excess: observed minus threshold, in the unit of the scale; below 0 counts as 0.
        scale: excess that halves the distance to the maximum; where it is not above 0 the score is the maximum.

    >>> saturating_score(0.8, 0, 10), saturating_score(0.8, 10, 10), saturating_score(0.8, float("inf"), 10)
    (0.4, 0.6, 0.8)
    """
    if scale <= 0:
        return score_max
    return round(score_max * (1 - 0.5 / (1 + max(0.0, excess) / scale)), 3)
