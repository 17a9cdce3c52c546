"""A stack over its life: stopped and started with its state, killed and cleaned up after, healing by itself.

These tests have a stack of their own, which they break; the shared one is left alone. What leaves it running comes
first, since a start takes longer than most of the tests.

Also of deploy/embedded/stack.py, deploy/embedded/launcher.py, deploy/embedded/components.py, deploy/embedded/java.py,
deploy/embedded/tools.py and deploy/embedded/aot_cache.py.
"""

import os
import signal
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from support.stack import RunningStack
from support.stack_fixtures import passable_directory
from support.waiting import until

from common.kafka import librdkafka_config

OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def state_dir() -> Iterator[Path]:
    with passable_directory() as root:
        yield root / "state"


class OwnStack:
    """A stack on one state directory, started again when a test has ended it; each test finds what the last one left."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._running: RunningStack | None = None

    def running(self) -> RunningStack:
        if self._running is None or self._running.process.poll() is not None:
            self._running = RunningStack.start(self._state_dir)
        return self._running

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()


@pytest.fixture(scope="module")
def own_stack(state_dir: Path) -> Iterator[OwnStack]:
    made = OwnStack(state_dir)
    yield made
    made.stop()


@pytest.fixture
def own(own_stack: OwnStack) -> RunningStack:
    return own_stack.running()


def insert_tenant(stack: RunningStack, name: str) -> None:
    with stack.connection() as session:
        session.execute(
            "INSERT INTO tenant (id, tenant_id, name, timezone)"
            " SELECT n, n, %s, 'UTC' FROM (SELECT coalesce(max(id), 0) + 1 AS n FROM tenant) AS next",
            (name,),
        )


def is_captured(stack: RunningStack, name: str, timeout_s: float = 60) -> bool:
    """Whether the change record of a tenant of this name is on its topic within the time."""
    settings = stack.settings
    consumer = Consumer(librdkafka_config(settings.kafka, group_id=uuid.uuid4().hex, auto_offset_reset="earliest"))
    consumer.subscribe([f"{settings.kafka.topic_prefix}.public.tenant"])
    try:
        until(
            lambda: (record := consumer.poll(0.5)) is not None and f'"{name}"'.encode() in (record.value() or b""),
            f"the change of {name} arrives",
            within_s=timeout_s,
        )
    finally:
        consumer.close()
    return True


def processes_of(state_dir: Path) -> set[int]:
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        if any(f"{state_dir}/" in word for word in process.info["cmdline"] or []) and process.pid != os.getpid():
            found.add(process.pid)
    return found


def test_stopped_and_started_it_goes_on_where_it_was(state_dir: Path) -> None:
    first = RunningStack.start(state_dir)
    insert_tenant(first, "kept over a stop")
    assert is_captured(first, "kept over a stop")
    before = first.endpoints
    token = first.make_token()
    assert before["postgres"].startswith("postgresql://")
    assert first.ready_line == f"ready: {before['gateway']}/"
    for name in ("endpoints.json", "watchfloor.toml"):
        assert stat.S_IMODE((state_dir / name).stat().st_mode) == 0o600
    for name in ("logs", "run", "config", "kafka", "postgres"):
        assert stat.S_IMODE((state_dir / name).stat().st_mode) == 0o700, name
    assert first.stop(signal.SIGINT) == 0
    assert not (state_dir / "endpoints.json").exists()
    assert processes_of(state_dir) == set()

    # Behind a proxy that answers nothing: all that is needed is on this machine.
    second = RunningStack.start(state_dir, env=OFFLINE)
    after = second.endpoints
    assert {name: after[name] for name in after if name != "pids"} == {
        name: before[name] for name in before if name != "pids"
    }
    assert second.make_token(iat=0, exp=1) == first.make_token(iat=0, exp=1)
    assert token
    with second.connection() as session:
        assert session.execute("SELECT count(*) FROM tenant WHERE name = 'kept over a stop'").fetchone() == (1,)
    insert_tenant(second, "after the second start")
    assert is_captured(second, "after the second start")
    assert second.stop(signal.SIGTERM) == 0
    assert processes_of(state_dir) == set()


def test_everything_listens_on_loopback_only(own: RunningStack) -> None:
    pids = own.endpoints["pids"]
    for pid in (pids["postgres"], pids["kafka"], pids["connect"], *pids["worker"], *pids["gateway"]):
        listening = [one for one in psutil.Process(pid).net_connections("inet") if one.status == psutil.CONN_LISTEN]
        assert listening, pid
        assert {one.laddr[0].removeprefix("::ffff:") for one in listening} == {"127.0.0.1"}, pid


def test_the_sources_password_is_neither_at_connect_nor_in_an_argument(own: RunningStack) -> None:
    secrets = [
        own.settings.kafka.sasl_password.get_secret_value() if own.settings.kafka.sasl_password else "",
        own.settings.connect.password.get_secret_value() if own.settings.connect.password else "",
        own.settings.source.password.get_secret_value(),
        own.endpoints["postgres"].split(":")[2].partition("@")[0],
        own.make_token(),
    ]
    name = own.settings.connect.connector
    with own.connect_client() as connect:
        config = connect.get(f"/connectors/{name}/config").raise_for_status().text
    arguments = "\n".join(" ".join(psutil.Process(pid).cmdline()) for pid in processes_of(own.state_dir))
    logs = "\n".join(log.read_text("utf-8", "replace") for log in (own.state_dir / "logs").iterdir())
    for secret in secrets:
        assert secret not in config
        assert secret not in arguments
        assert secret not in logs


def test_the_endpoints_alone_say_how_to_sign_in_at_every_server(own: RunningStack) -> None:
    endpoints = own.endpoints
    sign_in = {name.replace("_", "."): value for name, value in endpoints["kafka_sign_in"].items()}
    admin = AdminClient({"bootstrap.servers": endpoints["kafka"]} | sign_in)
    assert "noc.anomalies" in admin.list_topics(timeout=10).topics
    connectors = httpx.get(f"{endpoints['connect']}/connectors", timeout=10).raise_for_status().json()
    assert connectors == [own.settings.connect.connector]


@pytest.mark.parametrize("name", ["worker", "gateway"])
def test_a_worker_or_gateway_that_dies_is_told_and_started_again(own: RunningStack, name: str) -> None:
    before = own.pid(name)
    assert own.restart(name) != before
    assert f"{name} was killed by SIGKILL; it will be restarted in" in own.words()


@pytest.mark.parametrize("name", ["connect", "kafka", "postgres"])
def test_capture_goes_on_after_a_server_died(own: RunningStack, name: str) -> None:
    before = own.pid(name)
    os.kill(before, signal.SIGKILL)
    until(lambda: own.pid(name) != before, f"{name} is started again", within_s=60)

    def accepts() -> bool:
        try:
            insert_tenant(own, f"after {name} died")
        except psycopg.OperationalError:
            return False
        return True

    until(accepts, "PostgreSQL accepts rows", within_s=60)
    assert is_captured(own, f"after {name} died", 120), own.report()


def test_a_database_of_the_users_own_is_used(own: RunningStack, tmp_path: Path) -> None:
    with own.connection() as session:
        session.execute("DROP DATABASE IF EXISTS customer")
        session.execute("CREATE DATABASE customer")
    url = own.endpoints["postgres"].rpartition("/")[0] + "/customer"
    source = {"USER": "customer_capture", "SLOT": "customer", "ADMIN_DSN": url}
    env = {f"WATCHFLOOR_SOURCE__{name}": value for name, value in source.items()}
    with RunningStack.start(tmp_path / "state", env=env) as second:
        assert second.endpoints["postgres"] == url
        assert "postgres" not in second.endpoints["pids"]
        insert_tenant(second, "in the customer's database")
        assert is_captured(second, "in the customer's database")
    assert own.is_ready("worker")


def test_a_launcher_killed_hard_leaves_nothing_even_without_its_guard(own: RunningStack) -> None:
    before = own.endpoints
    insert_tenant(own, "before the kill")
    guard = next(
        child
        for child in psutil.Process(own.process.pid).children()
        if "deploy.embedded.orphan_stopper" in child.cmdline()
    )
    guard.kill()
    own.process.kill()
    own.process.wait()
    os.kill(before["pids"]["postgres"], signal.SIGKILL)
    assert psutil.pid_exists(before["pids"]["kafka"])

    with RunningStack.start(own.state_dir) as after:
        assert "kafka was still running after its launcher was killed; it has been stopped" in after.words()
        for pid in (before["pids"]["kafka"], before["pids"]["connect"], *before["pids"]["worker"]):
            assert pid not in processes_of(own.state_dir) - {
                after.pid("kafka"),
                after.pid("connect"),
                after.pid("worker"),
            }
        assert is_captured(after, "before the kill")


def test_the_guard_ends_the_children_of_a_launcher_killed_hard(own: RunningStack) -> None:
    own.process.kill()
    own.process.wait()
    until(lambda: not processes_of(own.state_dir), "the guard stops everything", within_s=60)
    assert not (own.state_dir / "endpoints.json").exists()
