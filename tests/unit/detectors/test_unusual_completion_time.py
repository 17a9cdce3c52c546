"""UNUSUAL_COMPLETION_TIME: jobs against what such jobs take at their site.

Also of detectors/work/helpers/durations.py.
"""

import random
from dataclasses import dataclass, field
from math import exp
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judged import at

from contracts.rows import Jobneed
from detectors.finding_draft import FindingDraft
from detectors.interface import Event
from detectors.work.helpers.durations import RECENT_IDS_MAX, KindDurations
from detectors.work.unusual_completion_time import UnusualCompletionTime, UnusualCompletionTimePolicy


@dataclass
class Jobs:
    """The jobs of one kind."""

    policy: UnusualCompletionTimePolicy = field(default_factory=UnusualCompletionTimePolicy)
    state: KindDurations | None = None
    count: int = 0
    draw: random.Random = field(default_factory=lambda: random.Random(11))

    def done(self, minutes: float, site: int = 4, **more: Any) -> list[FindingDraft]:
        """One more job that took so long."""
        self.count += 1
        return self.change({"id": self.count} | more, minutes, site)

    def change(self, values: dict[str, Any], minutes: float, site: int = 4, before: Any = None) -> list[FindingDraft]:
        """A row of a completed job."""
        times = {"started_at": at(0), "completed_at": at(minutes)}
        row = Jobneed(**({"tenant_id": 1, "site_id": site, "status": "COMPLETED", **times} | values))
        event = Event(row, 0, "u", before)
        self.state, found = UnusualCompletionTime().judge(self.state, event, self.policy)
        return list(found)

    def usual(self, number: int, minutes: float = 30, site: int = 4) -> int:
        """So many jobs that scatter by a quarter around some minutes; how many of them were reported."""
        return sum(len(self.done(minutes * exp(self.draw.gauss(0, 0.25)), site)) for _ in range(number))


def learned_jobs() -> Jobs:
    """A kind that is known at two sites, at one of which it takes twice as long."""
    sut = Jobs()
    for _ in range(30):
        sut.usual(1)
        sut.usual(1, 60, site=5)
    return sut


def test_a_job_that_took_far_longer_or_shorter_is_reported_with_the_numbers() -> None:
    sut = learned_jobs()
    (longer,), (shorter,) = sut.done(150), sut.done(6)
    assert longer.evidence["observed"] == 150.0
    assert longer.evidence["expected"] == pytest.approx(30, rel=0.15)
    assert (longer.evidence["n"], longer.evidence["n_site"], longer.evidence["threshold"]) == (60, 30, 3.5)
    assert longer.evidence["z_score"] > 3.5  # type: ignore[operator]
    assert shorter.evidence["z_score"] < -3.5  # type: ignore[operator]


def test_each_site_has_its_own_usual() -> None:
    sut = learned_jobs()
    assert sut.done(62, site=5) == []
    assert sut.done(22, site=4) == []
    assert sut.done(12, site=5)


def test_nothing_is_reported_while_learning_and_an_odd_job_of_that_time_does_no_harm() -> None:
    sut = Jobs()
    assert sut.done(600) == sut.done(1) == []
    assert sut.usual(18) == 0
    assert sut.done(150)


def test_usual_jobs_are_seldom_reported() -> None:
    reported = 0
    for seed in range(20):
        sut = Jobs(draw=random.Random(seed))
        reported += sum(sut.usual(1, 30 * (1 + site), site=site) for _ in range(60) for site in range(4))
    assert reported <= 20 * 240 * 0.004


def test_what_was_reported_teaches_nothing_unless_it_goes_on() -> None:
    sut = learned_jobs()
    expected = sut.done(300)[0].evidence["expected"]
    assert sut.done(300)[0].evidence["expected"] == expected
    reported = sum(len(sut.done(300)) for _ in range(30))
    assert reported <= UnusualCompletionTimePolicy().run_max
    assert sut.done(310) == []
    assert sut.done(60, site=5) == []


def test_a_completed_job_counts_once() -> None:
    sut = learned_jobs()
    assert sut.done(150)
    state = sut.state
    assert sut.change({"id": sut.count}, 150) == []
    before = Jobneed(id=900, tenant_id=1, status="COMPLETED", started_at=at(0), completed_at=at(150))
    assert sut.change({"id": 900}, 150, before=before) == []
    assert sut.state is state


def test_what_cannot_be_judged_changes_nothing() -> None:
    sut = learned_jobs()
    state = sut.state
    for values in ({"started_at": None}, {"completed_at": at(-5)}, {"completed_at": at(0)}, {"status": "CANCELLED"}):
        assert sut.change({"id": 900, **values}, 150) == []
    assert sut.state is state


def test_a_small_difference_is_not_reported() -> None:
    sut = Jobs()
    sut.usual(40, 0.3)
    assert sut.done(1.5) == []


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0.1, 4_000), st.integers(0, 300)), max_size=80))
def test_its_memory_is_bounded_whatever_comes(jobs: list[tuple[float, int]]) -> None:
    sut = Jobs(UnusualCompletionTimePolicy(sites_max=5, jobs_min=6))
    for minutes, site in jobs:
        sut.done(minutes, site)
    state = sut.state or KindDurations()
    assert len(state.sites) <= 5
    assert len(state.learning) < 6
    assert len(state.recent_ids) <= RECENT_IDS_MAX
    assert state.variance >= 0
