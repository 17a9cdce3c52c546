"""Something of the real chain stops: health says what, clients are told, and told again when it is over."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from support.gateway_process import Client
from support.stack import RunningStack
from support.waiting import until

from deploy.embedded.ports import choose

QUICK = {
    "HEALTH__INTERVAL_S": 1,
    "FEED_STATUS__HOLD_S": 1,
    "FEED_STATUS__INTERVAL_S": 2,
    "READER__BROKER_SILENCE_S_MAX": 2,
}


class Watcher:
    """A gateway of its own on the stack's feed, which looks often, and one client of it."""

    def __init__(self, stack: RunningStack, port: int) -> None:
        self.http = f"http://127.0.0.1:{port}"
        self._stack = stack
        self._address = f"ws://127.0.0.1:{port}/ws/noc/dashboard/"

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.http}/readyz", timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def health(self) -> tuple[int, dict[str, Any]]:
        answer = httpx.get(f"{self.http}/api/noc/health/", timeout=5, trust_env=False)
        return answer.status_code, answer.json()

    def says(self, status: int, component: str, state: str) -> dict[str, Any] | None:
        code, health = self.health()
        return health if code == status and health["components"][component]["state"] == state else None

    def client(self) -> Client:
        client = Client(self._address)
        client.say(type="authenticate", token=self._stack.make_token())
        client.established = client.hear()
        return client


@pytest.fixture(scope="module")
def watcher(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watcher]:
    taken: set[int] = set()
    port, admin_port = choose([], taken), choose([], taken)
    log = tmp_path_factory.mktemp("watcher") / "gateway.log"
    settings = {
        f"WATCHFLOOR_GATEWAY__{name}": str(value)
        for name, value in (QUICK | {"PORT": port, "ADMIN__PORT": admin_port}).items()
    }
    with log.open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "watchfloor", "--config", str(stack.state_dir / "watchfloor.toml"), "gateway"],
            env=os.environ | settings,
            stdout=words,
            stderr=words,
            stdin=subprocess.DEVNULL,
        )
    watching = Watcher(stack, port)
    try:
        until(watching.ready, "the gateway is ready")
        until(lambda: all_is_well(watching), "the chain is healthy before anything is stopped", within_s=60)
        yield watching
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text("utf-8")


def all_is_well(watching: Watcher) -> bool:
    code, health = watching.health()
    return code == 200 and {part["state"] for part in health["components"].values()} == {"healthy"}


def status_of(client: Client, state: str, timeout_s: float = 60.0) -> dict[str, Any]:
    """The next `feed_status` of a state; what else comes is passed over."""
    deadline = time.monotonic() + timeout_s
    while True:
        message = client.hear(max(0.01, deadline - time.monotonic()))
        if (message["type"], message.get("state")) == ("feed_status", state):
            return message


def test_a_chain_that_is_well_says_so(stack: RunningStack, watcher: Watcher) -> None:
    code, health = watcher.health()
    assert (code, health["status"]) == (200, "healthy")
    assert health["feed"] == {
        "state": "live",
        "component": None,
        "behind_seconds": None,
        "behind_records": None,
        "since": None,
    }
    assert health["components"]["worker"]["lag_records"] == 0
    assert health["backlog"]["capture_bytes"] is not None
    assert health["tasks"]["events_processed"] >= 0
    everything = httpx.get(f"{watcher.http}/api/noc/health/", trust_env=False).text
    settings = stack.settings
    assert settings.auth.hs256_secret is not None
    for secret in (settings.source.password, settings.auth.hs256_secret):
        assert secret.get_secret_value() not in everything
    with watcher.client() as newcomer:
        assert [message for message in newcomer.hear_all() if message["type"] == "feed_status"] == []
    stacks_own = httpx.get(f"{stack.endpoints['gateway']}/api/noc/health/", timeout=5, trust_env=False)
    assert stacks_own.json()["components"]["worker"]["state"] == "healthy"


def test_a_killed_worker(stack: RunningStack, watcher: Watcher) -> None:
    with watcher.client() as client:
        os.kill(stack.pid("worker"), signal.SIGKILL)
        health = until(lambda: watcher.says(503, "worker", "unhealthy"), "health names the worker")
        assert health["components"]["kafka"]["state"] == "healthy"
        status = status_of(client, "interrupted")
        assert (status["component"], status["behind_seconds"] > 0) == ("worker", True)
        live = status_of(client, "live")
        assert (live["component"], live["since"]) == (None, None)
    until(lambda: all_is_well(watcher), "all is well again", within_s=60)


@contextmanager
def stopped_connector(stack: RunningStack) -> Iterator[None]:
    path = f"/connectors/{stack.settings.connect.connector}"
    with stack.connect_client() as connect:
        assert connect.put(f"{path}/stop").is_success
        try:
            yield
        finally:
            assert connect.put(f"{path}/resume").is_success


def test_a_stopped_connector(stack: RunningStack, watcher: Watcher) -> None:
    with watcher.client() as client:
        with stopped_connector(stack):
            health = until(lambda: watcher.says(503, "connect", "unhealthy"), "health names Connect")
            assert health["components"]["worker"]["state"] == "healthy"
            first = status_of(client, "interrupted")
            assert first["component"] == "connect"
            again = status_of(client, "interrupted")
            assert (again["since"], again["behind_seconds"] > first["behind_seconds"]) == (first["since"], True)
            with watcher.client() as newcomer:
                greeting = status_of(newcomer, "interrupted", 1)
                assert greeting["since"] == first["since"]
        status_of(client, "live")
    until(lambda: all_is_well(watcher), "all is well again", within_s=60)
    assert watcher.health()[1]["components"]["connect"]["restarts_seen"] == 1


def test_a_frozen_broker(stack: RunningStack, watcher: Watcher) -> None:
    with watcher.client() as client:
        os.kill(stack.pid("kafka"), signal.SIGSTOP)
        try:
            until(lambda: watcher.says(503, "kafka", "unhealthy"), "health names Kafka")
            assert status_of(client, "interrupted")["component"] == "kafka"
        finally:
            os.kill(stack.pid("kafka"), signal.SIGCONT)
        status_of(client, "live")
    until(lambda: all_is_well(watcher), "all is well again", within_s=60)


def test_a_frozen_database(stack: RunningStack, watcher: Watcher) -> None:
    with watcher.client() as client:
        os.kill(stack.pid("postgres"), signal.SIGSTOP)
        try:
            until(lambda: watcher.says(503, "database", "unhealthy"), "health names the database")
            assert status_of(client, "interrupted")["component"] == "database"
        finally:
            os.kill(stack.pid("postgres"), signal.SIGCONT)
        status_of(client, "live")
    until(lambda: all_is_well(watcher), "all is well again", within_s=60)
