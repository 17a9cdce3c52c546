"""What is usual for a phone at each hour of the week, and how unusual an hour is: the parts of ANOMALY_PHONE_EVENTS."""

from math import inf, sqrt
from typing import Annotated

import msgspec

from contracts.findings import Category, FindingType, Severity
from detectors.finding_draft import FindingDraft
from detectors.policy import COUNT_MAX, Minutes, Policy, PositiveFactor, Share
from detectors.shared.baseline import (
    MEDIAN_VARIANCE,
    PageHinkley,
    robust_moments,
    shrunk,
    updated_moments,
    updated_scale,
)
from detectors.shared.hour_of_week import anscombe, anscombe_inverse, counts_of, moments_of, with_count, with_moments
from detectors.shared.times import iso_utc

SCALE_WEIGHT_MIN = 0.01
"""Of the newest residual in a device's scale: about the last hundred busy hours count."""
LEVEL_WEIGHT_MIN = 0.02
SHARED_WEIGHT_MIN = 0.02
SPREAD_WEIGHT = 4.0
"""How many weeks of an hour's own spread have the same weight as the device's scale."""
TENANT_N_MIN = 5
"""Counts that an hour of the tenant needs before a device's estimate is drawn to it."""
DRIFT_Z_MAX = 6.0
"""Larger scores count as this in the drift test: one extreme hour is no new habit."""
DRIFT_DELTA = 0.5
POOL_HOURS = 8
"""For how many hours a site keeps how many of its devices were low."""


class PhoneEventsPolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of ANOMALY_PHONE_EVENTS_BELOW and _ABOVE."""

    z_min: PositiveFactor = 4.0
    """Score from which an hour is reported, with severity LOW."""
    z_medium_min: PositiveFactor = 6.0
    """Score from which the severity is MEDIUM."""
    z_high_min: PositiveFactor = 9.0
    """Score from which the severity is HIGH."""
    weeks_min: Annotated[int, msgspec.Meta(ge=1, le=5)] = 2
    """Learning period of a device, and the number of counts that an hour of the week needs."""
    expected_events_min: PositiveFactor = 4.0
    """An hour in which fewer events are usual is never BELOW."""
    share_below_max: Share = 0.25
    """BELOW is at most this share of what is expected, whatever the score: a break or a late start takes half of an
    hour's events."""
    share_low_max: Share = 0.5
    """This share is enough where the hour before was low too: no break lasts so long."""
    share_above_min: Annotated[float, msgspec.Meta(ge=1, le=COUNT_MAX)] = 2.0
    """ABOVE is at least this multiple of what is expected."""
    sigma_min: PositiveFactor = 0.5
    """Lower bound of the standard deviation of a transformed count; a Poisson count has 1, a phone that reports at fixed
    intervals nearly 0."""
    late_upload_minutes: Minutes = 60.0
    """How long after its end an hour is judged."""
    late_upload_hours_max: Annotated[int, msgspec.Meta(ge=0, le=12)] = 3
    """How much longer to wait for an hour's uploads while nothing at all arrives from the phone."""
    silent_days_max: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)] = 28
    """A phone that is silent for longer is no longer in use."""
    site_others_min: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)] = 1
    """Other phones that a site needs to show whether one phone is low or all of them are."""
    tenant_others_min: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)] = 3
    """The same for a tenant, which counts where the site has too few."""
    widespread_share_min: Share = 0.5
    """Share of the other phones that must be low for BELOW not to be reported."""
    drift_threshold: PositiveFactor = 100.0
    """Page-Hinkley threshold, in scores times hours."""


