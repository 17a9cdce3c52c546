"""The replication slot, in which PostgreSQL records how far the connector has read its log, and what it has missed."""

import time
from typing import Final

import psycopg

from common.errors import WatchfloorError
from common.settings.source import SourceSettings
from connect.check import capture_dsn, connect_to, read_state

_POLL_S: Final = 0.1


def drop_slot(source: SourceSettings) -> None:
    """Drop the slot if it exists; a reader that has just disconnected may still hold it for a moment.

    Raises:
        WatchfloorError: the database does not answer, or the slot stays in use for `connect_timeout_s`.
    """
    deadline = time.monotonic() + source.connect_timeout_s
    with connect_to(capture_dsn(source), source) as connection:
        while True:
            try:
                connection.execute(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
                    (source.slot,),
                )
            except psycopg.errors.ObjectInUse as error:
                if time.monotonic() > deadline:
                    raise WatchfloorError(
                        f"replication slot {source.slot} is in use by another connector",
                        "stop that connector, or give this one its own name in source.slot",
                    ) from error
                time.sleep(_POLL_S)
            else:
                return


def forget_gaps(source: SourceSettings) -> None:
    """Forget what was not captured until now: a new snapshot is about to read all rows.

    Raises:
        WatchfloorError: the database does not answer.
    """
    with connect_to(capture_dsn(source), source) as connection:
        if read_state(connection, source).keeps_gaps:
            connection.execute("SELECT watchfloor.forget_gaps(%s)", (source.publication,))
