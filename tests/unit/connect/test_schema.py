"""The SQL for the watched database, without a server."""

import pytest
from pydantic import SecretStr

from common.errors import WatchfloorError
from common.settings.source import SourceSettings, TableMapping
from connect.schema import apply_schema, schema_sql
from contracts.schema import TABLES


def test_every_canonical_table_is_created_with_full_old_rows() -> None:
    text = schema_sql(SourceSettings())
    for table in TABLES.values():
        assert f'CREATE TABLE IF NOT EXISTS "public"."{table.name}"' in text
        assert f'ALTER TABLE "public"."{table.name}" REPLICA IDENTITY FULL' in text
        for column in table.columns:
            assert f'"{column.name}" {column.type}' in text


def test_the_capture_role_reads_and_only_writes_its_heartbeat() -> None:
    grants = [line for line in schema_sql(SourceSettings()).splitlines() if line.startswith("GRANT")]
    writing = [line for line in grants if "INSERT" in line or "UPDATE" in line or "DELETE" in line or "ALL" in line]
    assert writing == ['GRANT SELECT, INSERT, UPDATE ON "watchfloor"."heartbeat" TO "watchfloor_capture";']


def test_a_customers_tables_are_not_created_and_their_names_are_quoted() -> None:
    source = SourceSettings(user='odd"role', tables={"ticket": TableMapping(table="crm.Ticket")})
    text = schema_sql(source)
    assert 'CREATE TABLE IF NOT EXISTS "crm"' not in text
    assert "tenant_is_its_own_key" not in text
    assert 'GRANT SELECT ON "crm"."Ticket" TO "odd""role"' in text


def test_the_sql_for_an_administrator_holds_no_password() -> None:
    assert "s3cret" not in schema_sql(SourceSettings(password=SecretStr("s3cret")))


def test_without_an_administrators_address_it_says_what_to_do() -> None:
    with pytest.raises(WatchfloorError, match="watchfloor connect sql"):
        apply_schema(SourceSettings())


def test_a_server_that_is_not_there_is_one_line_without_the_password() -> None:
    dsn = "postgresql://postgres:s3cret@127.0.0.1:1/watchfloor"
    with pytest.raises(WatchfloorError, match=r"no PostgreSQL server answers at 127\.0\.0\.1:1") as caught:
        apply_schema(SourceSettings(admin_dsn=SecretStr(dsn)))
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
