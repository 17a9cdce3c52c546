"""The arithmetic of learned baselines: moments, scale, shrinkage, drift. Values in, values out; knows no detector.

River has some of it; docs/decisions/0016 says why it is not used at run time. Tests compare these with river's.
"""

from collections.abc import Sequence
from math import inf, sqrt

import msgspec

MAD_TO_SIGMA = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""
ABS_TO_SIGMA = sqrt(3.141592653589793 / 2)
"""Standard deviation over mean absolute deviation of a normal distribution."""
MEDIAN_VARIANCE = 1.5708
"""Variance of a median over that of a mean of as many normal values (pi / 2)."""
RESIDUAL_SIGMAS_MAX = 2.5
"""Larger residuals count as this many sigmas when the scale is learned (Huber 1964)."""
DRIFT_FADING = 0.9999
"""How much of the Page-Hinkley sums is kept from value to value."""


def updated_moments(mean: float, variance: float, value: float, weight: float) -> tuple[float, float]:
    """Exponentially weighted mean and variance after one more value of this weight (Finch 2009, section 9).

    With weights 1, 1/2, 1/3, … they are the plain mean and the population variance.

    >>> updated_moments(10.0, 0.0, 12.0, 0.5)
    (11.0, 1.0)
    """
    difference = value - mean
    step = weight * difference
    return mean + step, (1.0 - weight) * (variance + difference * step)


def updated_scale(sigma: float, residual: float, weight: float) -> float:
    """A standard deviation after one more residual, by stochastic approximation of the mean absolute residual.

    Robust: no residual counts as more than RESIDUAL_SIGMAS_MAX (Huber 1964); residuals that stay large are followed.

    >>> updated_scale(1.0, 100.0, 0.1) == updated_scale(1.0, 2.5, 0.1)
    True
    """
    bounded = min(abs(residual), RESIDUAL_SIGMAS_MAX * sigma)
    return sigma + weight * (ABS_TO_SIGMA * bounded - sigma)


def median(ordered: Sequence[float]) -> float:
    """Of values in ascending order, at least one.

    >>> median([1, 2, 9]), median([1, 2, 3, 9])
    (2, 2.5)
    """
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def robust_moments(values: Sequence[float]) -> tuple[float, float]:
    """Median, and the median absolute deviation as a standard deviation (Rousseeuw and Croux 1993), of some values.

    >>> robust_moments([1.0, 2.0, 3.0, 100.0, 2.0])
    (2.0, 1.4826)
    """
    centre = median(sorted(values))
    return centre, MAD_TO_SIGMA * median(sorted(abs(value - centre) for value in values))


def shrunk(own: float, own_variance: float, prior: float, prior_variance: float) -> tuple[float, float, float]:
    """An estimate drawn towards the group's mean (Efron and Morris 1975): expected value, its variance, own weight.

    Args:
        own: the entity's own estimate.
        own_variance: of that estimate: sigma^2 / n for a mean of n values; inf where there is none.
        prior: the mean of the group.
        prior_variance: of the group's members around that mean.

    >>> shrunk(10.0, 1.0, 0.0, 1.0)
    (5.0, 0.5, 0.5)
    >>> shrunk(0.0, inf, 4.0, 2.0)
    (4.0, 2.0, 0.0)
    """
    weight = 0.0 if own_variance == inf else prior_variance / (prior_variance + own_variance)
    return prior + weight * (own - prior), (1.0 - weight) * prior_variance, weight


class PageHinkley(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Page's two-sided test whether a mean has moved (Page 1954; Hinkley 1971), as in river. 50 bytes encoded.

    up_t = f up_(t-1) + (x - mean_t) - delta, drift where up_t - min(up) > threshold; down in the same way.

    >>> test = PageHinkley()
    >>> for value in [0.0] * 20 + [5.0] * 20:
    ...     test = test.after(value, delta=0.5)
    >>> test.drifted(threshold=40.0)
    True
    """

    n: int = 0
    mean: float = 0.0
    up: float = 0.0
    up_min: float = 0.0
    down: float = 0.0
    down_max: float = 0.0

    def after(self, value: float, *, delta: float) -> "PageHinkley":
        """The test after one more value; `delta` is the tolerated move of the mean."""
        n = self.n + 1
        mean = self.mean + (value - self.mean) / n
        up = DRIFT_FADING * self.up + (value - mean) - delta
        down = DRIFT_FADING * self.down + (value - mean) + delta
        return PageHinkley(
            n, mean, up, min(self.up_min, up) if self.n else up, down, max(self.down_max, down) if self.n else down
        )

    def drifted(self, *, threshold: float) -> bool:
        """Whether the mean has moved."""
        return self.up - self.up_min > threshold or self.down_max - self.down > threshold
