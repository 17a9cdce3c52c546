"""What the demo plants is what the detectors find, and they find nothing else: a day before the real fold.

Also of simulation/live/workload.py.
"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.company_day import CompanyDay

from contracts.findings import FindingType
from simulation.live.planting import PLANTED_TYPES
from simulation.live.simulation import Plan, ResumePoint
from simulation.live.transactions import RATE_LIMITED, TICKET_UPDATED

LEARNED = {kind for kind in map(str, FindingType) if kind.startswith("ANOMALY_")} | {"UNUSUAL_COMPLETION_TIME"}
"""They take weeks, or many jobs of a kind."""


def test_twenty_minutes_of_the_company_as_it_is_by_default() -> None:
    day = CompanyDay(Plan())
    day.run(20 * 60)
    assert day.found() == day.planted
    assert set(day.planted) == {*PLANTED_TYPES, TICKET_UPDATED, RATE_LIMITED}
    # Most of the rows are fixes, and the company leaves nobody in peace for long.
    assert day.by_table["location"] > 0.75 * day.rows
    assert not day.worker.outputs.get("noc.dead-letters")


def test_everything_that_can_be_found_without_weeks_of_learning_is_planted() -> None:
    assert set(PLANTED_TYPES) == set(map(str, FindingType)) - LEARNED


def test_a_company_of_honest_people_is_left_in_peace() -> None:
    day = CompanyDay(Plan(seed=11, anomaly_rate=0, burst_interval_s=0))
    day.run(10 * 60)
    assert set(day.found()) == {"ticket_updated"}
    assert day.found() == day.planted


@pytest.mark.parametrize(
    "plan",
    [
        Plan(seed=2, rows_per_s=60, anomaly_rate=0.05, burst_interval_s=4, tenants=2),
        Plan(seed=3, rows_per_s=1, tenants=3),
        Plan(seed=4, rows_per_s=20, tenants=1, burst_interval_s=20),
        Plan(seed=5, rows_per_s=120, tenants=8, anomaly_rate=0.3),
    ],
    ids=["hurried", "slow", "one tenant", "hardly anybody honest"],
)
def test_other_rates(plan: Plan) -> None:
    day = CompanyDay(plan)
    day.run(60)
    assert day.found() == day.planted


@pytest.mark.parametrize(
    "start", [datetime(2026, 3, 29, 4, 0, tzinfo=UTC), datetime(2026, 10, 25, 4, 0, tzinfo=UTC)], ids=str
)
def test_the_morning_after_the_clocks_changed(start: datetime) -> None:
    day = CompanyDay(Plan(seed=6, tenants=4, burst_interval_s=0), start_s=start.timestamp())
    day.run(3 * 60)
    assert day.planted["OVERTIME_VIOLATION"] > 0
    assert day.found() == day.planted


def test_a_second_run_minutes_later_with_another_seed_contradicts_nothing() -> None:
    first = CompanyDay(Plan(seed=1, tenants=2, burst_interval_s=0))
    first.run(2 * 60)
    first.end_what_is_open()
    second = replace(
        first,
        plan=Plan(seed=9, tenants=2, burst_interval_s=0),
        start_s=first.start_s + 300,
        resume=ResumePoint(first.free_ids(), crew=1),
    )
    second.run(20 * 60)
    assert second.found() == second.planted
