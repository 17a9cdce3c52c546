"""What is usual for the durations of one kind of job: the learned part of UNUSUAL_COMPLETION_TIME.

Durations are learned as their logarithms: they are skewed, and ratios such as "twice as long" are what matters.
"""

from collections.abc import Sequence
from math import inf

import msgspec

from detectors.shared.baseline import robust_moments, shrunk, updated_moments

WEIGHT_MIN = 0.01
"""Of the newest job in the means: about the last hundred jobs count."""
RECENT_IDS_MAX = 16
"""Jobs whose ids are kept, so that a change of a completed job does not count it twice."""
SITE_FOREIGN_N = 3
"""Jobs that a site needs before its mean counts for how sites differ."""


class SiteDurations(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The jobs of the kind at one site. 190 bytes in memory, 24 in the changelog."""

    site_id: int
    n: int = 0
    mean: float = 0.0
    run: int = 0
    """How many jobs in a row were anomalous on the same side; negative: shorter ones."""
    run_mean: float = 0.0
    """Their mean."""


class KindDurations(msgspec.Struct, frozen=True, array_like=True):
    """A kind of job. In the learning period 130 bytes a job (14 encoded); then 350 bytes, and 190 a site (24 encoded)."""

    learning: tuple[tuple[int, float], ...] = ()
    """(site, log duration) of the first jobs; empty once there are enough."""
    n: int = 0
    mean: float = 0.0
    variance: float = 0.0
    """Of jobs around what was expected at their site."""
    sites: tuple[SiteDurations, ...] = ()
    """The most recently used one first."""
    recent_ids: tuple[int, ...] = ()
    """The last jobs that were judged, the newest first."""

    def site(self, site_id: int) -> SiteDurations:
        """What is known about a site."""
        for each in self.sites:
            if each.site_id == site_id:
                return each
        return SiteDurations(site_id)


def expectation(kind: KindDurations, site_id: int) -> tuple[float, float]:
    """Mean and variance of the next job's log duration at a site.

    The site's mean drawn to the kind's (Efron and Morris 1975); how far sites differ is estimated from their means
    by moments: tau^2 = mean((mean_s - mean)^2) - mean(sigma^2 / n_s), not below sigma^2 / n_min, so that a site's own
    jobs count however alike the others are.
    """
    sigma2 = kind.variance
    spread = noise = 0.0
    sites = 0
    for each in kind.sites:
        if each.n >= SITE_FOREIGN_N:
            sites += 1
            spread += (each.mean - kind.mean) ** 2
            noise += sigma2 / each.n
    between = max((spread - noise) / sites if sites else 0.0, sigma2 / SITE_FOREIGN_N)
    site = kind.site(site_id)
    mean, uncertainty, _ = shrunk(site.mean, sigma2 / site.n if site.n else inf, kind.mean, between)
    return mean, sigma2 + uncertainty


def with_learning_job(
    kind: KindDurations, site_id: int, value: float, jobs_min: int, sigma_min: float, sites_max: int
) -> KindDurations:
    """The kind after one more job of its learning period, which may end it."""
    learning = (*kind.learning, (site_id, value))
    if len(learning) < jobs_min:
        return KindDurations(learning, recent_ids=kind.recent_ids)
    return msgspec.structs.replace(after_learning(learning, sigma_min, sites_max), recent_ids=kind.recent_ids)


def after_learning(learning: Sequence[tuple[int, float]], sigma_min: float, sites_max: int) -> KindDurations:
    """The kind after its learning period: robust moments of its first jobs, around each site's median."""
    values = [value for _, value in learning]
    mean, sigma = robust_moments(values)
    by_site: dict[int, list[float]] = {}
    for site_id, value in learning:
        by_site.setdefault(site_id, []).append(value)
    sites = tuple(SiteDurations(site_id, len(its), robust_moments(its)[0]) for site_id, its in by_site.items())
    centres = {each.site_id: each.mean for each in sites}
    residuals = [value - centres[site_id] for site_id, value in learning if len(by_site[site_id]) > 1]
    if 2 * len(residuals) > len(values):
        _, sigma = robust_moments(residuals)
    # Values are nearer to a centre that was computed from them: one degree of freedom a site.
    freedom = len(values) / max(1, len(values) - len(sites))
    return KindDurations((), len(values), mean, max(sigma, sigma_min) ** 2 * freedom, sites[:sites_max])


def with_usual_job(
    kind: KindDurations, site: SiteDurations, value: float, expected: float, sites_max: int
) -> KindDurations:
    """The kind after one more usual job."""
    weight = max(1.0 / (kind.n + 1), WEIGHT_MIN)
    mean, _ = updated_moments(kind.mean, 0.0, value, weight)
    _, variance = updated_moments(0.0, kind.variance, value - expected, weight)
    site_mean, _ = updated_moments(site.mean, 0.0, value, max(1.0 / (site.n + 1), WEIGHT_MIN))
    return with_site(
        KindDurations((), kind.n + 1, mean, variance, kind.sites, kind.recent_ids),
        SiteDurations(site.site_id, site.n + 1, site_mean),
        sites_max,
    )


def with_unusual_job(
    kind: KindDurations, site: SiteDurations, value: float, z: float, run_max: int, sites_max: int
) -> KindDurations:
    """The kind after one more anomalous job, which counts only with `run_max` in a row on the same side."""
    run = site.run + 1 if z > 0 and site.run >= 0 else site.run - 1 if z < 0 and site.run <= 0 else (1 if z > 0 else -1)
    run_mean, _ = updated_moments(site.run_mean if abs(run) > 1 else 0.0, 0.0, value, 1.0 / abs(run))
    if abs(run) >= run_max:
        return with_site(kind, SiteDurations(site.site_id, abs(run), run_mean), sites_max)
    return with_site(kind, SiteDurations(site.site_id, site.n, site.mean, run, run_mean), sites_max)


def with_site(kind: KindDurations, site: SiteDurations, sites_max: int) -> KindDurations:
    """The kind with one site's part replaced; of too many sites the least recently used one is dropped."""
    others = tuple(each for each in kind.sites if each.site_id != site.site_id)
    return KindDurations((), kind.n, kind.mean, kind.variance, (site, *others)[:sites_max], kind.recent_ids)


def with_id(kind: KindDurations, row_id: int) -> KindDurations:
    """The kind with one more job that was judged."""
    return msgspec.structs.replace(kind, recent_ids=(row_id, *kind.recent_ids)[:RECENT_IDS_MAX])
