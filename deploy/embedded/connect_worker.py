"""The embedded Kafka Connect worker with the Debezium plugin: its configuration, its files, how it starts.

Who asks its REST interface needs a password, and the database's password is in a file that gives it to one server only.
"""

from pathlib import Path

from common.kafka import java_config
from common.settings.load import Settings
from deploy.embedded.child import ChildSpec
from deploy.embedded.config import server_environment
from deploy.embedded.java import CONNECT, Java
from deploy.embedded.options import StackOptions
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.properties import java_properties, shared_text
from deploy.embedded.state import write_private
from deploy.embedded.waiting import answers_ok

USER = "watchfloor"
_REPLICATED = ("config.storage", "offset.storage", "status.storage")


def connect_overrides(settings: Settings, port: int, plugins: Path) -> dict[str, str]:
    """The settings that `deploy/config/connect.properties` leaves open, for one worker on this machine."""
    kafka = settings.kafka
    values = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "listeners": f"http://{LOOPBACK}:{port}",
        "rest.advertised.host.name": LOOPBACK,
        "rest.advertised.port": str(port),
        "plugin.path": str(plugins),
        "offset.flush.interval.ms": str(settings.connect.offset_flush_interval_ms),
    }
    values |= {f"{topic}.replication.factor": str(kafka.replication_factor) for topic in _REPLICATED}
    security = java_config(kafka)
    for prefix in ("", "producer.", "consumer.", "admin."):
        values |= {prefix + name: value for name, value in security.items()}
    return values


def pgpass(settings: Settings) -> str:
    r"""The line that gives the capture role's password to its server, and to no other.

    >>> from pydantic import SecretStr
    >>> from common.settings.source import SourceSettings
    >>> pgpass(Settings(source=SourceSettings(user="me", password=SecretStr("a:b"))))
    '127.0.0.1:5432:watchfloor:me:a\\:b\n'
    """
    source = settings.source
    parts = source.host, str(source.port), source.database, source.user, source.password.get_secret_value()
    return ":".join(part.replace("\\", "\\\\").replace(":", "\\:") for part in parts) + "\n"


class ConnectWorker:
    """One distributed worker on the loopback interface.

    Args:
        java: runs it.
        config: the generated properties file; the other files are beside it.
        port: of its REST interface.
        password: what the user of the REST interface must know.
    """

    def __init__(self, java: Java, config: Path, port: int, password: str) -> None:
        self._java = java
        self._config = config
        self._port = port
        self._password = password
        self._login = config.with_name("connect-login.conf")
        self._users = config.with_name("connect-users.properties")
        self._pgpass = config.with_name("capture.pgpass")

    @property
    def url(self) -> str:
        """The address of its REST interface."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def properties(self) -> dict[str, str]:
        """The system properties that it needs."""
        return {"java.security.auth.login.config": str(self._login)}

    def prepare(self, settings: Settings, plugins: Path) -> None:
        """Write its files, readable only by their owner because they hold passwords.

        Args:
            settings: the cluster that it belongs to, and the database that it captures.
            plugins: the directory of the connector plugins.
        """
        overrides = connect_overrides(settings, self._port, plugins)
        write_private(self._config, java_properties(shared_text("connect.properties"), overrides))
        module = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule"
        write_private(self._login, f'KafkaConnect {{ {module} required file="{self._users}"; }};\n')
        write_private(self._users, java_properties("", {USER: self._password}))
        write_private(self._pgpass, pgpass(settings))

    def spec(self, log: Path, options: StackOptions) -> ChildSpec:
        """How to start the Connect worker as a child process."""
        return ChildSpec(
            name="connect",
            argv=self._java.command(
                CONNECT, str(self._config), heap_mib=options.connect_heap_mib, properties=self.properties
            ),
            log=log,
            stop_rank=30,
            env=server_environment(MALLOC_ARENA_MAX="2", PGPASSFILE=str(self._pgpass)),
            stop_timeout_s=options.stop_timeout_s,
            log_bytes_max=options.log_bytes_max,
        )

    def healthy(self) -> bool:
        """Whether it has joined its group and accepts connectors."""
        return answers_ok(f"{self.url}/health", auth=(USER, self._password))
