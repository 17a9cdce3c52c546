"""What is wrong is one clear line that says what to do, a non-zero exit, and nothing left running."""

import dataclasses
import os
import random
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql
from support.stack import Finished, RunningStack, command, run_up
from support.stack_fixtures import passable_directory
from support.waiting import until

from deploy.embedded.launcher import Launcher
from deploy.embedded.options import StackOptions
from deploy.embedded.ports import choose
from deploy.embedded.postgres import Postgres
from deploy.embedded.progress import PlainReporter
from deploy.embedded.state import StateDir

OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}


@pytest.fixture
def root() -> Iterator[Path]:
    with passable_directory() as directory:
        yield directory


@pytest.fixture
def state_dir(root: Path) -> Path:
    return root / "state"


def left_running(state_dir: Path) -> list[str]:
    """The processes that have to do with a state directory."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if f"{state_dir}/" in words and process.pid != os.getpid():
            found.append(words)
    return found


def check(done: Finished, state_dir: Path, *expected: str) -> None:
    assert done.code == 1, done.stderr
    for text in expected:
        assert text in done.verdict, done.stderr
    assert done.verdict.startswith("watchfloor: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert left_running(state_dir) == []
    assert not (state_dir / "endpoints.json").exists()


def test_a_taken_port(state_dir: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        done = run_up("--state-dir", str(state_dir), "--gateway-port", str(port))
    check(done, state_dir, f"port {port} is taken by ", "choose another port with --gateway-port")


def test_too_little_disk(state_dir: Path) -> None:
    done = run_up("--state-dir", str(state_dir), "--free-disk-mib", "999999999")
    check(done, state_dir, "the disk is full: ", "999999999 are needed", "free space there")


def test_no_network_on_the_first_start(state_dir: Path, root: Path) -> None:
    cache = root / "cache"
    done = run_up("--state-dir", str(state_dir), "--cache-dir", str(cache), env=OFFLINE)
    check(done, state_dir, "cannot be downloaded from Maven's repository", "connect this machine")


def test_an_unknown_setting(state_dir: Path) -> None:
    done = run_up("--state-dir", str(state_dir), env={"WATCHFLOOR_GATEWAY__PROT": "8080"})
    check(done, state_dir, "unknown setting WATCHFLOOR_GATEWAY__PROT")


def test_a_state_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run_up("--state-dir", str(tmp_path / "file" / "state"))
    check(done, tmp_path / "file" / "state", "cannot be written", "--state-dir")


def test_a_second_launcher_on_one_state_directory(stack: RunningStack) -> None:
    done = run_up("--state-dir", str(stack.state_dir))
    assert done.code == 1
    assert f"another watchfloor (process {stack.process.pid}) uses {stack.state_dir}" in done.verdict
    assert stack.is_ready("gateway")


def test_no_server_where_the_user_said(state_dir: Path) -> None:
    nowhere = str(choose([], set()))
    for option, value, expected in (
        (
            "--postgres",
            f"postgresql://me@127.0.0.1:{nowhere}/db",
            "(Connection refused): start the server, or correct --postgres",
        ),
        ("--connect", f"http://127.0.0.1:{nowhere}", "no Kafka Connect answers at"),
        ("--kafka", f"127.0.0.1:{nowhere}", "no Kafka broker answers at"),
    ):
        done = run_up("--state-dir", str(state_dir), option, value)
        check(done, state_dir, expected)


def test_no_server_where_the_settings_said(state_dir: Path) -> None:
    url = f"postgresql://me:secret@127.0.0.1:{choose([], set())}/db"
    done = run_up("--state-dir", str(state_dir), env={"WATCHFLOOR_SOURCE__ADMIN_DSN": url})
    check(done, state_dir, "no PostgreSQL server answers at", "correct source.admin_dsn")
    assert "secret" not in done.stderr


def test_metadata_of_kafka_that_is_damaged(state_dir: Path) -> None:
    RunningStack.start(state_dir).stop()
    for log in (state_dir / "kafka" / "__cluster_metadata-0").glob("*.log"):
        log.write_bytes(random.Random(4).randbytes(log.stat().st_size))
    for _ in range(2):  # what Kafka set aside the first time is still aside the second time
        done = run_up("--state-dir", str(state_dir))
        check(done, state_dir, "the state directory is damaged: ", "/kafka", "start with a new --state-dir")


@pytest.fixture
def other_database(stack: RunningStack) -> Iterator[str]:
    """The URL of an empty database on the shared server."""
    name = sql.Identifier("bad_input")
    with stack.connection() as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield stack.endpoints["postgres"].rpartition("/")[0] + "/bad_input"
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_a_captured_table_without_tenant_id(state_dir: Path, other_database: str) -> None:
    with psycopg.connect(other_database, autocommit=True) as session:
        session.execute("CREATE TABLE public.ticket (id bigint PRIMARY KEY, status text)")
    env = {"WATCHFLOOR_SOURCE__USER": "other", "WATCHFLOOR_SOURCE__ADMIN_DSN": other_database}
    done = run_up("--state-dir", str(state_dir), env=env)
    check(done, state_dir, "ticket", "tenant_id")


def test_postgresql_without_logical_decoding(state_dir: Path, root: Path) -> None:
    state = StateDir(root / "server")
    state.open()
    server = Postgres(state, choose([], set()))
    server.prepare(lambda: False)
    spec = server.spec(state.log("postgres"), StackOptions(stop_timeout_s=10, log_mib_max=1))
    spec = dataclasses.replace(spec, argv=(*spec.argv, "-c", "wal_level=replica"))
    launcher = Launcher(state, StackOptions(), PlainReporter(), threading.Event())
    try:
        launcher.launch(spec, server.answers)
        done = run_up("--state-dir", str(state_dir), env={"WATCHFLOOR_SOURCE__ADMIN_DSN": server.url("postgres")})
    finally:
        launcher.stop_all()
        state.close()
    check(done, state_dir, "wal_level=replica", "ALTER SYSTEM SET wal_level = logical")


def test_ctrl_c_during_a_start_leaves_nothing_and_is_no_failure(state_dir: Path) -> None:
    state_dir.mkdir()
    process = subprocess.Popen(command("--state-dir", str(state_dir)), stderr=subprocess.PIPE, text=True)
    until((state_dir / "logs" / "kafka.log").exists, "Kafka is started", within_s=60)
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 0, words
    assert words.strip().splitlines()[-1] == "watchfloor: the start was interrupted; everything has been stopped"
    until(lambda: left_running(state_dir) == [], "nothing runs any more", within_s=2)
