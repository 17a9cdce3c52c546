"""What can be wrong with the watched database, each as one line that says what to do."""

from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from common.errors import WatchfloorError
from common.settings.load import Settings
from common.settings.source import SourceSettings, TableMapping
from connect.problems import server_problems
from connect.schema import apply_schema, check_source, schema_sql
from connect.source_state import SourceState


def run(source: SourceSettings, *statements: str) -> None:
    assert source.admin_dsn is not None
    with psycopg.connect(source.admin_dsn.get_secret_value(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def changed(source: SourceSettings, **values: Any) -> SourceSettings:
    return source.model_copy(update=values)


@pytest.fixture
def source(scratch: Settings) -> SourceSettings:
    apply_schema(scratch.source)
    return scratch.source


def test_a_prepared_database_passes_and_preparing_it_again_changes_nothing(source: SourceSettings) -> None:
    check_source(source)
    apply_schema(source)
    check_source(source)


def test_the_printed_sql_does_the_same(scratch: Settings) -> None:
    role = scratch.source.user
    run(scratch.source, schema_sql(scratch.source), f"ALTER ROLE {role} PASSWORD 's3cret'")
    check_source(scratch.source)


def test_a_forgotten_password_is_set_again(source: SourceSettings) -> None:
    run(source, f"ALTER ROLE {source.user} PASSWORD 'other'")
    apply_schema(source)
    check_source(source)


def test_a_tenant_gets_its_own_id_as_key(source: SourceSettings) -> None:
    run(source, "INSERT INTO tenant (id, name) VALUES (5, 'x')", "INSERT INTO tenant (id, tenant_id) VALUES (6, 99)")
    assert source.admin_dsn is not None
    with psycopg.connect(source.admin_dsn.get_secret_value()) as connection:
        assert connection.execute("SELECT id, tenant_id FROM tenant ORDER BY id").fetchall() == [(5, 5), (6, 6)]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DROP TABLE ticket", "table public.ticket is missing"),
        ("ALTER TABLE ticket DROP COLUMN tenant_id", "public.ticket has no column tenant_id"),
        ("ALTER TABLE ticket ALTER COLUMN tenant_id TYPE text", "column tenant_id .* is text, not bigint"),
        ("ALTER TABLE ticket REPLICA IDENTITY DEFAULT", "does not log its old rows"),
        ("ALTER TABLE ticket REPLICA IDENTITY NOTHING", "UPDATE and DELETE of captured table public.ticket fail"),
        ("ALTER PUBLICATION {name} DROP TABLE ticket", "public.ticket is not in publication"),
        ("ALTER PUBLICATION {name} SET (publish = 'insert')", "does not publish all of INSERT, UPDATE and DELETE"),
        (
            "ALTER PUBLICATION {name} DROP TABLE ticket; ALTER PUBLICATION {name} ADD TABLE ticket WHERE (id > 7)",
            "only some rows or columns of captured table",
        ),
        ("DROP PUBLICATION {name}", "publication .* is missing"),
        ("ALTER ROLE {name} NOREPLICATION", "may not read the replication log"),
        ("REVOKE SELECT ON ticket FROM {name}", "may not read captured table public.ticket"),
        ("GRANT UPDATE ON ticket TO {name}", "may write to captured table public.ticket"),
    ],
)
def test_each_fault_is_named(source: SourceSettings, statement: str, words: str) -> None:
    run(source, "DROP EVENT TRIGGER watchfloor_keep_writes_working", statement.format(name=source.user))
    with pytest.raises(WatchfloorError, match=words) as caught:
        check_source(source)
    assert "\n" not in str(caught.value)


def test_a_table_of_ours_without_tenant_is_refused_before_anything_is_made(scratch: Settings) -> None:
    run(scratch.source, "CREATE TABLE ticket (id bigint PRIMARY KEY)")
    with pytest.raises(WatchfloorError, match=r"public\.ticket has no column tenant_id"):
        apply_schema(scratch.source)
    assert scratch.source.admin_dsn is not None
    with psycopg.connect(scratch.source.admin_dsn.get_secret_value()) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)


def test_a_mapped_column_of_the_wrong_type_is_refused(scratch: Settings) -> None:
    run(scratch.source, "CREATE TABLE t (id bigint PRIMARY KEY, tenant_id bigint, note text)")
    tables = {"site": TableMapping(table="t", columns={"latitude": "note"})}
    with pytest.raises(WatchfloorError, match=r"column note .* is text, not double precision"):
        apply_schema(changed(scratch.source, tables=tables))


def test_a_locked_table_is_not_waited_for(scratch: Settings) -> None:
    run(scratch.source, "CREATE TABLE t (id bigint PRIMARY KEY, tenant_id bigint)")
    hurried = changed(scratch.source, tables={"site": TableMapping(table="t")}, lock_timeout_ms=100)
    assert hurried.admin_dsn is not None
    with psycopg.connect(hurried.admin_dsn.get_secret_value()) as writer:
        writer.execute("INSERT INTO t VALUES (1, 1)")
        with pytest.raises(WatchfloorError, match="is locked by another session"):
            apply_schema(hurried)


def test_an_administrator_without_the_rights_is_told_so(source: SourceSettings) -> None:
    assert source.admin_dsn is not None
    dsn = psycopg.conninfo.make_conninfo(source.admin_dsn.get_secret_value(), user=source.user, password="s3cret")
    run(source, "DROP PUBLICATION " + source.publication)
    with pytest.raises(WatchfloorError, match=r"role of source\.admin_dsn may not"):
        apply_schema(changed(source, admin_dsn=SecretStr(dsn)))


def test_a_database_that_does_not_exist_is_named(source: SourceSettings) -> None:
    with pytest.raises(WatchfloorError, match='database "nowhere" does not exist'):
        check_source(changed(source, database="nowhere"))


def test_a_server_without_logical_decoding_is_told_what_to_set() -> None:
    [problem] = server_problems(
        SourceState("replica", may_replicate=True, keeps_gaps=False, publication=None, tables=[], slot=None)
    )
    assert "wal_level=replica" in problem.text
    assert "ALTER SYSTEM SET wal_level = logical" in problem.advice
