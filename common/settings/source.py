"""The settings of the watched PostgreSQL database."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from common.settings.model import Port, Positive, Section


class TableMapping(Section):
    """Where a canonical table really is in a customer's database."""

    table: str
    """`schema.table`, or a table of the `public` schema."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Canonical column name to the customer's; columns not named here keep their name."""


class SourceSettings(Section):
    """The PostgreSQL database whose changes are watched."""

    host: str = "127.0.0.1"
    port: Port = 5432
    database: str = "watchfloor"
    user: str = "watchfloor_capture"
    """The least-privileged role that Debezium signs in with."""
    password: SecretStr = SecretStr("")
    admin_dsn: SecretStr | None = None
    """A PostgreSQL URL of a role that may create the schema, the publication and the capture role. With it,
    `watchfloor up` watches this database instead of starting one: here its password is in no argument."""
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] | None = None
    """How the connection is encrypted. By default `verify-full`, which also checks who the server is; `prefer` where the
    host is this machine. Set it to insist on less."""
    ssl_ca_file: Path | None = None
    """Certificate authority of the server; the path as Connect sees it where Connect runs elsewhere."""
    connect_timeout_s: Positive = 5
    lock_timeout_ms: Positive = 2_000
    """How long `connect apply` waits for a lock on a captured table before it gives up."""
    text_characters_max: Annotated[int, Field(ge=200)] = 32_768
    """Longer texts are cut when they are captured: one huge row must not be too large for Kafka, at which the
    connector would stop for every tenant."""
    json_characters_max: Annotated[int, Field(ge=1_000)] = 500_000
    """The same for JSON. Cut JSON is no longer valid, so a geofence of that size is ignored."""
    publication: str = "watchfloor"
    slot: Annotated[str, Field(pattern="^[a-z0-9_]{1,63}$")] = "watchfloor"
    tables: dict[str, TableMapping] = Field(default_factory=dict)
    """Canonical table name to where it is. Where any is given, only these tables are captured."""

    def sslmode_of(self, host: str) -> str:
        """How a connection to the host is encrypted: `host` is the setting, or that of `admin_dsn`.

        >>> SourceSettings().sslmode_of("db.example.com"), SourceSettings().sslmode_of("127.0.0.1")
        ('verify-full', 'prefer')
        """
        return self.sslmode or ("prefer" if is_this_machine(host) else "verify-full")


def is_this_machine(host: str) -> bool:
    """Whether what is sent to this host stays on this machine: loopback, or the directory of a socket.

    >>> [is_this_machine(host) for host in ("localhost", "127.8.0.1", "::1", "/run/postgresql", "10.0.0.1", "db")]
    [True, True, True, True, False, False]
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost") or host.startswith(("/", "@"))
