"""The simulated day: it repeats, it refers to what exists, and it plants what it says it plants.

Also of simulation/live/fixes.py.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.schema import TABLES
from simulation.live.planting import PLANTED_TYPES
from simulation.live.simulation import Plan, ResumePoint, Simulation
from simulation.live.transactions import RATE_LIMITED, TICKET_UPDATED, Transaction
from simulation.records import Row, RowChange
from simulation.world.company import PERSONS_MAX, crew_of
from simulation.world.geometry import distance_m

START_S = datetime(2026, 3, 2, 9, 0, tzinfo=UTC).timestamp()
seeds = st.integers(min_value=0, max_value=2**32)


def day(
    plan: Plan, steps: int, *, start_s: float = START_S, resume: ResumePoint | None = None
) -> Iterator[Transaction]:
    """The opening and so many steps of a simulation."""
    simulation = Simulation(plan, start_s, resume)
    for one in simulation.opening():
        yield from one
    for number in range(steps):
        yield simulation.step(start_s + number / plan.rows_per_s)


def rows_of(transactions: Iterator[Transaction], table: str) -> Iterator[Row]:
    """The new rows of a table."""
    for transaction in transactions:
        for change in transaction.changes:
            if change.table == table and change.op == "c":
                yield change.after or {}


def apply(tables: dict[tuple[str, int], Row], change: RowChange) -> Row:
    """Keep the tables as PostgreSQL would hold them."""
    assert change.after is not None
    key = (change.table, change.after["id"])
    assert tables.get(key) == change.before
    tables[key] = change.after
    return change.after


def test_the_same_seed_gives_the_same_rows() -> None:
    plan = Plan(seed=3, burst_interval_s=20)
    assert list(day(plan, 2000)) == list(day(plan, 2000))
    assert list(day(plan, 300)) != list(day(Plan(seed=4, burst_interval_s=20), 300))


def test_another_start_gives_the_same_rows_at_other_times() -> None:
    shift_s = 11 * 86_400 + 5 * 3_600 + 17

    def same(before: Any, after: Any) -> bool:
        if isinstance(before, datetime):  # times are rounded to milliseconds
            return abs((after - before).total_seconds() - shift_s) <= 0.002
        return bool(before == after)

    plan = Plan(seed=5, burst_interval_s=20)
    for one, other in zip(day(plan, 1500), day(plan, 1500, start_s=START_S + shift_s), strict=True):
        assert one.planted == other.planted
        for before, after in zip(one.changes, other.changes, strict=True):
            assert before.after is not None
            assert after.after is not None
            assert set(before.after) == set(after.after)
            different = {name for name, value in before.after.items() if not same(value, after.after[name])}
            assert different <= {"ticket_no"}


@settings(max_examples=12, deadline=None)
@given(seed=seeds, tenants=st.integers(1, 4))
def test_every_row_has_known_columns_and_refers_to_rows_of_its_own_tenant(seed: int, tenants: int) -> None:
    tables: dict[tuple[str, int], Row] = {}
    references = {"site_id": "site", "person_id": "person", "verified_person_id": "person", "device_id": "device",
                  "assigned_to": "person", "client_id": "client"}  # fmt: skip
    last_us = 0
    for transaction in day(Plan(seed=seed, tenants=tenants, burst_interval_s=15), 1200):
        for change in transaction.changes:
            row = apply(tables, change)
            assert set(row) <= set(TABLES[change.table].column_names)
            assert row["tenant_id"] == transaction.tenant_id
            for column, table in references.items():
                if row.get(column) is not None:
                    assert tables[table, row[column]]["tenant_id"] == transaction.tenant_id
            if change.commit_us > START_S * 1e6:  # the opening is in rounds
                assert change.commit_us >= last_us
                last_us = change.commit_us


@settings(max_examples=5, deadline=None)
@given(seed=seeds)
def test_nobody_honest_is_checked_in_twice_or_out_without_having_been_in(seed: int) -> None:
    kinds: dict[int, str] = {}
    plan = Plan(seed=seed, anomaly_rate=0, burst_interval_s=0, rows_per_s=0.2, tenants=1)
    count = 0
    for row in rows_of(day(plan, 6_000), "attendance"):
        assert row["event_type"] != kinds.get(row["person_id"], "CHECK_OUT")
        kinds[row["person_id"]] = row["event_type"]
        count += 1
    assert count > 4 * len(kinds)


@settings(max_examples=8, deadline=None)
@given(seed=seeds, rate=st.sampled_from([0.0, 0.01, 0.05, 0.2]))
def test_anomalies_come_at_the_stated_rate(seed: int, rate: float) -> None:
    planted: Counter[str] = Counter()
    rows = 0
    plan = Plan(seed=seed, anomaly_rate=rate, burst_interval_s=0)
    simulation = Simulation(plan, START_S)
    list(simulation.opening())
    for number in range(2000):
        transaction = simulation.step(START_S + number / plan.rows_per_s)
        rows += len(transaction.changes)
        planted.update(transaction.planted)
    planted.update(simulation.due(START_S + 86_400))
    # What is due by the rate comes within a few rows; somebody who drives off is found twice.
    anomalies = sum(planted[kind] for kind in PLANTED_TYPES)
    assert rate * rows - 16 <= anomalies <= rate * rows + planted["UNEXPECTED_MOVEMENT"] + 1


@settings(max_examples=8, deadline=None)
@given(seed=seeds)
def test_a_short_run_shows_most_of_what_there_is(seed: int) -> None:
    kinds: Counter[str] = Counter()
    for transaction in day(Plan(seed=seed, anomaly_rate=0.02), 90 * 20):
        kinds.update(transaction.planted)
    assert len([kind for kind in PLANTED_TYPES if kinds[kind]]) >= 13


@settings(max_examples=4, deadline=None)
@given(seed=seeds)
def test_gps_tracks_of_honest_people_stay_within_the_site_and_walk(seed: int) -> None:
    tables: dict[tuple[str, int], Row] = {}
    last: dict[int, Row] = {}
    repeated = 0
    for transaction in day(Plan(seed=seed, burst_interval_s=20, anomaly_rate=0), 2500):
        for change in transaction.changes:
            fix = apply(tables, change)
            if change.table != "location":
                continue
            site = tables["site", fix["site_id"]]
            off_m = distance_m(fix["latitude"], fix["longitude"], site["latitude"], site["longitude"])
            assert off_m <= (site["geofence_radius_m"] or 270)
            before = last.get(fix["person_id"])
            if before is not None and before["site_id"] == fix["site_id"]:
                seconds = (fix["recorded_at"] - before["recorded_at"]).total_seconds()
                assert seconds > 0
                # Hardly ever does a receiver say the same twice to the last digit.
                repeated += (fix["latitude"], fix["longitude"]) == (before["latitude"], before["longitude"])
                path_m = distance_m(fix["latitude"], fix["longitude"], before["latitude"], before["longitude"])
                if seconds < 60:  # after a break somebody begins anywhere
                    assert path_m <= 1.6 * seconds + 30
            last[fix["person_id"]] = fix
    assert repeated <= 3


def test_everybody_at_work_sends_a_fix_every_few_seconds() -> None:
    times: dict[int, list[datetime]] = {}
    for row in rows_of(day(Plan(burst_interval_s=0, anomaly_rate=0), 4000), "location"):
        times.setdefault(row["person_id"], []).append(row["recorded_at"])
    gaps = [(after - before).total_seconds() for each in times.values() for before, after in itertools.pairwise(each)]
    assert 2 < sorted(gaps)[len(gaps) // 2] < 12
    assert len(times) > 0.7 * PERSONS_MAX


def test_a_burst_is_one_transaction_over_the_limit_with_nothing_planted_after_it() -> None:
    plan = Plan(seed=2, burst_interval_s=10, burst_rows=150, anomaly_rate=0.3)
    simulation = Simulation(plan, START_S)
    list(simulation.opening())
    bursts: list[tuple[float, int]] = []
    without_row = {"TASK_OVERDUE", "TICKET_SLA_BREACH", "WORK_ORDER_OVERDUE", "MISSING_CHECK_OUT", TICKET_UPDATED}
    for number in range(60 * 20):
        now_s = START_S + number / plan.rows_per_s
        transaction = simulation.step(now_s)
        if RATE_LIMITED in transaction.planted:
            assert len(transaction.changes) == plan.burst_rows
            assert {change.table for change in transaction.changes} == {"location"}
            bursts.append((now_s, transaction.tenant_id))
        elif set(transaction.planted) - without_row:
            assert all(now_s - when_s >= 3 or tenant != transaction.tenant_id for when_s, tenant in bursts)
    assert 4 <= len(bursts) <= 9


def test_the_opening_keeps_every_round_below_the_limit() -> None:
    plan = Plan(burst_rows=150)
    first, *others = Simulation(plan, START_S).opening()
    assert {change.table for each in first for change in each.changes} <= {
        "tenant", "client", "site", "person", "assignment"
    }  # fmt: skip
    assert others
    for one in others:
        assert len({each.tenant_id for each in one}) == len(one)
        assert all(len(each.changes) < 100 for each in one)


def test_a_quiet_plan_has_no_bursts_and_nothing_planted() -> None:
    plan = Plan(burst_interval_s=0, anomaly_rate=0)
    kinds = {kind for transaction in day(plan, 3000) for kind in transaction.planted}
    assert kinds == {TICKET_UPDATED}


def test_a_later_run_goes_on_behind_the_earlier_ones_rows_with_a_crew_of_its_own() -> None:
    growing = ("assignment", "attendance", "jobneed", "location", "ticket", "work_order")
    resume = ResumePoint(dict.fromkeys(growing, 5_000), crew=3)
    for transaction in day(Plan(seed=9), 500, resume=resume):
        for change in transaction.changes:
            row = change.after or {}
            if change.table in growing:
                assert row["id"] >= 5_000
            if change.table in {"person", "attendance", "location"}:
                assert crew_of(row["id" if change.table == "person" else "person_id"]) == 3


def test_a_day_that_never_ends_has_shifts_around_the_clock() -> None:
    plan = Plan(tenants=1, burst_interval_s=0, anomaly_rate=0.001, rows_per_s=0.2)
    simulation = Simulation(plan, START_S)
    list(simulation.opening())
    assigned: Counter[int] = Counter()
    checks: Counter[str] = Counter()
    steps = (simulation.step(START_S + number * 10) for number in range(9000))
    for step in steps:
        for change in step.changes:
            row = change.after or {}
            if change.table == "assignment":
                assigned[row["person_id"]] += 1
            elif change.table == "attendance":
                checks[row["event_type"]] += 1
    assert len(assigned) >= plan.persons - 2
    assert abs(checks["CHECK_IN"] - checks["CHECK_OUT"]) <= plan.persons
    assert checks["CHECK_IN"] > 2 * plan.persons


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_the_extreme_rates_still_give_a_row_each_step(rate: float) -> None:
    assert all(transaction.changes for transaction in day(Plan(anomaly_rate=rate), 500))
