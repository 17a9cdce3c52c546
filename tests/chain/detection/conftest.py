"""A stack of these tests' own, with every detector, on a database that has rows before anything reads it."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from chain.detection.watched_company import FOUNDING, Company, World
from pydantic import SecretStr
from support.operator import fresh_id
from support.stack import RunningStack
from support.stack_fixtures import passable_directory

from common.settings.source import SourceSettings
from connect.schema import apply_schema
from deploy.embedded.launcher import Launcher
from deploy.embedded.options import StackOptions
from deploy.embedded.ports import choose
from deploy.embedded.postgres import Postgres
from deploy.embedded.progress import PlainReporter
from deploy.embedded.state import StateDir


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """The stack, and the company whose rows are older than its worker."""
    with passable_directory() as root:
        state = StateDir(root / "server")
        state.open()
        server = Postgres(state, choose([], set()))
        server.prepare(lambda: False)
        launcher = Launcher(state, StackOptions(), PlainReporter(), threading.Event())
        try:
            launcher.launch(
                server.spec(state.log("postgres"), StackOptions(stop_timeout_s=10, log_mib_max=1)), server.answers
            )
            server.ensure_database()
            apply_schema(SourceSettings(admin_dsn=SecretStr(server.url()), password=SecretStr(str(fresh_id()))))
            with psycopg.connect(server.url(), autocommit=True) as session:
                older = Company(session, fresh_id())
                older.found()
                due_at = older.insert_old_rows(datetime.now(UTC))
            with RunningStack.start(root / "state", env={"WATCHFLOOR_SOURCE__ADMIN_DSN": server.url()}) as stack:
                yield World(stack, older.tenant, due_at)
        finally:
            launcher.stop_all()
            state.close()


@pytest.fixture
def session(world: World) -> Iterator["psycopg.Connection[Any]"]:
    """Of the database's owner, each statement its own transaction."""
    with world.stack.connection() as made:
        yield made


@pytest.fixture
def company(world: World, session: "psycopg.Connection[Any]") -> Company:
    """A company of the test's own."""
    made = Company(session, fresh_id())
    with world.stack.processing(**FOUNDING):
        made.found()
    return made
