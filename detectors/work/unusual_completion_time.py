"""UNUSUAL_COMPLETION_TIME: a job that took far longer or shorter than such jobs do at its site."""

from math import exp, log, sqrt
from typing import Annotated

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Jobneed
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, Detector, Entity, Event, FindingDrafts
from detectors.policy import COUNT_MAX, Minutes, Policy, PositiveFactor, PositiveHours, PositiveSeconds
from detectors.work.helpers.durations import (
    KindDurations,
    expectation,
    with_id,
    with_learning_job,
    with_unusual_job,
    with_usual_job,
)

COMPLETED = "COMPLETED"


class UnusualCompletionTimePolicy(Policy, frozen=True, kw_only=True):
    """Thresholds of UNUSUAL_COMPLETION_TIME."""

    z_min: PositiveFactor = 3.5
    """Score from which a job is reported; the usual bound for robust scores (Iglewicz and Hoaglin 1993)."""
    jobs_min: Annotated[int, msgspec.Meta(ge=5, le=100)] = 20
    """Learning period of a kind of job. A change applies to kinds that are still learned."""
    sigma_log_min: PositiveFactor = 0.1
    """Lower bound of the standard deviation of log duration: 0.1 is about 10 %."""
    difference_minutes_min: Minutes = 2.0
    """A smaller difference is not reported, whatever the score."""
    duration_seconds_min: PositiveSeconds = 1.0
    """A shorter job is neither judged nor learned from: nobody really did it."""
    duration_hours_max: PositiveHours = 72.0
    """Neither is a longer one: somebody forgot to end it."""
    run_max: Annotated[int, msgspec.Meta(ge=3, le=COUNT_MAX)] = 8
    """This many jobs in a row at a site that are all unusual on the same side are what is usual there now."""
    sites_max: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 64
    """Sites that are kept apart for a kind of job."""


class UnusualCompletionTime(Detector):
    """z = (log(completed_at - started_at) - expected) / sigma against the jobs of the tenant with this type and title.

    *Expected*: the mean log duration at the site, drawn to that of the kind while there are few jobs (Efron and
    Morris 1975); *sigma*: exponentially weighted (Finch 2009), begun with the median absolute deviation of the
    learning period (Rousseeuw and Croux 1993), with the uncertainty of `expected`, and not below `sigma_log_min`.

    *Learning*: nothing is reported about a kind before `jobs_min` jobs. A job that was scored anomalous is not learned
    from, unless it is the last of `run_max` in a row at its site on the same side: then these are what is usual there.
    The case of titles does not matter. A job is judged once, when it becomes COMPLETED. Jobs without one of the two
    times, or with no time between them, are not judged.

    >>> from datetime import UTC, datetime
    >>> from detectors.work.helpers.durations import after_learning
    >>> detector, policy = UnusualCompletionTime(), UnusualCompletionTimePolicy()
    >>> state = after_learning(((4, log(600)),) * 20, policy.sigma_log_min, policy.sites_max)
    >>> start, end = datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(1800, UTC)
    >>> row = Jobneed(id=1, tenant_id=1, site_id=4, status="COMPLETED", started_at=start, completed_at=end)
    >>> _, (draft,) = detector.judge(state, Event(row, 0), policy)
    >>> draft.evidence["observed"], draft.evidence["expected"], draft.evidence["z_score"] > 3.5
    (30.0, 10.0, True)
    """

    name = "unusual_completion_time"
    tables = ("jobneed",)
    entity = Entity.KIND
    state_type = KindDurations
    policy = UnusualCompletionTimePolicy()

    def judge(
        self, state: KindDurations | None, event: Event[Jobneed], policy: UnusualCompletionTimePolicy
    ) -> tuple[KindDurations | None, FindingDrafts]:
        """The finding where the job is completed now and took an unusual time."""
        seconds = _seconds(event, policy)
        if seconds is None:
            return state, NOTHING
        row, kind = event.row, state or KindDurations()
        if row.id in kind.recent_ids:
            return state, NOTHING
        kind, value, site_id = with_id(kind, row.id), log(seconds), row.site_id or 0
        if not kind.n:
            return with_learning_job(
                kind, site_id, value, policy.jobs_min, policy.sigma_log_min, policy.sites_max
            ), NOTHING
        expected, variance = expectation(kind, site_id)
        sigma = max(sqrt(variance), policy.sigma_log_min)
        z, site = (value - expected) / sigma, kind.site(site_id)
        if abs(z) < policy.z_min:
            return with_usual_job(kind, site, value, expected, policy.sites_max), NOTHING
        after = with_unusual_job(kind, site, value, z, policy.run_max, policy.sites_max)
        if abs(seconds - exp(expected)) < policy.difference_minutes_min * 60:
            return after, NOTHING
        return after, (_finding(row, seconds / 60, exp(expected) / 60, z, sigma, kind.n, site.n, policy),)


def _seconds(event: Event[Jobneed], policy: UnusualCompletionTimePolicy) -> float | None:
    """How long the job took that was completed just now; None where there is none, or it is not to be judged."""
    row, before = event.row, event.before
    if row.status != COMPLETED or row.started_at is None or row.completed_at is None:
        return None
    if before is not None and before.status == COMPLETED and before.completed_at is not None:
        return None
    seconds = (row.completed_at - row.started_at).total_seconds()
    return seconds if policy.duration_seconds_min <= seconds <= policy.duration_hours_max * 3600 else None


def _finding(
    row: Jobneed,
    minutes: float,
    usual_minutes: float,
    z: float,
    sigma: float,
    n: int,
    site_n: int,
    policy: UnusualCompletionTimePolicy,
) -> FindingDraft:
    return FindingDraft(
        finding_type=FindingType.UNUSUAL_COMPLETION_TIME,
        category=Category.TASK,
        severity=Severity.LOW,
        title=f"A task took much {'longer' if z > 0 else 'shorter'} than usual at {{site_name}}",
        description=f"{{person_name}} took {minutes:.0f} minutes for a job that usually takes "
        f"{usual_minutes:.0f} there.",
        evidence={
            "observed": round(minutes, 2),
            "expected": round(usual_minutes, 2),
            "z_score": round(z, 2),
            "sigma_log": round(sigma, 4),
            "n": n,
            "n_site": site_n,
            "threshold": policy.z_min,
            "job_type": row.job_type,
        },
    )


DETECTOR = UnusualCompletionTime()
