"""The embedded Kafka broker: one KRaft node, its storage and its configuration."""

import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from common.errors import WatchfloorError
from common.kafka import login_module
from deploy.embedded.child import ChildSpec
from deploy.embedded.config import server_environment
from deploy.embedded.java import BROKER, STORAGE_TOOL, Java
from deploy.embedded.options import StackOptions
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.properties import java_properties, shared_text
from deploy.embedded.state import NO_SPACE, damaged, disk_full, write_private
from deploy.embedded.tools import last_line, run_tool

_FORMAT_TIMEOUT_S = 60
_FORMAT_HEAP_MIB = 96
_CONNECT_TIMEOUT_S = 3
_NODE_ID = "1"
USER = "watchfloor"
MECHANISM: Final = "SCRAM-SHA-512"
_OPEN = {
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,CLIENTS:PLAINTEXT",
    "authorizer.class.name": "",
}


def sign_in(port: int, password: str) -> dict[str, str]:
    """The settings of the section `kafka` with which every client signs in at the broker of a stack."""
    return {
        "bootstrap_servers": f"{LOOPBACK}:{port}",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": MECHANISM,
        "sasl_username": USER,
        "sasl_password": password,
    }


def user_overrides(password: str) -> dict[str, str]:
    """How the broker signs in at itself, and who may sign in at its controller."""
    return {
        "listener.name.clients.scram-sha-512.sasl.jaas.config": login_module(MECHANISM, USER, password),
        "listener.name.controller.plain.sasl.jaas.config": login_module(
            "PLAIN", USER, password, **{f"user_{USER}": password}
        ),
    }


def broker_overrides(port: int, controller_port: int, data: Path) -> dict[str, str]:
    """The settings that `deploy/config/kafka.properties` leaves open, for one node on this machine."""
    return {
        "listeners": f"CLIENTS://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"CLIENTS://{LOOPBACK}:{port}",
        "controller.quorum.voters": f"{_NODE_ID}@{LOOPBACK}:{controller_port}",
        "log.dirs": str(data),
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "min.insync.replicas": "1",
    }


class Broker:
    """The broker of one data directory.

    Args:
        java: runs it.
        data: its data directory; created and formatted if it does not exist.
        config: the generated properties file.
        port: of the clients' listener.
        controller_port: of the controller's listener.
        password: of the one user, who may do everything; None for a broker of tests and benchmarks that asks nobody.
    """

    def __init__(
        self, java: Java, data: Path, config: Path, port: int, controller_port: int, password: str | None = None
    ) -> None:
        self._java = java
        self._data = data
        self._config = config
        self._port = port
        self._controller_port = controller_port
        self._password = password

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{LOOPBACK}:{self._port}"

    def prepare(self, cluster_id: str, called_off: Callable[[], bool]) -> bool:
        """Write the configuration; format the storage on the first start, otherwise check that it is this stack's.

        Returns whether it formatted the storage: then the user exists from the start.

        Raises:
            WatchfloorError: the storage is damaged or cannot be formatted.
            StartCalledOff: `called_off` returned true in the meantime.
        """
        if self._data.exists():
            self._check_storage(cluster_id)
            self._write_config(self._data)
            return False
        # Formatted in another directory first, so that an interrupted format leaves nothing under the final name.
        scratch = self._data.with_name(f"{self._data.name}.new")
        self._write_config(scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        code, output = self._format(cluster_id, called_off)
        if code:
            if NO_SPACE in output:
                raise disk_full(self._data.parent, f"Kafka cannot create {self._data}")
            raise WatchfloorError(
                f"Kafka's storage cannot be created ({last_line(output)})", "start with an empty directory"
            )
        scratch.rename(self._data)
        self._write_config(self._data)
        return True

    def _format(self, cluster_id: str, called_off: Callable[[], bool]) -> tuple[int, str]:
        argv = ["format", "--cluster-id", cluster_id, "--config", str(self._config)]
        user = self._config.with_name("kafka-user.args")
        if self._password is not None:
            # In a file, because other users of this machine can read a program's arguments.
            write_private(user, f"--add-scram\n{MECHANISM}=[name={USER},password={self._password}]\n")
            argv.append(f"@{user}")
        try:
            command = self._java.command(STORAGE_TOOL, *argv, heap_mib=_FORMAT_HEAP_MIB)
            return run_tool(command, env=server_environment(), called_off=called_off, timeout_s=_FORMAT_TIMEOUT_S)
        finally:
            user.unlink(missing_ok=True)

    def admit(self, password: str) -> None:
        """Also let the user sign in with this password and PLAIN, from the next start of the process on."""
        mechanisms = {
            "listener.name.clients.sasl.enabled.mechanisms": f"{MECHANISM},PLAIN",
            "listener.name.clients.plain.sasl.jaas.config": login_module(
                "PLAIN", USER, password, **{f"user_{USER}": password}
            ),
        }
        self._write_config(self._data, mechanisms)

    def spec(self, log: Path, options: StackOptions) -> ChildSpec:
        """How to start the broker as a child process."""
        return ChildSpec(
            name="kafka",
            argv=self._java.command(BROKER, str(self._config), heap_mib=options.kafka_heap_mib),
            log=log,
            stop_rank=40,
            # Fewer malloc arenas save 60 MiB of resident memory at no measurable cost.
            env=server_environment(MALLOC_ARENA_MAX="2"),
            stop_timeout_s=options.stop_timeout_s,
            log_bytes_max=options.log_bytes_max,
        )

    def answers(self) -> bool:
        """Whether the clients' listener accepts connections, which the broker opens as its last step."""
        return accepts_connections_at(self.address)

    def _write_config(self, data: Path, more: Mapping[str, str] = MappingProxyType({})) -> None:
        overrides = broker_overrides(self._port, self._controller_port, data) | dict(more)
        overrides |= _OPEN if self._password is None else user_overrides(self._password)
        write_private(self._config, java_properties(shared_text("kafka.properties"), overrides))

    def _check_storage(self, cluster_id: str) -> None:
        meta = self._data / "meta.properties"
        try:
            lines = meta.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise damaged(meta, "it cannot be read") from error
        values = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        if values.get("cluster.id") != cluster_id or values.get("node.id") != _NODE_ID:
            raise damaged(meta, "it does not name this stack's cluster")


def accepts_connections_at(address: str) -> bool:
    """Whether a server accepts a connection at `host:port`; False if the address is malformed."""
    host, _, port = address.strip().rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S):
            return True
    except (OSError, ValueError, OverflowError):
        return False
