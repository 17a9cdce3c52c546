"""The servers of the fan-out benchmark, and how each is started. Measures nothing."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import RunFailedError
from scratch_broker import PARTITIONS

from common.settings.auth import AuthSettings
from contracts.topics import TopicNames
from deploy.embedded.ports import choose
from gateway.access.tokens import mint_token

PROGRAMS = Path(__file__).parent / "fanout"
AUTH = AuthSettings(hs256_secret="the secret of the fan-out benchmark")  # type: ignore[arg-type]  # noqa: S106
CAPABILITIES = ("noc:view", "noc:view_all_clients", "noc:view_pii")
READY_S_MAX = 60.0
STOP_S_MAX = 20.0
_LOG_SHOWN = 2_000


@dataclass(frozen=True, slots=True)
class Server:
    """A kind of server.

    Args:
        name: the name in figures.
        label: the name in tables.
        protocol: the protocol of its clients, see fanout/load.
        form: the form of the records that it reads, see fanout/produce.py.
        address: the address of its WebSocket, with the placeholders `{port}` and `{tenant}`.
        needs_go: whether its program must be compiled.
    """

    name: str
    label: str
    protocol: str
    form: str
    address: str
    needs_go: bool = False


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


class Running:
    """A running server.

    Args:
        server: the kind of server.
        broker: `host:port`.
        prefix: the prefix of its topics.
        directory: the directory for its configuration and log.
        tools: the directory of the compiled programs.
    """

    def __init__(self, server: Server, broker: str, prefix: str, directory: Path, tools: Path | None) -> None:
        self.server = server
        self._port = choose([], set())
        self._admin_port = choose([], {self._port})
        self.address = server.address.format(port=self._port)
        self._log = directory / f"{prefix}.log"
        command = self._command(broker, prefix, directory, tools)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _command(self, broker: str, prefix: str, directory: Path, tools: Path | None) -> Sequence[str]:
        topic = TopicNames(prefix).anomalies
        if self.server is WATCHFLOOR:
            config = directory / f"{prefix}.toml"
            config.write_text(_config(broker, prefix, self._port, self._admin_port), "utf-8")
            return (sys.executable, "-m", "watchfloor", "--config", str(config), "gateway")
        if self.server.needs_go:
            return (str((tools or Path()) / self.server.name), broker, topic, str(self._port))
        return (
            sys.executable,
            str(PROGRAMS / "plain.py"),
            self.server.name,
            broker,
            topic,
            str(PARTITIONS),
            str(self._port),
        )

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait until `/readyz` answers with 200.

        Raises:
            RunFailedError: the server ended, or was not ready in time.
        """
        deadline_s = time.monotonic() + READY_S_MAX
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RunFailedError(f"{self.server.name} is not ready:\n{self.words()}")
            time.sleep(0.05)

    def words(self) -> str:
        """The end of its log."""
        return self._log.read_text("utf-8", "replace")[-_LOG_SHOWN:]

    def metrics(self) -> str:
        """Its Prometheus metrics; empty for servers without any."""
        if self.server is not WATCHFLOOR:
            return ""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._admin_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def stop(self) -> None:
        """Stop the server and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


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
    lines = []
    for number in range(count):
        tenant = tenants[number % len(tenants)]
        user = f"viewer-{first_user + number}"
        known = server is WATCHFLOOR
        lines.append(
            f"{tenant} {mint_token(AUTH, tenant_id=tenant, user=user, capabilities=CAPABILITIES) if known else ''}"
        )
    path.write_text("\n".join(lines) + "\n", "utf-8")
