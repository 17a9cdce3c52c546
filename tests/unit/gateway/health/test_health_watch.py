"""What `/api/noc/health/` says: each component's state by what is known of it, and the worst of all.

Also of gateway/health/report.py.
"""

from typing import Any

import msgspec
import pytest

from common.settings.load import Settings
from connect.problems import Effect
from contracts.messages import FeedState, FeedStatus
from gateway.health.health_watch import HealthWatch
from gateway.health.report import (
    Component,
    ConnectReading,
    DatabaseReading,
    FeedReading,
    State,
    WorkerReading,
    connect_component,
    database_component,
    gateway_component,
    kafka_component,
    overall,
    worker_component,
)
from gateway.metrics import GatewayMetrics

NOW = 1_000_000.0


def feed(**more: Any) -> FeedReading:
    fine: dict[str, Any] = {
        "positions_known": True,
        "answering": True,
        "lag_records": 0,
        "lag_seconds": 0.0,
        "last_record_at": NOW - 7,
        "last_output_at": NOW - 2,
        "admits": True,
        "reason": "caught up",
    }
    return FeedReading(**fine | more)


def worker(reading: WorkerReading | None) -> Component:
    return worker_component(reading, feed(), partitions=4, behind_s=5, now=NOW)


@pytest.mark.parametrize(
    ("reading", "state"),
    [
        (None, State.UNKNOWN),
        (WorkerReading(2, 0, 0, 0), State.UNHEALTHY),
        (WorkerReading(2, 2, 0, 0), State.UNHEALTHY),
        (WorkerReading(2, 2, 2, 3), State.UNHEALTHY),
        (WorkerReading(2, 1, 1, 4), State.DEGRADED),
        (WorkerReading(2, 2, 2, 4, lag_seconds=6), State.DEGRADED),
        (WorkerReading(2, 2, 2, 4, lag_seconds=4.9), State.HEALTHY),
    ],
)
def test_workers_are_well_when_every_partition_is_processed_in_time(
    reading: WorkerReading | None, state: State
) -> None:
    component = worker(reading)
    assert (component.state, component.last_message_age_s) == (state, 2.0)


def test_the_worker_s_lag_is_told() -> None:
    component = worker(WorkerReading(1, 1, 1, 4, lag_records=12, lag_seconds=0.5))
    assert (component.lag_records, component.lag_seconds) == (12, 0.5)


@pytest.mark.parametrize(
    ("reading", "state", "word"),
    [
        (None, State.UNKNOWN, "connect_url"),
        (ConnectReading(answers=False), State.UNHEALTHY, "does not answer"),
        (ConnectReading(answers=True), State.UNHEALTHY, "not registered"),
        (ConnectReading(answers=True, registered=True, connector="RUNNING"), State.UNHEALTHY, "none"),
        (ConnectReading(True, True, "RUNNING", ("FAILED",)), State.UNHEALTHY, "FAILED"),
        (ConnectReading(True, True, "RUNNING", ("RUNNING", "PAUSED")), State.UNHEALTHY, "PAUSED"),
        (ConnectReading(True, True, "RUNNING", ("RUNNING",)), State.HEALTHY, "runs"),
    ],
)
def test_what_counts_is_the_task(reading: ConnectReading | None, state: State, word: str) -> None:
    component = connect_component(reading, None, 3)
    assert component.state is state
    assert word in component.detail
    assert component.restarts_seen == (None if reading is None else 3)


def test_a_task_that_runs_without_reading_the_log_is_not_well() -> None:
    running = ConnectReading(True, True, "RUNNING", ("RUNNING",))
    assert connect_component(running, DatabaseReading(True, slot_active=False), 0).state is State.DEGRADED
    assert connect_component(running, DatabaseReading(True, slot_active=True), 0).state is State.HEALTHY


def test_database_kafka_and_gateway() -> None:
    assert database_component(None).state is State.UNKNOWN
    assert database_component(DatabaseReading(answers=False)).state is State.UNHEALTHY
    assert database_component(DatabaseReading(answers=True)).state is State.HEALTHY
    assert kafka_component(feed()).state is State.HEALTHY
    assert kafka_component(feed(answering=False)).state is State.UNHEALTHY
    fine = gateway_component(feed(lag_records=5, lag_seconds=1.23456), NOW)
    assert (fine.state, fine.last_message_age_s, fine.lag_records, fine.lag_seconds) == (State.HEALTHY, 7.0, 5, 1.235)
    assert gateway_component(feed(admits=False, reason="stopping"), NOW).state is State.UNHEALTHY
    assert gateway_component(feed(answering=False), NOW).state is State.DEGRADED
    assert gateway_component(feed(last_record_at=None), NOW).last_message_age_s is None


