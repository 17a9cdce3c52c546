"""A tenant, a reader and a database of each test's own on the running stack."""

import itertools
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from pydantic import SecretStr
from support.captured_records import Records

from common.settings.load import Settings
from common.settings.source import SourceSettings

_tenants = itertools.count(int(time.time()) % 1_000_000 * 1000)  # no two runs on one stack share a tenant


@pytest.fixture
def tenant() -> int:
    """A tenant that nobody else writes to."""
    return next(_tenants)


@pytest.fixture
def records(stack: Any) -> Iterator[Records]:
    reader = Records(stack.settings.kafka)
    yield reader
    reader.consumer.close()


@pytest.fixture
def database(stack: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.endpoints["postgres"], autocommit=True) as connection:
        yield connection


@pytest.fixture
def scratch(stack: Any, database: psycopg.Connection[Any]) -> Iterator[Settings]:
    """Settings for a database, a capture role, a connector and topics of the test's own on the stack's servers."""
    name = f"capture_{next(_tenants)}"
    database.execute(f"CREATE DATABASE {name}")
    where = urlsplit(stack.endpoints["postgres"])
    yield Settings(
        source=SourceSettings(
            host=where.hostname or "127.0.0.1",
            port=where.port or 5432,
            database=name,
            user=name,
            password=SecretStr("s3cret"),
            admin_dsn=SecretStr(psycopg.conninfo.make_conninfo(stack.endpoints["postgres"], dbname=name)),
            slot=name,
            publication=name,
        ),
        kafka=stack.settings.kafka.model_copy(update={"topic_prefix": name}),
        connect=stack.settings.connect.model_copy(
            update={"connector": name, "heartbeat_interval_ms": 1000, "source_password_reference": None}
        ),
    )
    database.execute(f"DROP DATABASE {name} WITH (FORCE)")
    database.execute(f"DROP ROLE IF EXISTS {name}")
