"""A committed row becomes a record: its topic, partition, key, order and content (R1.1 to R1.4)."""

import os
import signal
import time
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.captured_records import Records

from connect.apply import connector_state
from contracts.rows import Site, Ticket
from contracts.topics import CAPTURED_TABLES, partition_of

Database = psycopg.Connection[Any]


def test_a_row_of_every_table_lands_in_its_tenants_partition(database: Database, records: Records, tenant: int) -> None:
    insert = sql.SQL("INSERT INTO {} (id, tenant_id) VALUES (%(id)s, %(id)s)")
    for table in CAPTURED_TABLES:
        database.execute(insert.format(sql.Identifier(table)), {"id": tenant})
    found = records.read(tenant, len(CAPTURED_TABLES))
    assert {record.topic() for record, _ in found} == {f"noc.public.{table}" for table in CAPTURED_TABLES}
    assert {record.partition() for record, _ in found} == {partition_of(tenant, records.partitions)}
    assert {change.op for _, change in found if change} == {"c"}
    assert {change.row.tenant_id for _, change in found if change} == {tenant}


def test_an_update_and_a_delete_tell_the_old_row_and_a_delete_leaves_no_tombstone(
    database: Database, records: Records, tenant: int
) -> None:
    database.execute("INSERT INTO ticket (id, tenant_id, status) VALUES (%(id)s, %(id)s, 'NEW')", {"id": tenant})
    database.execute("UPDATE ticket SET status = 'OPEN' WHERE id = %s", (tenant,))
    database.execute("DELETE FROM ticket WHERE id = %s", (tenant,))
    created, updated, deleted = records.changes(tenant, 3)
    assert [each.op for each in (created, updated, deleted)] == ["c", "u", "d"]
    assert isinstance(updated.before, Ticket)
    assert isinstance(updated.after, Ticket)
    assert (updated.before.status, updated.after.status) == ("NEW", "OPEN")
    assert deleted.before == updated.after
    assert records.read(tenant, 1, wait_s=1.0) == []


def test_changes_sort_by_commit_over_tables_although_a_transaction_began_early(
    stack: Any, database: Database, records: Records, tenant: int
) -> None:
    with psycopg.connect(stack.endpoints["postgres"]) as early:
        early.execute("INSERT INTO ticket (id, tenant_id) VALUES (%(id)s, %(id)s)", {"id": tenant})
        database.execute("INSERT INTO location (id, tenant_id) VALUES (%(id)s, %(id)s)", {"id": tenant})
        early.execute("INSERT INTO attendance (id, tenant_id) VALUES (%(id)s, %(id)s)", {"id": tenant})
        database.execute("INSERT INTO device (id, tenant_id) VALUES (%(id)s, %(id)s)", {"id": tenant})
    changes = records.changes(tenant, 4)
    by_commit = sorted(changes, key=lambda change: change.order)
    assert [change.table for change in by_commit] == ["location", "device", "ticket", "attendance"]
    by_log_position = sorted(changes, key=lambda change: change.lsn)
    assert [change.table for change in by_log_position] == ["ticket", "location", "attendance", "device"]
    assert len({change.txid for change in by_commit[2:]}) == 1


def test_a_long_text_that_did_not_change_comes_whole(database: Database, records: Records, tenant: int) -> None:
    # Digests do not compress, so that PostgreSQL stores the text apart from its row.
    database.execute(
        "INSERT INTO ticket (id, tenant_id, status, description) SELECT %(id)s, %(id)s, 'NEW',"
        " string_agg(md5(n::text), '') FROM generate_series(1, 400) n",
        {"id": tenant},
    )
    database.execute("UPDATE ticket SET status = 'OPEN' WHERE id = %s", (tenant,))
    _, updated = records.changes(tenant, 2)
    assert isinstance(updated.after, Ticket)
    assert updated.after.description is not None
    assert len(updated.after.description) == 400 * 32


def test_a_huge_row_is_cut_and_does_not_stop_the_connector(database: Database, records: Records, tenant: int) -> None:
    # Ten times what a record may hold.
    database.execute(
        "INSERT INTO ticket (id, tenant_id, description) VALUES (%(id)s, %(id)s, repeat('x', 40000000))", {"id": tenant}
    )
    database.execute(
        "INSERT INTO site (id, tenant_id, geofence) VALUES (%(id)s, %(id)s, to_jsonb(repeat('x', 60000)))",
        {"id": tenant},
    )
    rows = {change.table: change.row for change in records.changes(tenant, 2)}
    assert isinstance(rows["ticket"], Ticket)
    assert len(rows["ticket"].description or "") == 32_768
    assert isinstance(rows["site"], Site)
    assert len(rows["site"].geofence or "") == 60_002


def test_columns_come_and_go_while_changes_flow(database: Database, records: Records, tenant: int) -> None:
    insert = "INSERT INTO work_order (id, tenant_id, status) VALUES (%s, %s, 'OPEN')"
    database.execute(insert, (tenant, tenant))
    database.execute("ALTER TABLE work_order ADD COLUMN colour text DEFAULT 'red'")
    try:
        database.execute(insert, (tenant + 1, tenant))
    finally:
        database.execute("ALTER TABLE work_order DROP COLUMN colour")
    database.execute(insert, (tenant + 2, tenant))
    found = records.read(tenant, 3)
    assert [b"colour" in (record.value() or b"") for record, _ in found] == [False, True, False]
    assert [change.row.id for _, change in found if change] == [tenant, tenant + 1, tenant + 2]


@pytest.mark.parametrize("statement", ["INSERT INTO ticket (id, tenant_id) VALUES (1, 1)", "DELETE FROM ticket"])
def test_the_capture_role_cannot_write(database: Database, statement: str) -> None:
    database.execute("SET ROLE watchfloor_capture")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.execute(statement)


def test_writers_are_not_held_up_while_connect_stands_still_and_nothing_is_lost(
    stack: Any, database: Database, records: Records, tenant: int
) -> None:
    count, connect = 200, stack.endpoints["pids"]["connect"]
    os.kill(connect, signal.SIGSTOP)
    try:
        slowest_s = 0.0
        for number in range(count):
            started = time.monotonic()
            database.execute("INSERT INTO location (id, tenant_id) VALUES (%s, %s)", (tenant * 1000 + number, tenant))
            slowest_s = max(slowest_s, time.monotonic() - started)
        assert records.read(tenant, 1, wait_s=0.5) == []
    finally:
        os.kill(connect, signal.SIGCONT)
    assert slowest_s < 1.0
    changes = records.changes(tenant, count)
    assert [change.row.id for change in changes] == [tenant * 1000 + number for number in range(count)]


def test_a_restarted_task_goes_on_where_it_was(stack: Any, database: Database, records: Records, tenant: int) -> None:
    for number in range(100):
        database.execute("INSERT INTO location (id, tenant_id) VALUES (%s, %s)", (tenant * 1000 + number, tenant))
        if number == 50:
            with stack.connect_client() as connect:
                connect.post("/connectors/watchfloor/tasks/0/restart").raise_for_status()
    orders: dict[int, set[tuple[int, int]]] = {}
    deadline = time.monotonic() + 30
    while len(orders) < 100 and time.monotonic() < deadline:
        for _, change in records.read(tenant, 1, wait_s=1.0):
            assert change is not None
            orders.setdefault(change.row.id, set()).add(change.order)
    assert sorted(orders) == [tenant * 1000 + number for number in range(100)]
    # A repeat, if there was one, has the order of the first time.
    assert all(len(of_one_row) == 1 for of_one_row in orders.values())
    state = connector_state(stack.settings)
    assert state is not None
    assert state.running
