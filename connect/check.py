"""Reads a PostgreSQL database, and says whether it can be captured; each problem is one line that says what to do.

Only reads. The same checks run before the schema is applied and, signed in as the capture role, afterwards; the doctor
and the gateway's health use them too.
"""

import re
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import Connection, conninfo

from common.errors import WatchfloorError
from common.settings.source import SourceSettings
from connect.problems import Problem, problems, refuses
from connect.source_state import GAPS, WITHOUT_JIT, SourceState, source_state, state_query, with_gaps

# The error message already names the address.
_PREAMBLE = re.compile(r"^(?:connection failed: )?(?:connection to server (?:at|on) .*? failed: )?")
_NO_TLS = re.compile(r"root certificate|does not support SSL|certificate verify failed|does not match host name")


class SignInError(WatchfloorError):
    """No session was opened: no server answers, or it refuses the role."""


def connect_to(dsn: str, source: SourceSettings) -> Connection[Any]:
    """A connection in autocommit mode.

    Raises:
        SignInError: no server answers in `source.connect_timeout_s`, or it refuses the sign-in.
    """
    where = conninfo.conninfo_to_dict(dsn)
    address = f"{where.get('host', 'localhost')}:{where.get('port', 5432)}"
    try:
        return psycopg.connect(
            dsn, autocommit=True, connect_timeout=source.connect_timeout_s, application_name="watchfloor"
        )
    except psycopg.OperationalError as error:
        reason = _reason(str(error))
        if _NO_TLS.search(reason):
            raise SignInError(
                f"the connection to PostgreSQL at {address} is not secure ({_short(reason)})",
                "set source.ssl_ca_file to the certificate authority of the server, or source.sslmode to insist on less",
            ) from error
        if "FATAL" in reason or "no password supplied" in reason:
            raise SignInError(
                f"PostgreSQL at {address} refuses user {where.get('user')} ({_short(reason)})",
                "correct the user, password and database in the source settings",
            ) from error
        raise SignInError(
            f"no PostgreSQL server answers at {address} ({_short(reason)})",
            "start it, or correct source.host and source.port",
        ) from error


def capture_dsn(source: SourceSettings) -> str:
    """The connection string of the capture role."""
    return conninfo.make_conninfo(
        host=source.host,
        port=source.port,
        dbname=source.database,
        user=source.user,
        password=source.password.get_secret_value() or None,
        sslmode=source.sslmode_of(source.host),
        sslrootcert=str(source.ssl_ca_file) if source.ssl_ca_file else None,
    )


def admin_dsn(source: SourceSettings) -> str | None:
    """The connection string of `source.admin_dsn`, encrypted like that of the capture role if it does not say how."""
    if source.admin_dsn is None:
        return None
    dsn = source.admin_dsn.get_secret_value()
    given = conninfo.conninfo_to_dict(dsn)
    more = {"sslmode": source.sslmode_of(str(given.get("hostaddr") or given.get("host") or ""))}
    if source.ssl_ca_file:
        more["sslrootcert"] = str(source.ssl_ca_file)
    return conninfo.make_conninfo(dsn, **{name: value for name, value in more.items() if name not in given})


def check_source(source: SourceSettings) -> list[Problem]:
    """Check everything that capture needs, signed in as the capture role.

    Returns:
        What capture lacks, but can begin with.

    Raises:
        WatchfloorError: the server is unreachable or refuses the role, `wal_level` is not logical, a
            captured table or a required column is missing, writes to it fail or its old rows are not logged
            although they could be, the publication does not contain it, or the role has too few or too many
            privileges.
    """
    with connect_to(capture_dsn(source), source) as connection:
        found = list(problems(source, read_state(connection, source)))
    raise_first(filter(refuses, found))
    return found


def raise_first(found: Iterable[Problem]) -> None:
    """Raise the first problem as a WatchfloorError, if there is one."""
    for problem in found:
        raise WatchfloorError(problem.text, problem.advice)


def read_state(connection: Connection[Any], source: SourceSettings) -> SourceState:
    """What the catalogs say. The connection is in autocommit mode."""
    connection.execute(WITHOUT_JIT)
    ((document,),) = connection.execute(state_query(source, connection.info.server_version)).fetchall()
    state = source_state(document)
    if state.keeps_gaps:
        ((gaps,),) = connection.execute(GAPS, [source.publication]).fetchall()
        state = with_gaps(state, gaps)
    return state


def _reason(message: str) -> str:
    """The reason in an error of PostgreSQL's library, without the hints that it adds in further lines."""
    lines = [line for line in message.strip().splitlines() if line and not line[0].isspace()]
    # There is one line for each address that was tried; a server's answer says more than a missing answer.
    answers = [line for line in lines if "FATAL" in line or "no password supplied" in line]
    return (answers or lines or ["no reason given"])[0]


def _short(reason: str) -> str:
    return _PREAMBLE.sub("", reason).rpartition("FATAL:")[2].strip() or reason
