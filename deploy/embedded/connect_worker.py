"""The embedded Kafka Connect worker with the Debezium plugin."""

from pathlib import Path

from common.settings.kafka import KafkaSettings
from deploy.embedded.child import ChildSpec
from deploy.embedded.config import server_environment
from deploy.embedded.java import CONNECT, Java
from deploy.embedded.options import StackOptions
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.properties import java_properties, shared_text
from deploy.embedded.state import write_private
from deploy.embedded.waiting import answers_ok

_REPLICATED = ("config.storage", "offset.storage", "status.storage")


def connect_overrides(
    kafka: KafkaSettings, port: int, plugins: Path, offset_flush_interval_ms: int, secrets_dir: Path
) -> dict[str, str]:
    """The settings that `deploy/config/connect.properties` leaves open, for one worker on this machine."""
    values = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "listeners": f"http://{LOOPBACK}:{port}",
        "rest.advertised.host.name": LOOPBACK,
        "rest.advertised.port": str(port),
        "plugin.path": str(plugins),
        "offset.flush.interval.ms": str(offset_flush_interval_ms),
        "config.providers.file.param.allowed.paths": str(secrets_dir),
    }
    values |= {f"{topic}.replication.factor": str(kafka.replication_factor) for topic in _REPLICATED}
    security = _client_security(kafka)
    for prefix in ("", "producer.", "consumer.", "admin."):
        values |= {prefix + name: value for name, value in security.items()}
    return values


def _client_security(kafka: KafkaSettings) -> dict[str, str]:
    """The Java clients' settings for a user's own cluster that requires authentication or TLS."""
    if kafka.security_protocol == "PLAINTEXT":
        return {}
    values: dict[str, str] = {"security.protocol": kafka.security_protocol}
    if kafka.security_protocol.startswith("SASL"):
        plain = kafka.sasl_mechanism == "PLAIN"
        module = "plain.PlainLoginModule" if plain else "scram.ScramLoginModule"
        password = kafka.sasl_password.get_secret_value() if kafka.sasl_password else ""
        login = f"username={_quoted(kafka.sasl_username or '')} password={_quoted(password)}"
        values["sasl.mechanism"] = kafka.sasl_mechanism
        values["sasl.jaas.config"] = f"org.apache.kafka.common.security.{module} required {login};"
    if kafka.ssl_ca_file:
        values |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(kafka.ssl_ca_file)}
    return values


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class ConnectWorker:
    """One distributed worker on the loopback interface."""

    def __init__(self, java: Java, config: Path, port: int) -> None:
        self._java = java
        self._config = config
        self._port = port

    @property
    def url(self) -> str:
        """The address of its REST interface."""
        return f"http://{LOOPBACK}:{self._port}"

    def prepare(self, kafka: KafkaSettings, plugins: Path, offset_flush_interval_ms: int, secrets_dir: Path) -> None:
        """Write its configuration, readable only by its owner because it may hold the cluster's password.

        Args:
            kafka: the cluster that it belongs to.
            plugins: the directory of the connector plugins.
            offset_flush_interval_ms: a crash repeats at most the records of this interval.
            secrets_dir: the directory whose files connector configurations may refer to.
        """
        overrides = connect_overrides(kafka, self._port, plugins, offset_flush_interval_ms, secrets_dir)
        write_private(self._config, java_properties(shared_text("connect.properties"), overrides))

    def spec(self, log: Path, options: StackOptions) -> ChildSpec:
        """How to start the Connect worker as a child process."""
        return ChildSpec(
            name="connect",
            argv=self._java.command(CONNECT, str(self._config), heap_mib=options.connect_heap_mib),
            log=log,
            stop_rank=30,
            env=server_environment(MALLOC_ARENA_MAX="2"),
            stop_timeout_s=options.stop_timeout_s,
            log_bytes_max=options.log_bytes_max,
        )

    def healthy(self) -> bool:
        """Whether it has joined its group and accepts connectors."""
        return answers_ok(f"{self.url}/health")
