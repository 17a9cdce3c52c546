"""The simulated day: it repeats, it refers to what exists, and it plants what it says it plants."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.schema import TABLES
from deploy.demo.geometry import distance_m
from deploy.demo.operations import ANOMALIES, Insert, Planted, Transaction, Update
from deploy.demo.simulation import Plan, ResumePoint, Simulation
from deploy.demo.work import OpenItem

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ROWS_PER_S = 20
seeds = st.integers(min_value=0, max_value=2**32)


def day(plan: Plan, steps: int, *, start: datetime = START, resume: ResumePoint | None = None) -> Iterator[Transaction]:
    """The opening and so many steps of a simulation."""
    simulation = Simulation(plan, start, resume)
    yield from simulation.opening()
    for place in range(steps):
        yield simulation.step(start + timedelta(seconds=place / ROWS_PER_S))


@dataclass
class World:
    """What the rows add up to: the tables as PostgreSQL would hold them."""

    tables: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)

    def apply(self, transaction: Transaction) -> None:
        for operation in transaction.operations:
            rows = self.tables.setdefault(operation.table, {})
            if isinstance(operation, Insert):
                identifier = operation.values["id"]
                assert isinstance(identifier, int)
                assert identifier not in rows, f"{operation.table} {identifier} twice"
                rows[identifier] = dict(operation.values)
            else:
                assert "id" not in operation.values
                assert "tenant_id" not in operation.values
                rows[operation.row_id].update(operation.values)

    def assigned(self, person: int, site: int, when: datetime | None = None) -> bool:
        return any(
            row["person_id"] == person
            and row["site_id"] == site
            and (when is None or row["shift_start"] <= when <= row["shift_end"])
            for row in self.tables["assignment"].values()
        )


def test_the_same_seed_gives_the_same_rows() -> None:
    plan = Plan(seed=3, burst_interval_s=20)
    assert list(day(plan, 2000)) == list(day(plan, 2000))
    assert list(day(plan, 300)) != list(day(Plan(seed=4, burst_interval_s=20), 300))


def test_another_start_gives_the_same_rows_at_other_times() -> None:
    shift = timedelta(days=11, hours=5, seconds=17)

    def moved(value: object) -> object:
        return value + shift if isinstance(value, datetime) else value

    plan = Plan(seed=5, burst_interval_s=20)
    for one, other in zip(day(plan, 1500), day(plan, 1500, start=START + shift), strict=True):
        assert one.planted == other.planted
        for before, after in zip(one.operations, other.operations, strict=True):
            assert {name: moved(value) for name, value in before.values.items()} == dict(after.values)


@settings(max_examples=12, deadline=None)
@given(seed=seeds, tenants=st.integers(1, 4))
def test_every_row_has_known_columns_and_refers_to_rows_of_its_own_tenant(seed: int, tenants: int) -> None:
    world = World()
    references = {"site_id": "site", "person_id": "person", "verified_person_id": "person", "device_id": "device",
                  "assigned_to": "person", "client_id": "client"}  # fmt: skip
    for transaction in day(Plan(seed=seed, tenants=tenants, burst_interval_s=15), 1200):
        world.apply(transaction)
        for operation in transaction.operations:
            assert set(operation.values) <= set(TABLES[operation.table].column_names)
            identifier = operation.row_id if isinstance(operation, Update) else operation.values["id"]
            row = world.tables[operation.table][identifier]
            assert row["tenant_id"] == transaction.tenant_id
            for column, table in references.items():
                if row.get(column) is not None:
                    assert world.tables[table][row[column]]["tenant_id"] == transaction.tenant_id


@settings(max_examples=12, deadline=None)
@given(seed=seeds, rate=st.sampled_from([0.0, 0.01, 0.05, 0.2]))
def test_anomalies_come_at_the_stated_rate(seed: int, rate: float) -> None:
    planted: Counter[Planted | None] = Counter()
    rows = 0
    simulation = Simulation(Plan(seed=seed, anomaly_rate=rate, burst_interval_s=0), START)
    list(simulation.opening())
    for place in range(3000):
        transaction = simulation.step(START + timedelta(seconds=place / ROWS_PER_S))
        rows += len(transaction.operations)
        planted[transaction.planted] += 1
    anomalies = sum(planted[kind] for kind in ANOMALIES)
    # What is owed is paid within a few rows; so the count is exact, not only on average.
    assert rate * rows - 12 <= anomalies <= rate * rows
    if rate:
        assert all(planted[kind] > 0.25 * anomalies - 3 for kind in ANOMALIES)


@settings(max_examples=12, deadline=None)
@given(seed=seeds)
def test_what_is_planted_is_an_anomaly_and_nothing_else_is(seed: int) -> None:
    world = World()
    for transaction in day(Plan(seed=seed, anomaly_rate=0.1, burst_interval_s=0), 2000):
        world.apply(transaction)
        for operation in transaction.operations:
            if operation.table != "attendance":
                continue
            row = operation.values
            person, site, when = row["person_id"], row["site_id"], row["occurred_at"]
            assert isinstance(person, int)
            assert isinstance(site, int)
            assert isinstance(when, datetime)
            wrong = row["verified_person_id"] not in (None, person)
            assert wrong == (transaction.planted is Planted.WRONG_PERSON)
            if transaction.planted is Planted.UNAUTHORIZED_SITE:
                assert row["event_type"] == "CHECK_IN"
                assert not world.assigned(person, site)
            elif row["event_type"] == "CHECK_IN":
                assert world.assigned(person, site, when)


@settings(max_examples=12, deadline=None)
@given(seed=seeds)
def test_a_ticket_update_is_counted_exactly_when_its_status_changed(seed: int) -> None:
    status: dict[int, object] = {}
    for transaction in day(Plan(seed=seed), 3000):
        for operation in transaction.operations:
            if operation.table != "ticket":
                continue
            if isinstance(operation, Insert):
                status[int(str(operation.values["id"]))] = operation.values["status"]
                assert transaction.planted is None
                continue
            new = operation.values.get("status", status[operation.row_id])
            assert (new != status[operation.row_id]) == (transaction.planted is Planted.TICKET_UPDATED)
            status[operation.row_id] = new
    assert "CLOSED" in status.values()


@settings(max_examples=8, deadline=None)
@given(seed=seeds)
def test_gps_tracks_stay_within_the_geofence_and_never_jump(seed: int) -> None:
    world = World()
    last: dict[object, dict[str, Any]] = {}
    for transaction in day(Plan(seed=seed, burst_interval_s=20), 2500):
        world.apply(transaction)
        for operation in transaction.operations:
            if operation.table != "location":
                continue
            fix: dict[str, Any] = dict(operation.values)
            site = world.tables["site"][fix["site_id"]]
            off_m = distance_m(fix["latitude"], fix["longitude"], site["latitude"], site["longitude"])
            assert off_m <= site["geofence_radius_m"]
            before = last.get(fix["person_id"])
            if before is not None and before["site_id"] == fix["site_id"]:
                seconds = (fix["recorded_at"] - before["recorded_at"]).total_seconds()
                assert seconds >= 0
                path_m = distance_m(fix["latitude"], fix["longitude"], before["latitude"], before["longitude"])
                # A check-in elsewhere at the gate may lie between two fixes; nobody flies.
                assert path_m <= max(3.0 * seconds, 2 * site["geofence_radius_m"])
            last[fix["person_id"]] = fix


def test_bursts_are_one_transaction_over_the_limit_and_nothing_is_planted_right_after() -> None:
    plan = Plan(seed=2, burst_interval_s=10, burst_rows=150, anomaly_rate=0.3)
    simulation = Simulation(plan, START)
    list(simulation.opening())
    bursts: list[tuple[datetime, int]] = []
    for place in range(60 * ROWS_PER_S):
        now = START + timedelta(seconds=place / ROWS_PER_S)
        transaction = simulation.step(now)
        if transaction.planted is Planted.RATE_LIMITED:
            assert len(transaction.operations) == plan.burst_rows
            assert {operation.table for operation in transaction.operations} == {"location"}
            bursts.append((now, transaction.tenant_id))
        elif transaction.planted in ANOMALIES:
            assert all(now - when >= timedelta(seconds=3) or tenant != transaction.tenant_id for when, tenant in bursts)
    assert 4 <= len(bursts) <= 9


def test_a_quiet_plan_has_no_bursts() -> None:
    kinds = {transaction.planted for transaction in day(Plan(burst_interval_s=0, anomaly_rate=0), 4000)}
    assert kinds <= {None, Planted.TICKET_UPDATED}


def test_a_later_run_goes_on_behind_the_earlier_ones_rows_and_finishes_their_work() -> None:
    first = World()
    for transaction in day(Plan(seed=1), 2000):
        first.apply(transaction)
    growing = ("assignment", "attendance", "jobneed", "location", "ticket", "work_order")
    next_ids = {table: max(first.tables[table]) + 1 for table in growing}
    left_open = [
        OpenItem(row["id"], row["tenant_id"], row["site_id"], row["status"])
        for row in first.tables["ticket"].values()
        if row["status"] != "CLOSED"
    ]
    touched: set[int] = set()
    for transaction in day(Plan(seed=9), 4000, resume=ResumePoint(next_ids, {"ticket": left_open})):
        for operation in transaction.operations:
            if isinstance(operation, Insert) and operation.table in growing:
                assert int(str(operation.values["id"])) >= next_ids[operation.table]
            elif isinstance(operation, Update) and operation.table == "ticket":
                touched.add(operation.row_id)
    assert {item.id for item in left_open} <= touched


def test_a_day_that_never_ends_renews_its_shifts() -> None:
    simulation = Simulation(Plan(tenants=1, burst_interval_s=0), START)
    list(simulation.opening())
    activities = Counter(
        operation.table
        for place in range(4000)
        for operation in simulation.step(START + timedelta(seconds=place * 60)).operations
    )
    assert activities["assignment"] > 60
    assert activities["attendance"] > 100


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_the_extreme_rates_still_give_a_row_each_step(rate: float) -> None:
    assert all(transaction.operations for transaction in day(Plan(anomaly_rate=rate), 500))