@pytest.mark.parametrize(
    ("capture", "state", "word"),
    [
        (None, State.HEALTHY, "is not known"),
        ({}, State.HEALTHY, "PostgreSQL answers"),
        ({Effect.LOSES: ("ticket", "site"), Effect.PARTIAL: ("site",)}, State.UNHEALTHY, "of ticket, site are lost"),
        ({Effect.LOSES: ()}, State.UNHEALTHY, "all tables are lost"),
        ({Effect.BREAKS_WRITES: ("ticket",)}, State.UNHEALTHY, "writes to ticket fail"),
        ({Effect.LOST: ()}, State.DEGRADED, "were lost"),
        ({Effect.PARTIAL: ("site",)}, State.DEGRADED, "deletes of site"),
        ({Effect.UNPREPARED: ("site",)}, State.DEGRADED, "not prepared"),
    ],
)
def test_the_database_is_as_well_as_its_capture(
    capture: dict[Effect, tuple[str, ...]] | None, state: State, word: str
) -> None:
    component = database_component(DatabaseReading(answers=True, capture=capture))
    assert component.state is state
    assert word in component.detail


def test_since_when_rows_are_lost_is_what_the_database_knows_or_when_it_was_seen() -> None:
    loses = {Effect.LOSES: ("ticket",)}
    assert database_component(DatabaseReading(True, capture=loses), "seen").rows_lost_since == "seen"
    assert (
        database_component(DatabaseReading(True, capture=loses, lost_since="known"), "seen").rows_lost_since == "known"
    )
    silent = database_component(DatabaseReading(answers=False), "seen")
    assert (silent.state, silent.rows_lost_since) == (State.UNHEALTHY, None)
    assert DatabaseReading(answers=False).loses is None


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("", State.HEALTHY),
        ("healthy unknown", State.HEALTHY),
        ("healthy degraded unknown", State.DEGRADED),
        ("degraded unhealthy healthy", State.UNHEALTHY),
    ],
)
def test_the_whole_is_as_well_as_its_worst_known_part(states: str, expected: State) -> None:
    parts = {str(n): Component(state=State(name), detail="") for n, name in enumerate(states.split())}
    assert overall(parts) is expected


class Stage:
    """A health watch whose world a test sets."""

    def __init__(self) -> None:
        self.notices: list[FeedStatus] = []
        self.reading = feed()
        self.metrics = GatewayMetrics()
        self.watch = HealthWatch(
            Settings.model_validate({"gateway": {"feed_status": {"hold_s": 3}}}),
            "here",
            self.metrics,
            feed=lambda: self.reading,
            depths=lambda: {"receipts": 3},
            notify=self.notices.append,
        )


def test_a_silent_broker_is_told_to_those_here_and_to_who_comes() -> None:
    stage = Stage()
    for second in range(10):
        stage.watch.check(NOW + second)
    assert (stage.notices, stage.watch.notice()) == ([], None)
    stage.reading = feed(answering=False, reason="the Kafka broker does not answer")
    for second in range(10, 20):
        stage.watch.check(NOW + second)
    (status,) = stage.notices
    assert (status.state, status.component, status.behind_seconds) == (FeedState.INTERRUPTED, "kafka", 4.0)
    assert stage.watch.notice() is not None
    assert stage.watch.notice().component == "kafka"
    value = stage.metrics.registry.get_sample_value
    assert value("watchfloor_gateway_feed_behind_seconds") == 10.0
    assert value("watchfloor_gateway_component_state", {"component": "kafka", "state": "unhealthy"}) == 1
    assert value("watchfloor_gateway_component_state", {"component": "kafka", "state": "healthy"}) == 0
    health = stage.watch.health()
    assert health.status is State.UNHEALTHY
    assert (health.feed["state"], health.feed["component"]) == ("interrupted", "kafka")
    assert "type" not in health.feed
    stage.reading = feed()
    for second in range(20, 30):
        stage.watch.check(NOW + second)
    assert [status.state for status in stage.notices] == [FeedState.INTERRUPTED, FeedState.LIVE]
    assert stage.watch.notice() is None


def test_the_answer_has_every_part_and_no_secret() -> None:
    answer = msgspec.json.decode(Stage().watch.reply()[1])
    assert answer.keys() == {
        "status",
        "time",
        "gateway",
        "version",
        "checked_age_s",
        "feed",
        "components",
        "queue_depths",
        "backlog",
        "tasks",
    }
    assert answer["components"].keys() == {"database", "kafka", "connect", "worker", "gateway"}
    assert answer["queue_depths"] == {"receipts": 3}
