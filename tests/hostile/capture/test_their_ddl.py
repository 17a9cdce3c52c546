"""No DDL of an application makes its own writes fail because of us; where capture loses something, the doctor says so.

Also of connect/guard.py, connect/source_state.py and connect/problems.py. The server decides: what is expected of a
table is what happens to its twin, which has the same form and the same publications but is not captured.
"""

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.capture_databases import Database, beat, owners_session, problems_of, state_of, writes_fail

from common.settings.load import Settings
from common.settings.source import SourceSettings
from connect.mapping import captured_tables
from connect.problems import Effect
from connect.schema import apply_schema

STORED = "ALTER TABLE {t} ADD COLUMN urgent boolean GENERATED ALWAYS AS (priority = 'CRITICAL') STORED"
VIRTUAL = "ALTER TABLE {t} ADD COLUMN soon boolean GENERATED ALWAYS AS (priority = 'HIGH') VIRTUAL"
KEYLESS = "ALTER TABLE {t} DROP CONSTRAINT {t}_pkey"
BOTH = "ALTER TABLE {t} ADD CONSTRAINT {t}_both UNIQUE (tenant_id, id)"
NEW = "CREATE TABLE {t} (id bigint NOT NULL, tenant_id bigint NOT NULL, status text, priority text"
PARTITIONED = "DROP TABLE {t}; " + NEW + ") PARTITION BY LIST (tenant_id); "
PART = "CREATE TABLE {t}_1 PARTITION OF {t} FOR VALUES IN (1); CREATE TABLE {t}_2 PARTITION OF {t} DEFAULT; "
THEIRS = "CREATE PUBLICATION theirs_{t} FOR "

CASES = {
    "a stored column": (STORED, "f", set()),
    "a virtual column": (VIRTUAL, "d", {Effect.PARTIAL}),
    "a virtual column that goes again": (f"{VIRTUAL}; ALTER TABLE {{t}} DROP COLUMN soon", "f", set()),
    "a virtual column with a key of tenant and id": (f"{BOTH}; {VIRTUAL}", "i", set()),
    "a virtual column without a key": (f"{KEYLESS}; {VIRTUAL}", None, {Effect.LOSES, Effect.LOST}),
    "that, and a key later": (f"{KEYLESS}; {VIRTUAL}; ALTER TABLE {{t}} ADD PRIMARY KEY (id)", "d", {Effect.PARTIAL, Effect.LOST}),
    "no key": (KEYLESS, "f", set()),
    "no key after a virtual column": (f"{VIRTUAL}; {KEYLESS}", None, {Effect.LOSES, Effect.LOST}),
    "no index after a virtual column": (f"{BOTH}; {VIRTUAL}; ALTER TABLE {{t}} DROP CONSTRAINT {{t}}_both", "d", {Effect.PARTIAL}),
    "no identity": ("ALTER TABLE {t} REPLICA IDENTITY NOTHING", "f", set()),
    "the default identity": ("ALTER TABLE {t} REPLICA IDENTITY DEFAULT", "f", set()),
    "dropped and made again": (f"DROP TABLE {{t}}; {NEW})", "f", {Effect.LOST}),
    "made again with a stored column": (f"DROP TABLE {{t}}; {NEW}, n bigint GENERATED ALWAYS AS (id) STORED)", "f", {Effect.LOST}),
    "made again from a query": ("CREATE TABLE c AS SELECT * FROM {t}; DROP TABLE {t}; ALTER TABLE c RENAME TO {t}", "f", {Effect.LOST}),
    "swapped": ("CREATE TABLE n (LIKE {t} INCLUDING ALL); ALTER TABLE {t} RENAME TO o; ALTER TABLE n RENAME TO {t}", "f", {Effect.LOST}),
    "renamed and back": ("ALTER TABLE {t} RENAME TO o; ALTER TABLE o RENAME TO {t}", "f", {Effect.LOST}),
    "moved away and back": ("CREATE SCHEMA a; ALTER TABLE {t} SET SCHEMA a; ALTER TABLE a.{t} SET SCHEMA public", "f", {Effect.LOST}),
    "partitions without a key": (PARTITIONED + PART, "f", {Effect.LOST}),
    "a partition that is attached": (
        PARTITIONED + NEW.replace("{t}", "p") + "); ALTER TABLE {t} ATTACH PARTITION p DEFAULT",
        "f",
        {Effect.LOST},
    ),
    "a stored column of partitions": (f"{PARTITIONED}{PART}{STORED}", "f", {Effect.LOST}),
    "a virtual column of partitions": (f"{PARTITIONED}{PART}{VIRTUAL}", None, {Effect.LOSES, Effect.LOST}),
    "a stored column, and all tables published by them": (f"{THEIRS}ALL TABLES; {STORED}", "d", {Effect.PARTIAL}),
    "some columns published by them": (f"{THEIRS}TABLE {{t}} (id, status)", "d", {Effect.PARTIAL}),
    "some rows published by them": (f"{THEIRS}TABLE {{t}} WHERE (id > 7)", "f", set()),
    "a schema published by them, then a stored column": (f"{THEIRS}TABLES IN SCHEMA public; {STORED}", "d", {Effect.PARTIAL}),
    "removed by them": ("ALTER PUBLICATION {p} DROP TABLE {t}", "f", {Effect.LOSES, Effect.LOST}),
    "only inserts": ("ALTER PUBLICATION {p} SET (publish = 'insert')", "f", {Effect.LOSES, Effect.LOST}),
    "only some rows": (
        "ALTER PUBLICATION {p} DROP TABLE {t}; ALTER PUBLICATION {p} ADD TABLE {t} WHERE (id > 7)",
        "f",
        {Effect.LOSES, Effect.LOST},
    ),
    "no publication": ("DROP PUBLICATION {p}", "f", {Effect.LOSES, Effect.LOST}),
    "generated columns not published": (f"{STORED}; ALTER PUBLICATION {{p}} SET (publish_generated_columns = none)", "d", {Effect.PARTIAL}),
}  # fmt: skip


