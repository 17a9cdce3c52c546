"""Registers the connector on a Kafka Connect cluster over its REST interface, and reads its state.

What counts is the state of the task: Connect calls a connector RUNNING even if its only task has failed.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import msgspec

from common.credentials import connect_sign_in
from common.errors import WatchfloorError
from common.settings.connect import ConnectSettings
from common.settings.load import Settings
from connect.connector import connector_config
from connect.slot import drop_slot, forget_gaps

_POSITION_GONE: Final = "no longer available on the server"
_REASON_CHARACTERS_MAX: Final = 300
_POLL_S: Final = 0.1
# Temporary answers: the worker is starting, or the group is rebalancing.
_TRANSIENT: Final = frozenset({404, 409, 500, 503})


class TaskState(msgspec.Struct, frozen=True):
    """One task of the connector."""

    id: int
    state: str
    """RUNNING, FAILED, PAUSED, UNASSIGNED, RESTARTING, DESTROYED."""
    worker_id: str = ""
    trace: str | None = None

    @property
    def reason(self) -> str | None:
        """Why the task failed, in one line: the innermost cause in the trace."""
        lines = (self.trace or "").splitlines()
        causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
        found = causes[-1] if causes else next(iter(lines), None)
        return found.rpartition("Exception: ")[2].strip()[-_REASON_CHARACTERS_MAX:] if found else None


class _Side(msgspec.Struct, frozen=True):
    state: str
    worker_id: str = ""
    trace: str | None = None


class ConnectorState(msgspec.Struct, frozen=True):
    """The connector and its tasks, as Connect reports them."""

    name: str
    connector: _Side
    tasks: list[TaskState]

    @property
    def running(self) -> bool:
        """Whether there is at least one task and all are RUNNING."""
        return bool(self.tasks) and all(task.state == "RUNNING" for task in self.tasks)

    @property
    def failure(self) -> str | None:
        """The first failure in one line; None if nothing has failed."""
        if self.connector.state == "FAILED":
            return TaskState(0, "FAILED", trace=self.connector.trace).reason or "no reason given"
        failed = next((task for task in self.tasks if task.state == "FAILED"), None)
        return None if failed is None else failed.reason or "no reason given"


_decode_state = msgspec.json.Decoder(ConnectorState).decode


def apply_connector(
    settings: Settings, *, new_snapshot: bool = False, on_wait: Callable[[str], None] | None = None
) -> ConnectorState:
    """Register the connector, or change its configuration, and wait until its task runs.

    Idempotent: the same configuration leaves a running task alone. A failed task is restarted, since the
    cause may be gone.

    Args:
        settings: `connect` says where to register; `source` and `kafka` determine the configuration.
        new_snapshot: discard the position in PostgreSQL's log and read all rows again (`op` r) first.
        on_wait: called with what is being waited for, each time that changes.

    Raises:
        WatchfloorError: Connect does not answer or refuses the configuration, or the task does not run
            within `connect.start_timeout_s`, with its reason; with `new_snapshot` also if the database
            does not answer or another reader holds the slot.
    """
    connect = settings.connect
    deadline = time.monotonic() + connect.start_timeout_s
    report = on_wait or (lambda _: None)
    with _client(connect) as client:
        report("waiting for Kafka Connect")
        _wait_answer(client, deadline)
        report("registering the connector")
        _register(client, settings, deadline, new_snapshot=new_snapshot)
        report("waiting for the connector's task")
        return _wait_running(client, connect, deadline)


def connector_state(settings: Settings) -> ConnectorState | None:
    """The connector's state; None if it is not registered.

    Raises:
        WatchfloorError: Connect does not answer.
    """
    with _client(settings.connect) as client:
        return _state(client, settings.connect)


def restart_failed_tasks(settings: Settings) -> list[str]:
    """Restart failed connectors and tasks; return the reason of each failure.

    Connect never restarts a failed task by itself. Call this with a growing delay.

    Raises:
        WatchfloorError: Connect does not answer.
    """
    connect = settings.connect
    with _client(connect) as client:
        state = _state(client, connect)
        if state is None or state.failure is None:
            return []
        reasons = [task.reason or "no reason given" for task in state.tasks if task.state == "FAILED"]
        client.post(f"/connectors/{connect.connector}/restart", params={"includeTasks": "true", "onlyFailed": "true"})
        return reasons or [state.failure]


@contextmanager
def _client(connect: ConnectSettings) -> Iterator[httpx.Client]:
    try:
        # Connect is in the local network, so the proxies of the environment are not used.
        with httpx.Client(
            base_url=connect.url, timeout=connect.request_timeout_s, trust_env=False, auth=connect_sign_in(connect)
        ) as client:
            yield client
    except httpx.InvalidURL as error:
        raise WatchfloorError(f"connect.url {connect.url} is not a URL", "write http://host:port") from error
    except httpx.TransportError as error:
        raise WatchfloorError(
            f"no Kafka Connect answers at {connect.url}", "start it, or set connect.url to its address"
        ) from error


def _wait_answer(client: httpx.Client, deadline: float) -> None:
    """Wait until Connect answers: it refuses connections for some seconds while it starts."""
    while True:
        try:
            client.get("/")
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(_POLL_S)


def _register(client: httpx.Client, settings: Settings, deadline: float, *, new_snapshot: bool) -> None:
    connect, config = settings.connect, connector_config(settings)
    path = f"/connectors/{connect.connector}"
    state = _state(client, connect)
    if state is not None and not new_snapshot and state.failure is None and state.connector.state == "RUNNING":
        known: dict[str, str] = client.get(f"{path}/config").json()
        if known == config | {"name": connect.connector}:
            return
    if state is not None:
        _stop(client, connect, deadline)
    if new_snapshot:
        if state is None:
            # Connect keeps the offsets of a deleted connector, and can delete them only while the connector exists.
            created = {"name": connect.connector, "config": config, "initial_state": "STOPPED"}
            _until_accepted(lambda: client.post("/connectors", json=created), deadline)
        _until_accepted(lambda: client.delete(f"{path}/offsets"), deadline)
        drop_slot(settings.source)
        forget_gaps(settings.source)
    _until_accepted(lambda: client.put(f"{path}/config", json=config), deadline)
    _until_accepted(lambda: client.put(f"{path}/resume"), deadline)


def _stop(client: httpx.Client, connect: ConnectSettings, deadline: float) -> None:
    """Wait until no task is left, so that the state of an old task is not taken for that of the new one."""
    _until_accepted(lambda: client.put(f"/connectors/{connect.connector}/stop"), deadline)
    while (state := _state(client, connect)) is not None and state.tasks and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _until_accepted(request: Callable[[], httpx.Response], deadline: float) -> None:
    while True:
        answer = request()
        if answer.is_success:
            return
        if answer.status_code not in _TRANSIENT or time.monotonic() > deadline:
            raise WatchfloorError(
                f"Kafka Connect refuses the connector ({_message(answer)})",
                "correct the source settings and run watchfloor connect apply again",
            )
        time.sleep(_POLL_S)


def _wait_running(client: httpx.Client, connect: ConnectSettings, deadline: float) -> ConnectorState:
    while True:
        state = _state(client, connect)
        if state is not None and state.running:
            return state
        if state is not None and state.failure:
            raise _task_failure(state.failure)
        if time.monotonic() > deadline:
            seen = "not registered" if state is None else ", ".join(task.state for task in state.tasks) or "no task"
            raise WatchfloorError(
                f"the connector's task does not run after {connect.start_timeout_s} s ({seen})",
                "read Kafka Connect's log",
            )
        time.sleep(_POLL_S)


def _task_failure(reason: str) -> WatchfloorError:
    if _POSITION_GONE in reason:
        return WatchfloorError(
            "the connector's position is no longer in PostgreSQL's log: its slot was dropped or was too far behind",
            "run watchfloor connect apply --new-snapshot, which reads all rows again; deletes in between remain unknown",
        )
    return WatchfloorError(
        f"the connector's task failed ({reason})", "correct the cause and run watchfloor connect apply again"
    )


def _state(client: httpx.Client, connect: ConnectSettings) -> ConnectorState | None:
    answer = client.get(f"/connectors/{connect.connector}/status")
    if answer.status_code in _TRANSIENT:
        return None
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise WatchfloorError(
            f"Kafka Connect at {connect.url} refuses user {connect.user or '(none)'}",
            "correct connect.user and connect.password (or connect.password_file)",
        )
    if not answer.is_success:
        raise WatchfloorError(f"Kafka Connect at {connect.url} answers {answer.status_code}", "check connect.url")
    return _decode_state(answer.content)


def _message(answer: httpx.Response) -> str:
    """The first informative line of Connect's error; it never repeats a value of the configuration."""
    try:
        body: Any = answer.json()
        lines = [line.strip() for line in str(body["message"]).splitlines() if line.strip()]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
    details = [line for line in lines[1:] if not line.startswith("You can also find")]
    return (details or lines or [f"HTTP {answer.status_code}"])[0]
