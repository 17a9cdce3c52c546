"""Runs `watchfloor up` as its users do, in a process of its own, and gives tests what they need of it.

    with RunningStack.start(state_dir) as stack:
        stack.endpoints["websocket"], stack.connection(), stack.make_token(tenant=1), stack.restart("worker")

A failure's message carries the launcher's own words and the end of every log.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import jwt
import psutil
import psycopg
from support.log_scan import scan
from support.waiting import until

from common.credentials import connect_sign_in
from common.kafka import librdkafka_config
from common.settings.load import Settings, load_settings

READY_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 60.0
_TAIL_LINES = 15


def run_up(*arguments: str, env: Mapping[str, str] | None = None, timeout_s: float = 120.0) -> "Finished":
    """Run `watchfloor up` to its end, for starts that must fail."""
    done = subprocess.run(
        command(*arguments),
        env=os.environ | dict(env or {}),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def command(*arguments: str) -> list[str]:
    """The argument vector of `watchfloor up`."""
    return [sys.executable, "-m", "watchfloor", "up", *arguments]


class Finished:
    """How a start that was to fail ended."""

    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code = code
        self.stdout = stdout
        self.stderr = stderr

    @property
    def verdict(self) -> str:
        """The last line on standard error: the one that says what to do."""
        return self.stderr.strip().splitlines()[-1]


class RunningStack:
    """A stack that a test started; end it with `stop`, or as a context manager."""

    def __init__(self, process: "subprocess.Popen[bytes]", state_dir: Path) -> None:
        self.process = process
        self.state_dir = state_dir

    @classmethod
    def start(
        cls,
        state_dir: Path,
        arguments: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        timeout_s: float = READY_TIMEOUT_S,
    ) -> Self:
        """Start a stack and wait for its `ready:` line.

        Raises:
            AssertionError: it ended, or was not ready in time; with what it and its children said.
        """
        state_dir.mkdir(parents=True, exist_ok=True)
        words = state_dir / "up.err"
        with words.open("ab") as err, (state_dir / "up.out").open("wb") as out:
            process = subprocess.Popen(
                command("--state-dir", str(state_dir), *arguments),
                env=os.environ | dict(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        stack = cls(process, state_dir)
        try:
            until(lambda: stack.ready_line or process.poll() is not None, "the stack gets ready", within_s=timeout_s)
            assert stack.ready_line, f"watchfloor up ended with code {process.returncode}"
        except AssertionError as failure:
            report = stack.report()
            stack.stop()
            raise AssertionError(f"{failure}\n{report}") from None
        return stack

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def ready_line(self) -> str | None:
        """The `ready:` line on standard output; None before it."""
        lines = (self.state_dir / "up.out").read_text("utf-8").splitlines()
        return next((line for line in lines if line.startswith("ready: ")), None)

    @property
    def endpoints(self) -> dict[str, Any]:
        """`endpoints.json` as it is now."""
        endpoints: dict[str, Any] = json.loads((self.state_dir / "endpoints.json").read_text("utf-8"))
        return endpoints

    @property
    def settings(self) -> Settings:
        """The settings of the stack's processes."""
        return load_settings(self.state_dir / "watchfloor.toml", environ={})

    def kafka_client(self, **more: Any) -> dict[str, Any]:
        """The parameters of a confluent-kafka client of the stack's Kafka; `more` takes names with `_` for `.`."""
        return librdkafka_config(self.settings.kafka, **more)

    def connect_client(self) -> httpx.Client:
        """A client of the REST interface of the stack's Connect; close it."""
        connect = self.settings.connect
        return httpx.Client(base_url=connect.url, auth=connect_sign_in(connect), timeout=10, trust_env=False)

    def connection(self) -> "psycopg.Connection[Any]":
        """A new session of the database's owner, each statement its own transaction; close it."""
        return psycopg.connect(self.endpoints["postgres"], autocommit=True, connect_timeout=10)

    def make_token(
        self,
        tenant: int | None = 1,
        capabilities: Sequence[str] = ("noc:view", "noc:view_all_clients"),
        *,
        user: str = "tester",
        clients: Sequence[int] | None = None,
        sites: Sequence[int] | None = None,
        lifetime_s: int = 3600,
        **claims: Any,
    ) -> str:
        """A token that the stack's gateway accepts; more `claims` replace its own, None leaves one out."""
        auth = self.settings.auth
        now = int(time.time())
        content: dict[str, Any] = {
            "sub": user,
            "tenant_id": tenant,
            "capabilities": list(capabilities),
            "clients": None if clients is None else list(clients),
            "sites": None if sites is None else list(sites),
            "iss": auth.issuer,
            "aud": auth.audience,
            "iat": now,
            "exp": now + lifetime_s,
        } | claims
        assert auth.hs256_secret is not None
        secret = auth.hs256_secret.get_secret_value()
        return jwt.encode({name: value for name, value in content.items() if value is not None}, secret, "HS256")

    def pid(self, name: str) -> int:
        """The process id of a component: postgres, kafka, connect, or the first worker or gateway."""
        found = self.endpoints["pids"][name]
        return int(found[0] if isinstance(found, list) else found)

    def restart(self, name: str, how: signal.Signals = signal.SIGKILL, timeout_s: float = 60.0) -> int:
        """End a worker or gateway and wait until its successor is ready; returns the new process id."""
        before = self.pid(name)
        os.kill(before, how)
        until(lambda: self.pid(name) != before, f"{name} is started again", within_s=timeout_s)
        until(lambda: self.is_ready(name), f"{name} is ready again", within_s=timeout_s)
        return self.pid(name)

    def is_ready(self, name: str) -> bool:
        """Whether `/readyz` of the worker or gateway says 200."""
        base = self.endpoints["metrics"][name].removesuffix("/metrics")
        try:
            return httpx.get(f"{base}/readyz", timeout=2, trust_env=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def worker_metric(self, sample: str) -> float:
        """The value of a sample of the worker's `/metrics`, with its labels in it; 0 where it is not there."""
        text = httpx.get(self.endpoints["metrics"]["worker"], timeout=5, trust_env=False).text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"{sample} "))

    @contextmanager
    def processing(self, **rows: int) -> Iterator[None]:
        """Leave it when the worker has processed what is written inside: table to its number of rows.

        A busy broker may serve a later row of another topic a moment earlier: late, and counted. That is the subject
        of few tests; in the others nothing may overtake the rows that it refers to.
        """
        before = {table: self._processed(table) for table in rows}
        yield
        until(
            lambda: all(self._processed(table) >= before[table] + number for table, number in rows.items()),
            f"the worker has processed {rows}",
        )

    def _processed(self, table: str) -> float:
        return self.worker_metric(f'watchfloor_worker_events_total{{table="{table}"}}')

    def log_tail(self, name: str, lines: int = _TAIL_LINES) -> str:
        """The end of a component's log."""
        try:
            text = (self.state_dir / "logs" / f"{name}.log").read_text("utf-8", "replace")
        except OSError as error:
            return f"(no log: {error.strerror})"
        return "\n".join(text.splitlines()[-lines:])

    def words(self) -> str:
        """What the launcher said on standard error."""
        return (self.state_dir / "up.err").read_text("utf-8", "replace")

    def report(self) -> str:
        """The launcher's words and the end of every log, for the message of a failure."""
        logs = sorted((self.state_dir / "logs").glob("*.log")) if (self.state_dir / "logs").is_dir() else []
        parts = ["== watchfloor up", "\n".join(self.words().splitlines()[-_TAIL_LINES:])]
        for log in logs:
            parts += [f"== {log.name}", self.log_tail(log.stem)]
        return "\n".join(parts)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop the stack in order and return the launcher's exit code; what hangs is killed and fails the test."""
        if self.process.poll() is None:
            self._plant_what_is_secret()
            self.process.send_signal(how)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            report = self.report()
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the stack did not stop within {STOP_TIMEOUT_S:g} s\n{report}") from None
        finally:
            scan.read([self.state_dir / "up.err", *sorted((self.state_dir / "logs").glob("*.log*"))])

    def _plant_what_is_secret(self) -> None:
        """Tell the scan of the logs who lives in the database, and the secrets of its own servers."""
        if not (self.state_dir / "watchfloor.toml").is_file():
            return  # it ended before it had any
        secret = self.settings.auth.hs256_secret
        scan.plant(secret.get_secret_value() if secret else None)
        for password in (self.settings.kafka.sasl_password, self.settings.connect.password):
            scan.plant(password.get_secret_value() if password else None)
        try:
            with self.connection() as session:
                for person in session.execute("SELECT name, phone, email FROM public.person"):
                    scan.plant(*person)
        except (OSError, KeyError, psycopg.Error):
            return  # this test has taken the database away
