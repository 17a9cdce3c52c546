"""A customer's own tables and column names, from their snapshot on (R1.4, R1.6)."""

from collections.abc import Iterator

import psycopg
import pytest
from support.capture_databases import own_connector
from support.captured_records import Records

from common.settings.load import Settings
from common.settings.source import TableMapping
from connect.apply import apply_connector
from connect.schema import apply_schema, check_source
from contracts.envelope import ChangeDecoder
from contracts.rows import Attendance, Tenant
from contracts.topics import partition_of

MAPPING = {
    # Swapped on purpose: their client is our tenant, their tenant is our client.
    "tenant": TableMapping(table="crm.client", columns={"tenant_id": "id", "name": "bu_name"}),
    "client": TableMapping(table="crm.tenant", columns={"tenant_id": "bu"}),
    "attendance": TableMapping(
        table="crm.PeopleEventlog", columns={"tenant_id": "bu", "occurred_at": "punch_in", "latitude": "lat"}
    ),
}
TABLES = """
CREATE SCHEMA crm;
CREATE TABLE crm.client (id integer PRIMARY KEY, bu_name text);
CREATE TABLE crm.tenant (id bigint PRIMARY KEY, bu integer, name text);
CREATE TABLE crm."PeopleEventlog" (id bigint PRIMARY KEY, bu integer, punch_in timestamp, lat numeric(9,6), x bytea)
    PARTITION BY HASH (id);
CREATE TABLE crm.event_0 PARTITION OF crm."PeopleEventlog" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE crm.event_1 PARTITION OF crm."PeopleEventlog" FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO crm.client VALUES (3, 'Acme');
"""


@pytest.fixture
def mapped(scratch: Settings) -> Iterator[Settings]:
    settings = scratch.model_copy(update={"source": scratch.source.model_copy(update={"tables": MAPPING})})
    assert settings.source.admin_dsn is not None
    with psycopg.connect(settings.source.admin_dsn.get_secret_value(), autocommit=True) as connection:
        connection.execute(TABLES)
    apply_schema(settings.source)
    check_source(settings.source)
    with own_connector(settings):
        yield settings


def test_mapped_tables_arrive_under_canonical_names_and_keys(mapped: Settings) -> None:
    apply_connector(mapped)
    decoder = ChangeDecoder({name: table.columns for name, table in MAPPING.items()})
    records = Records(mapped.kafka, from_start=True)
    dsn = mapped.source.admin_dsn
    assert dsn is not None
    with psycopg.connect(dsn.get_secret_value(), autocommit=True) as connection:
        connection.execute("INSERT INTO crm.tenant VALUES (30, 3, 'Harbour Mall')")
        connection.execute(
            "INSERT INTO crm.\"PeopleEventlog\" VALUES (1, 3, '2026-03-02 05:01:02.25', 12.971599, '\\x00')"
        )
    found = {}
    while len(found) < 3:
        record = records.consumer.poll(20.0)
        assert record is not None, f"only {sorted(found)} arrived"
        table = str(record.topic()).rpartition(".")[2]
        assert record.topic() == f"{mapped.kafka.topic_prefix}.public.{table}"
        assert record.key() == b'{"tenant_id":3}'
        assert record.partition() == partition_of(3, records.partitions)
        found[table] = decoder.decode(table, record.value())
    records.consumer.close()
    tenant, client, attendance = found["tenant"], found["client"], found["attendance"]
    assert tenant is not None
    assert tenant.snapshot
    assert isinstance(tenant.row, Tenant)
    assert tenant.row.name == "Acme"
    assert client is not None
    assert (client.op, client.row.id, client.row.tenant_id) == ("c", 30, 3)
    assert attendance is not None
    assert isinstance(attendance.row, Attendance)
    assert attendance.row.latitude == 12.971599
    assert attendance.row.occurred_at is not None
    assert attendance.row.occurred_at.isoformat() == "2026-03-02T05:01:02.250000+00:00"
