"""What one tenant can commit at once. Each flood returns when its last row is committed."""

from collections.abc import Callable
from typing import Any

import psycopg
from confluent_kafka import Producer
from support.operator import fresh_id

Flood = Callable[["psycopg.Connection[Any]", int, int], None]
"""(session in which each statement is a transaction, tenant, number of rows)"""

_FIXES = (
    "INSERT INTO location (id, tenant_id, site_id, person_id, recorded_at, latitude, longitude, accuracy_m) "
    "SELECT %(first)s + n, %(tenant)s, %(tenant)s, %(tenant)s + n %% 500, now(), 1.3, 103.8, 5 "
    "FROM generate_series(1, %(rows)s) AS n"
)


def _values(tenant: int, rows: int) -> dict[str, int]:
    return {"first": fresh_id() * 1_000_000, "tenant": tenant, "rows": rows}


def one_insert(session: "psycopg.Connection[Any]", tenant: int, rows: int) -> None:
    """One INSERT."""
    session.execute(_FIXES, _values(tenant, rows))


def one_update(session: "psycopg.Connection[Any]", tenant: int, rows: int) -> None:
    """One UPDATE of every row that the tenant has."""
    session.execute("UPDATE location SET accuracy_m = accuracy_m + 1 WHERE tenant_id = %s", (tenant,))


def one_delete(session: "psycopg.Connection[Any]", tenant: int, rows: int) -> None:
    """One DELETE of every row that the tenant has."""
    session.execute("DELETE FROM location WHERE tenant_id = %s", (tenant,))


def single_commits(session: "psycopg.Connection[Any]", tenant: int, rows: int) -> None:
    """A transaction for each row, as fast as the server makes them."""
    first = fresh_id() * 1_000_000
    session.execute("SET synchronous_commit = off")
    session.execute(
        f"DO $$ BEGIN FOR n IN 1..{rows} LOOP "  # noqa: S608 - numbers
        "INSERT INTO location (id, tenant_id, site_id, person_id, recorded_at, latitude, longitude, accuracy_m) "
        f"VALUES ({first} + n, {tenant}, {tenant}, {tenant} + n % 500, now(), 1.3, 103.8, 5); "
        "COMMIT; END LOOP; END $$"
    )


def references(session: "psycopg.Connection[Any]", tenant: int, rows: int) -> None:
    """Rows that are stored and never judged."""
    session.execute(
        "INSERT INTO person (id, tenant_id, name) SELECT %(first)s + n, %(tenant)s, 'person ' || n "
        "FROM generate_series(1, %(rows)s) AS n",
        _values(tenant, rows),
    )


def tombstones(kafka: dict[str, Any], topic: str, key: bytes, partition: int, records: int) -> None:
    """Records without a value, in RecordBatches as large as a broker takes; not through the capture."""
    producer = Producer(
        kafka
        | {"linger.ms": 200, "batch.size": 4_000_000, "batch.num.messages": 100_000}
        | {"queue.buffering.max.messages": 200_000, "message.max.bytes": 4_000_000}
    )
    for _ in range(records):
        producer.produce(topic, key=key, value=None, partition=partition)
    assert producer.flush(60) == 0


def large_rows(session: "psycopg.Connection[Any]", tenant: int, rows: int) -> None:
    """Rows of 60 KB."""
    session.execute(
        "INSERT INTO ticket (id, tenant_id, site_id, ticket_no, status, priority, description, created_at) "
        "SELECT %(first)s + n, %(tenant)s, %(tenant)s, 'T' || n, 'NEW', 'LOW', repeat(md5(n::text), 1875), now() "
        "FROM generate_series(1, %(rows)s) AS n",
        _values(tenant, rows),
    )