@pytest.fixture
def source(scratch: Settings) -> SourceSettings:
    apply_schema(scratch.source)
    return scratch.source


@pytest.fixture
def owner(source: SourceSettings) -> Iterator[Database]:
    with owners_session(source) as session:
        yield session


def run(session: Database, text: str, source: SourceSettings, table: str = "ticket") -> None:
    for statement in text.format(t=table, p=source.publication).split("; "):
        if statement:
            session.execute(statement)


def identity(source: SourceSettings) -> set[str]:
    """Of the table ticket with its partitions, where it is published."""
    names = [table.canonical.name for table in captured_tables(source)]
    ticket = state_of(source).tables[names.index("ticket")]
    return {part.identity for part in ticket.parts} if ticket.published and not ticket.narrowed else set()


def published_by_others(name: str) -> bool:
    return "by them" in name or "not published" in name


@pytest.mark.parametrize("name", CASES)
def test_writes_work_after_it_and_what_is_lacking_is_said(source: SourceSettings, owner: Database, name: str) -> None:
    statements, expected, effects = CASES[name]
    run(owner, statements, source)
    if published_by_others(name):  # their statement locks no table, so that only the heartbeat may change one
        beat(source)
    assert writes_fail(owner, "ticket") == []
    lost = effects >= {Effect.LOSES} and name != "only inserts"
    assert identity(source) == (set() if lost else {expected})
    assert {problem.effect for problem in problems_of(source)} == effects
    assert all(problem.table in ("ticket", None) for problem in problems_of(source))


@pytest.mark.parametrize("name", CASES)
def test_without_an_event_trigger_the_heartbeat_does_it(source: SourceSettings, owner: Database, name: str) -> None:
    owner.execute("DROP EVENT TRIGGER watchfloor_keep_writes_working")
    statements, expected, effects = CASES[name]
    run(owner, statements, source)
    fails = writes_fail(owner, "ticket")
    assert bool(fails) == (Effect.BREAKS_WRITES in {problem.effect for problem in problems_of(source)}), fails
    beat(source)
    assert writes_fail(owner, "ticket") == []
    lost = effects >= {Effect.LOSES} and name != "only inserts"
    assert identity(source) == (set() if lost else {expected})


def test_their_ddl_neither_waits_nor_fails_for_us(source: SourceSettings, owner: Database) -> None:
    """Somebody holds everything that the guard could want."""
    with owners_session(source) as other, other.transaction():
        other.execute(f"ALTER PUBLICATION {source.publication} DROP TABLE watchfloor.heartbeat")
        other.execute("LOCK TABLE watchfloor.captured, watchfloor.capture_gap IN ACCESS EXCLUSIVE MODE")
        owner.execute("SET statement_timeout = '2s'")
        run(owner, f"{KEYLESS}; {VIRTUAL}", source)
    beat(source)
    assert writes_fail(owner, "ticket") == []


def test_a_broken_guard_does_not_break_their_ddl(source: SourceSettings, owner: Database) -> None:
    owner.execute("DROP TABLE watchfloor.captured")
    run(owner, STORED, source)
    assert writes_fail(owner, "ticket") == []
    beat(source)


def test_an_owner_who_is_no_superuser_gets_the_heartbeats_guard(scratch: Settings) -> None:
    name = scratch.source.publication
    with owners_session(scratch.source) as session:
        session.execute(f"CREATE ROLE {name}_owner LOGIN CREATEROLE REPLICATION PASSWORD 's3cret'")
        session.execute(f"ALTER DATABASE {name} OWNER TO {name}_owner")
        session.execute(f"GRANT ALL ON SCHEMA public TO {name}_owner")
        try:
            dsn = scratch.source.admin_dsn
            assert dsn is not None
            theirs = psycopg.conninfo.make_conninfo(dsn.get_secret_value(), user=f"{name}_owner", password="s3cret")
            source = scratch.source.model_copy(update={"admin_dsn": type(dsn)(theirs)})
            apply_schema(source)
            with owners_session(source) as owner:
                run(owner, VIRTUAL, source)
                assert writes_fail(owner, "ticket") != []
                assert Effect.BREAKS_WRITES in {problem.effect for problem in problems_of(source)}
                beat(source)
                assert writes_fail(owner, "ticket") == []
        finally:
            session.execute(f"REASSIGN OWNED BY {name}_owner TO CURRENT_USER; DROP OWNED BY {name}, {name}_owner")
            session.execute(f"DROP ROLE {name}, {name}_owner")


