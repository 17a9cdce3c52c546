"""Registration, and what is said where it fails."""

import re
from collections.abc import Callable

import pytest
from support.scripted_connect import Cluster

from common.errors import WatchfloorError
from common.settings.connect import ConnectSettings
from common.settings.load import Settings
from connect.apply import TaskState, apply_connector, connector_state, restart_failed_tasks
from connect.connector import connector_config


def test_a_new_connector_is_registered_and_runs(cluster: Cluster, settings: Settings) -> None:
    assert apply_connector(settings).running
    assert cluster.config == connector_config(settings) | {"name": "watchfloor"}


def test_the_same_configuration_leaves_a_running_task_alone(cluster: Cluster, settings: Settings) -> None:
    apply_connector(settings)
    cluster.calls.clear()
    assert apply_connector(settings).running
    assert cluster.calls == []


def test_another_configuration_stops_the_old_task_first(cluster: Cluster, settings: Settings) -> None:
    apply_connector(settings)
    cluster.calls.clear()
    connect = settings.connect.model_copy(update={"poll_interval_ms": 7})
    apply_connector(settings.model_copy(update={"connect": connect}))
    assert cluster.calls == ["PUT /stop", "PUT /config", "PUT /resume"]
    assert cluster.config is not None
    assert cluster.config["poll.interval.ms"] == "7"


def test_a_rebalance_is_waited_for(cluster: Cluster, settings: Settings) -> None:
    cluster.busy = 3
    assert apply_connector(settings).running


def test_a_task_that_fails_is_one_line_with_its_innermost_cause(cluster: Cluster, settings: Settings) -> None:
    cluster.fails = True
    with pytest.raises(WatchfloorError, match="Publication watchfloor is missing") as caught:
        apply_connector(settings)
    assert "\n" not in str(caught.value)


def test_a_position_that_is_gone_names_the_way_out(cluster: Cluster, settings: Settings) -> None:
    cluster.fails = True
    cluster.trace = "x.DebeziumException: The connector is trying … but this is no longer available on the server."
    with pytest.raises(WatchfloorError, match="--new-snapshot"):
        apply_connector(settings)


def test_a_refused_configuration_says_why(cluster: Cluster, settings: Settings) -> None:
    cluster.refusal = (
        400,
        """Connector configuration is invalid and contains the following 1 error(s):
Error while validating
You can also find the above list of errors at the endpoint""",
    )
    with pytest.raises(WatchfloorError, match=re.escape("refuses the connector (Error while validating)")):
        apply_connector(settings)


def test_a_connect_that_is_not_there_is_waited_for_and_then_named() -> None:
    settings = Settings(connect=ConnectSettings(url="http://127.0.0.1:1", start_timeout_s=1))
    with pytest.raises(WatchfloorError, match=r"no Kafka Connect answers at http://127\.0\.0\.1:1"):
        apply_connector(settings)


@pytest.mark.parametrize("call", [connector_state, restart_failed_tasks])
def test_asking_a_connect_that_is_not_there_does_not_wait(call: Callable[[Settings], object]) -> None:
    with pytest.raises(WatchfloorError, match="no Kafka Connect answers"):
        call(Settings(connect=ConnectSettings(url="http://127.0.0.1:1")))


def test_an_unregistered_connector_has_no_state(settings: Settings) -> None:
    assert connector_state(settings) is None
    assert restart_failed_tasks(settings) == []


def test_only_what_failed_is_restarted(cluster: Cluster, settings: Settings) -> None:
    apply_connector(settings)
    assert restart_failed_tasks(settings) == []
    cluster.fails = True
    state = connector_state(settings)
    assert state is not None
    assert state.connector.state == "RUNNING"
    assert not state.running
    assert restart_failed_tasks(settings) == ["Publication watchfloor is missing"]
    assert cluster.calls[-1] == "POST /restart"
    assert restart_failed_tasks(settings) == []


def test_a_trace_without_a_cause_gives_its_first_line() -> None:
    assert TaskState(0, "FAILED", trace="java.lang.IllegalStateException: no\n\tat x").reason == "no"
    assert TaskState(0, "RUNNING").reason is None
