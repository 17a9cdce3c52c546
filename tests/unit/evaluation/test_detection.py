"""On two weeks of two companies every rule detector holds its targets; the whole is benchmarks/detection.py.

Also of evaluation/fold.py and evaluation/report.py.
"""

import pytest

from evaluation.fold import run
from evaluation.report import Report, judge
from simulation.labelled import Scenario, Span
from simulation.live.planting import PLANTED_TYPES

SPAN = Span(weeks=2, learning_weeks=2)


def judged(seed: int, *, planted: bool) -> Report:
    scenario = Scenario(seed, SPAN, tenants=2 if planted else 1, planted=planted)
    outcome = run(scenario.changes(), scenario.meta.until_s)
    return judge(outcome, scenario.labels, scenario.meta)


@pytest.fixture(scope="module")
def report() -> Report:
    return judged(20, planted=True)


def test_rules_find_what_is_planted_and_little_else(report: Report) -> None:
    lines = {line.tally.finding_type: line for line in report.lines if not line.learned}
    assert set(PLANTED_TYPES) <= set(lines)
    missed = {kind: line.tally.recall for kind, line in lines.items() if line.tally.recall < 0.95}
    assert missed == {}
    found = sum(len(line.tally.hits) for line in lines.values())
    false = sum(len(line.tally.false) for line in lines.values())
    assert found / (found + false) >= 0.95


def test_what_did_not_happen_is_reported_within_two_seconds(report: Report) -> None:
    assert report.timer_lag_p99_s is not None
    assert report.timer_lag_p99_s <= 2.0


def test_nothing_is_reported_while_hourly_baselines_learn(report: Report) -> None:
    assert report.early == 0


def test_a_scenario_in_which_nothing_is_wrong_is_nearly_silent() -> None:
    clean = judged(21, planted=False)
    false = sum(len(line.tally.false) for line in clean.lines)
    assert clean.outcome.rows > 30_000
    assert false <= 1
