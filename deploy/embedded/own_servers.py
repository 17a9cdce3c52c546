"""Checks the addresses of the servers that the user provides, before anything is started.

Owns the form of such addresses. Connects to nothing.
"""

from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from common.errors import WatchfloorError
from deploy.embedded.options import StackOptions

_PORT_MAX = 65_535


def check_own_servers(options: StackOptions) -> None:
    """Check every address in the options.

    Raises:
        WatchfloorError: an address is malformed.
    """
    if options.postgres_url is not None:
        database_at(options.postgres_url, options.postgres_named_by)
    if options.kafka is not None and not all(map(_is_host_and_port, options.kafka.split(","))):
        raise WatchfloorError(
            f"{options.kafka} is not the address of a Kafka cluster", "write it as --kafka host:9092[,host:9092]"
        )
    if options.connect_url is not None:
        _check_connect(options.connect_url)


def database_at(url: str, named_by: str) -> dict[str, Any]:
    """The host, port and database name of a URL, under the names of the source settings.

    Args:
        url: `postgresql://…`, with a host and a database.
        named_by: the option or setting that it comes from, for the advice in error messages.

    Raises:
        WatchfloorError: `url` is not such a URL.
    """
    advice = f"write {named_by} as postgresql://user@host:5432/database"
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error as error:
        raise WatchfloorError("the address of PostgreSQL is not a URL", advice) from error
    host, database = str(parts.get("host") or ""), str(parts.get("dbname") or "")
    if not url.startswith(("postgresql://", "postgres://")) or not host or not database:
        raise WatchfloorError("the address of PostgreSQL names no host or no database", advice)
    ports = [port or "5432" for port in str(parts.get("port") or "").split(",")]
    if not all(map(_is_port, ports)):
        raise WatchfloorError(f"the address of PostgreSQL names a port that does not exist ({','.join(ports)})", advice)
    return {"host": host.partition(",")[0], "port": int(ports[0]), "database": database}


def refuse_password(url: str) -> None:
    """Refuse a PostgreSQL URL with a password, because every user of the machine can read a program's arguments.

    Raises:
        WatchfloorError: the URL contains a password.
    """
    try:
        has_password = bool(conninfo_to_dict(url).get("password"))
    except psycopg.Error:
        return  # not a URL: `check_own_servers` reports that
    if has_password:
        raise WatchfloorError(
            "--postgres contains a password, which other users of this machine can read",
            "put the whole URL into the setting source.admin_dsn (the variable WATCHFLOOR_SOURCE__ADMIN_DSN, or the file "
            "of --config), or only the password into ~/.pgpass",
        )


def _check_connect(url: str) -> None:
    advice = "write it as --connect http://host:8083"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in url):
        raise WatchfloorError("the address of Kafka Connect is not a URL", advice)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise WatchfloorError("the address of Kafka Connect contains more than a host and a port", advice)


def _is_host_and_port(address: str) -> bool:
    host, _, port = address.strip().rpartition(":")
    named = bool(host) and not any(character.isspace() or character in "/@" for character in host)
    return named and (":" not in host or host.startswith("[")) and _is_port(port)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= _PORT_MAX