def test_apply_refuses_what_no_replica_identity_can_save(scratch: Settings) -> None:
    from common.errors import WatchfloorError

    with owners_session(scratch.source) as owner:
        run(owner, f"{NEW}, soon bigint GENERATED ALWAYS AS (id) VIRTUAL)", scratch.source)
        with pytest.raises(WatchfloorError, match=r"public\.ticket cannot be published.* add a primary key"):
            apply_schema(scratch.source)
        assert writes_fail(owner, "ticket") == []
        owner.execute("ALTER TABLE ticket ADD PRIMARY KEY (tenant_id, id)")
        apply_schema(scratch.source)
        assert writes_fail(owner, "ticket") == []
        assert problems_of(scratch.source) == []


ROW = "(id, tenant_id, priority) VALUES (1, 1, 'LOW')"
DDL = [
    STORED, VIRTUAL, KEYLESS, BOTH,
    "ALTER TABLE {t} DROP COLUMN urgent",
    "ALTER TABLE {t} DROP COLUMN soon",
    "ALTER TABLE {t} DROP CONSTRAINT {t}_both",
    "ALTER TABLE {t} ADD CONSTRAINT {t}_pkey PRIMARY KEY (id)",
    "ALTER TABLE {t} ADD CONSTRAINT {t}_pkey PRIMARY KEY (id) DEFERRABLE",
    "CREATE UNIQUE INDEX {t}_some ON {t} (tenant_id, id) WHERE id > 0",
    "CREATE UNIQUE INDEX {t}_wide ON {t} (tenant_id, id) INCLUDE (priority)",
    "DROP INDEX {t}_wide",
    "ALTER TABLE {t} ALTER priority SET NOT NULL",
    "CREATE UNIQUE INDEX {t}_prio ON {t} (id, priority)",
    "ALTER TABLE {t} ALTER priority DROP NOT NULL",
    "ALTER TABLE {t} REPLICA IDENTITY NOTHING",
    "ALTER TABLE {t} REPLICA IDENTITY DEFAULT",
    "ALTER TABLE {t} REPLICA IDENTITY FULL",
    "ALTER TABLE {t} RENAME TO x_{t}",
    "ALTER TABLE x_{t} RENAME TO {t}",
    THEIRS + "TABLE {t}",
    THEIRS + "TABLE {t} (id, tenant_id)",
    THEIRS + "TABLE {t} (priority)",
    THEIRS + "TABLE {t} WHERE (priority = 'HIGH')",
    THEIRS + "TABLE {t} (id, priority) WHERE (priority = 'HIGH') WITH (publish = 'insert, update')",
    THEIRS + "TABLE {t} WITH (publish = 'insert')",
    THEIRS + "TABLE {t} WITH (publish_generated_columns = stored)",
    "DROP PUBLICATION theirs_{t}",
]  # fmt: skip


def tried(session: Database, statement: str) -> bool:
    try:
        session.execute(statement)
    except psycopg.errors.InvalidTableDefinition:
        return True  # the column belongs to an identity that only one of the two has
    except psycopg.Error:
        return False
    return True


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statements=st.lists(st.sampled_from(DDL), min_size=1, max_size=7), guarded=st.booleans())
def test_a_captured_table_takes_writes_wherever_its_twin_does(
    source: SourceSettings, owner: Database, statements: list[str], guarded: bool
) -> None:
    for table in ("ticket", "twin"):
        owner.execute(f"DROP PUBLICATION IF EXISTS theirs_{table}")
        owner.execute(f"DROP TABLE IF EXISTS {table}, x_{table}")
        owner.execute(f"{NEW}, CONSTRAINT {{t}}_pkey PRIMARY KEY (id))".format(t=table))
    for statement in statements:
        done = [tried(owner, statement.format(t=table)) for table in ("ticket", "twin")]
        assert done[0] == done[1], statement
        names = [row[0] for row in owner.execute("SELECT relname FROM pg_class WHERE relname ~ '^(x_)?ticket$'")]
        table = names[0]
        if guarded:
            if "PUBLICATION" in statement:
                beat(source)
            fails = writes_fail(owner, table, ROW)
            assert not fails or writes_fail(owner, table.replace("ticket", "twin"), ROW), (statement, fails)
        fails = writes_fail(owner, table, ROW)
        said = any(problem.effect is Effect.BREAKS_WRITES for problem in problems_of(source))
        assert table != "ticket" or said == bool(fails), (statement, fails)
    beat(source)
