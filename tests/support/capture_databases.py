"""A database that is prepared for capture, as its owner and as Watchfloor see it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import httpx
import psycopg
from confluent_kafka.admin import AdminClient
from psycopg import sql

from common.credentials import connect_sign_in
from common.kafka import librdkafka_config
from common.settings.load import Settings
from common.settings.source import SourceSettings
from connect.check import capture_dsn, connect_to, read_state
from connect.problems import Problem, problems
from connect.slot import drop_slot
from connect.source_state import SourceState
from streams.topics import ensure_topics

Database = psycopg.Connection[Any]
FAILS_BECAUSE_OF_CAPTURE = (psycopg.errors.InvalidColumnReference, psycopg.errors.ObjectNotInPrerequisiteState)


@contextmanager
def owners_session(source: SourceSettings) -> Iterator[Database]:
    """A session of the administrator, each statement its own transaction."""
    assert source.admin_dsn is not None
    dsn = source.admin_dsn.get_secret_value()
    # The stack's administrator has the name of a schema, where new tables would go.
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=public") as session:
        yield session


@contextmanager
def own_connector(settings: Settings) -> Iterator[None]:
    """The topics for a connector of a test's own; it, its slot and its topics are removed at the end."""
    ensure_topics(settings.kafka)
    yield
    url = f"{settings.connect.url}/connectors/{settings.connect.connector}"
    sign_in = connect_sign_in(settings.connect)
    httpx.put(f"{url}/stop", timeout=10, auth=sign_in)
    drop_slot(settings.source)
    httpx.delete(url, timeout=10, auth=sign_in)
    admin = AdminClient(librdkafka_config(settings.kafka))
    topics = [name for name in admin.list_topics(timeout=10).topics if settings.kafka.topic_prefix in name]
    for deleted in admin.delete_topics(topics).values():
        deleted.result()


def state_of(source: SourceSettings) -> SourceState:
    """What the catalogs say to the capture role."""
    with connect_to(capture_dsn(source), source) as session:
        return read_state(session, source)


def problems_of(source: SourceSettings) -> list[Problem]:
    """What the doctor says."""
    return list(problems(source, state_of(source)))


def beat(source: SourceSettings) -> None:
    """What Debezium does from time to time."""
    with connect_to(capture_dsn(source), source) as session:
        session.execute(
            "INSERT INTO watchfloor.heartbeat AS h (id, beat_at) VALUES (1, now())"
            " ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at"
        )


def writes_fail(session: Database, table: str, row: LiteralString = "(id, tenant_id) VALUES (1, 1)") -> list[str]:
    """Which of INSERT, UPDATE and DELETE of an application fail on a table; nothing stays written."""
    failed = []
    for statement in (f"INSERT INTO {{}} {row}", "UPDATE {} SET tenant_id = 2", "DELETE FROM {}"):
        try:
            with session.transaction(force_rollback=True):
                session.execute(sql.SQL(statement).format(sql.Identifier(table)))
        except FAILS_BECAUSE_OF_CAPTURE as error:
            failed.append(f"{statement}: {error.diag.message_primary} {error.diag.message_detail}")
    return failed
