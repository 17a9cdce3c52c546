"""The settings of Kafka Connect."""

from pathlib import Path

from pydantic import SecretStr

from common.settings.model import Positive, Section


class ConnectSettings(Section):
    """Kafka Connect and the Debezium connector that it runs."""

    url: str = "http://127.0.0.1:8083"
    user: str | None = None
    """The user of Connect's REST interface, where it asks for credentials (HTTP basic authentication)."""
    password: SecretStr | None = None
    password_file: Path | None = None
    """A file whose content is the password; used if `password` is not set."""
    connector: str = "watchfloor"
    poll_interval_ms: Positive = 20
    """How often Debezium hands rows on. A lower value is faster and costs idle CPU (docs/operations)."""
    queue_bytes_max: Positive = 16 * 1024 * 1024
    """Changes read from the log and not yet handed on; over it Debezium stops reading."""
    heartbeat_interval_ms: Positive = 10_000
    offset_flush_interval_ms: Positive = 1_000
    request_timeout_s: Positive = 10
    start_timeout_s: Positive = 60
    """How long `connect apply` waits for Connect to answer and for the task to run."""
    source_password_reference: str | None = None
    """Put into the connector's configuration instead of the password, such as `${env:SOURCE_PASSWORD}`:
    Connect's configuration providers fill it in, and its REST interface does not show it. An empty text registers no
    password at all: Connect's database driver then finds it in the file that its variable PGPASSFILE names, which
    gives it to one host, port, database and user only."""
