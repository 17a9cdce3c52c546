"""The servers of the fan-out benchmark, and how each is started. Measures nothing."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from fanout_cases import PROGRAMS, TENANTS
from fanout_load import Asked, Producer, start_load
from scratch_broker import PARTITIONS, ScratchBroker
from session import RunFailedError
from stack import stop

from common.settings.auth import AuthSettings
from contracts.topics import TopicNames
from deploy.embedded.ports import choose
from deploy.embedded.waiting import answers_ok
from gateway.access.tokens import mint_token

AUTH = AuthSettings(hs256_secret="the secret of the fan-out benchmark")  # type: ignore[arg-type]  # noqa: S106
CAPABILITIES = ("noc:view", "noc:view_all_clients", "noc:view_pii")
READY_S_MAX = 60.0
STOP_S_MAX = 20.0
_LOG_SHOWN = 2_000


@dataclass(frozen=True, slots=True)
class Server:
    """A kind of server: its name in figures, and its label in tables."""

    name: str
    label: str
    protocol: str
    """Of its clients, see fanout/load."""
    form: str
    """Of the records that it reads, see fanout/produce.py."""
    address: str
    """Of its WebSocket, with the placeholders `{port}` and `{tenant}`."""
    needs_go: bool = False
    """Whether its program must be compiled."""


WATCHFLOOR = Server("watchfloor", "Watchfloor", "noc", "record", "ws://127.0.0.1:{port}/ws/noc/dashboard/")
CENTRIFUGE = Server(
    "centrifuge",
    "centrifuge 0.38 (Go)",
    "centrifuge",
    "message",
    "ws://127.0.0.1:{port}/connection/websocket",
    needs_go=True,
)
BROADCAST = Server("broadcast", "websockets.broadcast()", "plain", "message", "ws://127.0.0.1:{port}/{{tenant}}")
NAIVE = Server("naive", "await send() to each", "plain", "message", "ws://127.0.0.1:{port}/{{tenant}}")
SERVERS = (WATCHFLOOR, CENTRIFUGE, BROADCAST, NAIVE)


@dataclass(frozen=True, slots=True)
class Bench:
    """What every run needs."""

    broker: ScratchBroker
    directory: Path
    """For temporary files."""
    tools: Path
    """The directory of the compiled programs."""
    warm_up_s: float
    seconds: float
    """How long each case is measured, after `warm_up_s`."""


class Running:
    """A running server, with topics of its own that have this prefix."""

    def __init__(self, bench: Bench, server: Server, prefix: str) -> None:
        self._bench, self._server, self._prefix = bench, server, prefix
        self._port = choose([], set())
        self._admin_port = choose([], {self._port})
        self._log = bench.directory / f"{prefix}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _command(self) -> Sequence[str]:
        bench, server = self._bench, self._server
        if server is WATCHFLOOR:
            config = bench.directory / f"{self._prefix}.toml"
            config.write_text(_config(bench.broker.address, self._prefix, self._port, self._admin_port), "utf-8")
            return (sys.executable, "-m", "watchfloor", "--config", str(config), "gateway")
        source = bench.broker.address, TopicNames(self._prefix).anomalies
        if server.needs_go:
            return (str(bench.tools / server.name), *source, str(self._port))
        return (sys.executable, str(PROGRAMS / "plain.py"), server.name, *source, str(PARTITIONS), str(self._port))

    @property
    def process(self) -> psutil.Process:
        """The server's process."""
        return psutil.Process(self._process.pid)

    def load(self, clients: int, *options: str, tenants: tuple[int, ...] = TENANTS, first_user: int = 1) -> Asked:
        """Start viewers of this server and wait until they are signed in."""
        path = self._bench.directory / f"{self._prefix}-{first_user}.clients"
        write_clients(path, self._server, tenants, clients, first_user)
        address = self._server.address.format(port=self._port)
        return start_load(self._bench.tools, address, self._server.protocol, path, *options)

    def produce(self, rates: Mapping[int, int], seconds: float) -> Producer:
        """Start writing records for this server."""
        return Producer(
            self._bench.directory / f"{self._prefix}-producer.log",
            seconds,
            broker=self._bench.broker.address,
            topic=TopicNames(self._prefix).anomalies,
            partitions=PARTITIONS,
            form=self._server.form,
            rates=rates,
        )

    def wait_until_ready(self) -> None:
        """Wait until `/readyz` answers with 200.

        Raises:
            RunFailedError: the server ended, or was not ready in time.
        """
        deadline_s = time.monotonic() + READY_S_MAX
        while not answers_ok(f"http://127.0.0.1:{self._port}/readyz"):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RunFailedError(
                    f"{self._server.name} is not ready:\n{self._log.read_text('utf-8', 'replace')[-_LOG_SHOWN:]}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server and wait for it."""
        stop(self._process, STOP_S_MAX)


def _config(broker: str, prefix: str, port: int, admin_port: int) -> str:
    """The gateway's configuration: the defaults, with this machine's addresses."""
    secret = AUTH.hs256_secret.get_secret_value() if AUTH.hs256_secret else ""
    return f"""
[kafka]
bootstrap_servers = "{broker}"
topic_prefix = "{prefix}"
partitions = {PARTITIONS}
[gateway]
port = {port}
admin.port = {admin_port}
[auth]
hs256_secret = "{secret}"
"""


def write_clients(path: Path, server: Server, tenants: Sequence[int], count: int, first_user: int = 1) -> None:
    """Write the file with the load client's viewers: each is a different user, the tenants alternate."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            tenant, user = tenants[number % len(tenants)], f"viewer-{first_user + number}"
            known = server is WATCHFLOOR
            token = mint_token(AUTH, tenant_id=tenant, user=user, capabilities=CAPABILITIES) if known else ""
            file.write(f"{tenant} {token}\n")