class PhoneBaseline(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is usual for one device. 2,230 bytes in memory, 1,770 in the changelog."""

    since_hour: int
    """When learning began."""
    week: bytes = b""
    """The last usual counts of each hour of the week."""
    scale_n: int = 0
    scale: float = 1.0
    """Robust standard deviation of busy hours around what was expected, of transformed counts."""
    level_n: int = 0
    level: float = 0.0
    """Mean transformed count of the hours in which the device is used."""
    level_variance: float = 0.0
    reported: int = 0
    """-1 or 1 while an episode of BELOW or ABOVE lasts that was reported."""
    low_hour: int = 0
    """The last Unix hour that was low."""
    drift: PageHinkley = PageHinkley()


class SharedPhoneBaseline(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known about all devices of a site or of a tenant; a site's has no week."""

    week: bytes = b""
    pools: tuple[tuple[int, int, int], ...] = ()
    """(Unix hour, devices expected, of them low) of the last hours."""

    def pool(self, hour: int) -> tuple[int, int]:
        """How many devices were expected in an hour, and how many of them were low."""
        for each, expected, low in self.pools:
            if each == hour:
                return expected, low
        return 0, 0


class HourScore(msgspec.Struct, frozen=True, gc=False):
    """An hour of a device compared with what is usual; `expected` and `sigma` are of transformed counts."""

    count: int
    hour_of_week: int
    n: int
    expected: float
    sigma: float
    z: float
    above_expected: float
    """The usual busy hour where that is more."""
    above_sigma: float
    z_above: float
    judged: bool
    """The learning period is over."""
    busy: bool
    """Enough events are expected for too few to mean something."""
    below: bool
    low: bool
    """Half of what BELOW needs: two such hours in a row are BELOW."""
    above: bool
    ends_episode: bool
    """Busy, and neither low nor above."""


def score_of(
    own: PhoneBaseline, tenant: SharedPhoneBaseline, unix_hour: int, hour: int, count: int, policy: PhoneEventsPolicy
) -> HourScore:
    """The score of an hour with so many events, by the baselines of the device and of all devices of its tenant.

    The hour is given twice: counted from 1970 and as the hour of the week.
    """
    counts = counts_of(own.week, hour)
    n, observed = len(counts), anscombe(count)
    noise = max(own.scale, policy.sigma_min) ** 2
    centre, spread = robust_moments([anscombe(each) for each in counts]) if counts else (0.0, 0.0)
    variance = (SPREAD_WEIGHT * noise + n * spread * spread) / (SPREAD_WEIGHT + n)
    shared_n, shared_mean, shared_variance = moments_of(tenant.week, hour)
    estimate_variance = MEDIAN_VARIANCE * variance / n if n else inf
    if shared_n >= TENANT_N_MIN:
        between = max(shared_variance - variance, variance)
        expected, uncertainty, _ = shrunk(centre, estimate_variance, shared_mean, between)
    else:
        expected, uncertainty = centre, estimate_variance
    sigma = sqrt(max(variance, policy.sigma_min**2) + uncertainty) if uncertainty < inf else inf
    z = (observed - expected) / sigma
    above_expected, above_sigma = expected, sigma
    if own.level_n and own.level > expected:
        above_expected, above_sigma = own.level, max(sigma, sqrt(own.level_variance))
    z_above = (observed - above_expected) / above_sigma
    usual = anscombe_inverse(expected)
    judged = n >= policy.weeks_min and unix_hour - own.since_hour >= policy.weeks_min * 168
    busy = usual >= policy.expected_events_min
    unlikely = judged and busy and z <= -policy.z_min
    low = unlikely and count <= policy.share_low_max * usual
    again = low and own.low_hour == unix_hour - 1
    above = judged and z_above >= policy.z_min and count >= policy.share_above_min * anscombe_inverse(above_expected)
    below = again or (unlikely and count <= policy.share_below_max * usual)
    ends_episode = busy and not above and count > policy.share_low_max * usual
    return HourScore(
        count, hour, n, expected, sigma, z, above_expected, above_sigma, z_above,
        judged, busy, below, low, above, ends_episode,
    )  # fmt: skip


def updated_baseline(
    own: PhoneBaseline, unix_hour: int, score: HourScore, reported: int, policy: PhoneEventsPolicy, *, clean: bool
) -> PhoneBaseline:
    """The device's baseline after an hour; only a clean hour is learned as usual, any hour may show a new habit."""
    drift, low_hour = own.drift, unix_hour if score.low or score.below else own.low_hour
    if score.judged and score.count and score.n:
        bounded = min(max(score.z, -DRIFT_Z_MAX), DRIFT_Z_MAX)
        drift = drift.after(bounded, delta=DRIFT_DELTA)
        if drift.drifted(threshold=policy.drift_threshold):
            return PhoneBaseline(unix_hour)
    if not clean:
        return msgspec.structs.replace(own, reported=reported, low_hour=low_hour, drift=drift)
    observed = anscombe(score.count)
    scale_n, scale = own.scale_n, own.scale
    if score.n and (score.busy or score.count):
        # An estimate from n weeks has an error of its own beside the noise: scaled to the noise alone.
        residual = (observed - score.expected) / sqrt(1.0 + MEDIAN_VARIANCE / score.n)
        scale_n += 1
        scale = updated_scale(scale, residual, max(1.0 / (scale_n + 10), SCALE_WEIGHT_MIN))
    level_n, level, level_variance = own.level_n, own.level, own.level_variance
    if score.count:
        level_n += 1
        weight = max(1.0 / level_n, LEVEL_WEIGHT_MIN)
        level, level_variance = updated_moments(level, level_variance, observed, weight)
    week = with_count(own.week, score.hour_of_week, score.count)
    return PhoneBaseline(
        own.since_hour, week, scale_n, scale, level_n, level, level_variance, reported, low_hour, drift
    )


def updated_shared(tenant: SharedPhoneBaseline, score: HourScore) -> SharedPhoneBaseline:
    """The baseline of the tenant's devices after a clean hour of one of them."""
    n, mean, variance = moments_of(tenant.week, score.hour_of_week)
    mean, variance = updated_moments(mean, variance, anscombe(score.count), max(1.0 / (n + 1), SHARED_WEIGHT_MIN))
    return SharedPhoneBaseline(with_moments(tenant.week, score.hour_of_week, (n + 1, mean, variance)), tenant.pools)


def pooled_with(shared: SharedPhoneBaseline, unix_hour: int, *, low: bool) -> SharedPhoneBaseline:
    """The shared baseline with one more device that was expected in an hour, and whether it was low."""
    expected, low_n = shared.pool(unix_hour)
    others = tuple(each for each in shared.pools if each[0] != unix_hour and each[0] > unix_hour - POOL_HOURS)
    return SharedPhoneBaseline(shared.week, ((unix_hour, expected + 1, low_n + low), *others)[:POOL_HOURS])


def draft_of(
    score: HourScore, side: int, device_id: int, start_s: int, timezone: str, policy: PhoneEventsPolicy
) -> FindingDraft:
    """The finding of an hour; `side` is -1 for BELOW, 1 for ABOVE."""
    below = side < 0
    z, expected, sigma = score.z, score.expected, score.sigma
    if not below:
        z, expected, sigma = score.z_above, score.above_expected, score.above_sigma
    usual = anscombe_inverse(expected)
    severity = (
        Severity.HIGH
        if abs(z) >= policy.z_high_min
        else Severity.MEDIUM
        if abs(z) >= policy.z_medium_min
        else Severity.LOW
    )
    return FindingDraft(
        finding_type=FindingType.ANOMALY_PHONE_EVENTS_BELOW if below else FindingType.ANOMALY_PHONE_EVENTS_ABOVE,
        category=Category.DEVICE_HEALTH,
        severity=severity,
        title=f"A phone sends {'less' if below else 'more'} than usual at {{site_name}}",
        description=f"Device {device_id} sent {score.count} events in an hour in which about {usual:.0f} are usual.",
        evidence={
            "device_id": device_id,
            "hour_start": iso_utc(start_s),
            "hour_of_week": score.hour_of_week,
            "timezone": timezone,
            "observed": score.count,
            "expected": round(usual, 2),
            "z_score": round(z, 2),
            "sigma": round(sigma, 4),
            "n": score.n,
            "threshold": policy.z_min,
        },
    )
