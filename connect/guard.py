"""What Watchfloor installs in a watched database, so that no DDL of the application makes its writes fail because of us.

PostgreSQL refuses UPDATE and DELETE where a table's replica identity and a publication do not fit, and DDL changes that
(a generated column, a partition, a dropped key, another publication). Two triggers put the replica identity right:

- an event trigger, in the transaction of the DDL and only on tables that this transaction has locked already. Creating
  one needs a superuser;
- a trigger of the heartbeat table, which Debezium updates from time to time, for all that the first one may not touch
  or did not see. It also notes since when changes were not captured.

Neither waits or fails: whatever goes wrong is left to the next heartbeat, and to the doctor, who reads the same catalogs.
"""

from collections.abc import Iterator, Sequence

from psycopg import sql

from connect.mapping import CapturedTable
from connect.source_state import NAMESPACES_SINCE, states_sql

_CAPTURED = """
CREATE TABLE IF NOT EXISTS watchfloor.captured (publication name, schema_name name, table_name name,
  tenant_column name NOT NULL, id_column name NOT NULL, role name NOT NULL, root oid, left_at timestamptz,
  PRIMARY KEY (publication, schema_name, table_name))"""
_GAPS = """
CREATE TABLE IF NOT EXISTS watchfloor.capture_gap (publication name NOT NULL, table_name text NOT NULL,
  reason text NOT NULL, since timestamptz NOT NULL DEFAULT clock_timestamp(), until timestamptz)"""

_KEEP = """
CREATE OR REPLACE FUNCTION watchfloor.keep_writes_working(only_locked boolean) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $watchfloor$
DECLARE
  part record;
  entry record;
  ours boolean;
BEGIN
  PERFORM set_config('watchfloor.keeping', 'on', true); -- what is changed here needs no look afterwards
  FOR part IN
    WITH captured AS (SELECT publication, schema_name, table_name, tenant_column, id_column FROM watchfloor.captured),
    {states}
    SELECT s.* FROM states s JOIN watchfloor.captured c USING (publication, schema_name, table_name)
    WHERE (s.breaks IS NOT NULL OR s.published OR c.left_at IS NOT NULL OR c.root IS DISTINCT FROM s.root)
    AND NOT s.fits AND (NOT only_locked OR EXISTS (SELECT FROM pg_locks l
      WHERE l.pid = pg_backend_pid() AND l.relation = s.relid AND l.granted AND l.mode = 'AccessExclusiveLock'))
  LOOP
    BEGIN
      IF part.best IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY %s', part.relation, CASE part.best WHEN 'f' THEN 'FULL'
          WHEN 'd' THEN 'DEFAULT' ELSE format('USING INDEX %I', part.best_index) END);
      ELSIF part.breaks IS NOT NULL THEN
        EXECUTE format('ALTER PUBLICATION %I DROP TABLE %I.%I', part.publication, part.schema_name, part.table_name);
        UPDATE watchfloor.captured c SET left_at = clock_timestamp() WHERE c.publication = part.publication
          AND c.schema_name = part.schema_name AND c.table_name = part.table_name;
      END IF;
    EXCEPTION WHEN OTHERS THEN
      RAISE LOG 'watchfloor could not change %: %', part.relation, SQLERRM;
    END;
  END LOOP;
  FOR entry IN
    WITH captured AS (SELECT publication, schema_name, table_name, tenant_column, id_column FROM watchfloor.captured),
    {states}
    SELECT c.*, r.root AS now, p.oid AS pub, format('%I.%I', c.schema_name, c.table_name) AS qualified,
      p.puballtables OR EXISTS (SELECT FROM pg_publication_rel e WHERE e.prpubid = p.oid AND e.prrelid = r.root)
        {by_schema} AS published,
      p.pubinsert AND p.pubupdate AND p.pubdelete AND NOT EXISTS (SELECT FROM pg_publication_rel e
        WHERE e.prpubid = p.oid AND e.prrelid = r.root
        AND coalesce(to_jsonb(e) ->> 'prattrs', to_jsonb(e) ->> 'prqual') IS NOT NULL) AS whole,
      EXISTS (SELECT FROM pg_publication_rel e WHERE e.prpubid = p.oid AND e.prrelid = c.root) AS old_published,
      NOT EXISTS (SELECT FROM states s WHERE s.publication = c.publication AND s.root = r.root
        AND NOT s.fits) AS fits
    FROM watchfloor.captured c JOIN root r USING (publication, schema_name, table_name)
    LEFT JOIN pg_publication p ON p.pubname = c.publication
  LOOP
    BEGIN
      ours := NOT only_locked OR EXISTS (SELECT FROM pg_locks l WHERE l.pid = pg_backend_pid()
        AND l.relation IN (entry.root, entry.now) AND l.granted AND l.mode = 'AccessExclusiveLock');
      -- A table that has another name now is not captured: nothing of ours may stay on it.
      IF ours AND entry.old_published AND entry.root IS DISTINCT FROM entry.now THEN
        EXECUTE format('ALTER PUBLICATION %I DROP TABLE %s', entry.publication, entry.root::regclass);
        UPDATE watchfloor.captured c SET left_at = clock_timestamp() WHERE c.publication = entry.publication
          AND c.schema_name = entry.schema_name AND c.table_name = entry.table_name;
      END IF;
      IF ours AND entry.pub IS NOT NULL AND entry.now IS NOT NULL AND NOT entry.published AND entry.fits
          AND (entry.left_at IS NOT NULL OR entry.root IS DISTINCT FROM entry.now) THEN
        EXECUTE format('ALTER PUBLICATION %I ADD TABLE %s', entry.publication, entry.qualified);
        EXECUTE format('GRANT SELECT ON %s TO %I', entry.qualified, entry.role);
        entry.published := true;
      END IF;
      IF entry.published AND (entry.root IS DISTINCT FROM entry.now OR entry.left_at IS NOT NULL) THEN
        INSERT INTO watchfloor.capture_gap (publication, table_name, reason, since, until)
          SELECT entry.publication, entry.qualified, CASE WHEN entry.root IS DISTINCT FROM entry.now
              THEN 'another table has its name now' ELSE 'it had another name' END,
            coalesce(entry.left_at, clock_timestamp()), clock_timestamp()
          WHERE entry.root IS DISTINCT FROM entry.now OR NOT EXISTS (SELECT FROM watchfloor.capture_gap g
            WHERE g.publication = entry.publication AND g.table_name = entry.qualified AND g.until IS NULL);
        UPDATE watchfloor.captured c SET root = entry.now, left_at = NULL WHERE c.publication = entry.publication
          AND c.schema_name = entry.schema_name AND c.table_name = entry.table_name;
      END IF;
      IF entry.published AND entry.whole THEN
        UPDATE watchfloor.capture_gap g SET until = clock_timestamp()
          WHERE g.publication = entry.publication AND g.table_name = entry.qualified AND g.until IS NULL;
      ELSIF entry.now IS NOT NULL THEN
        INSERT INTO watchfloor.capture_gap (publication, table_name, reason)
          SELECT entry.publication, entry.qualified, CASE WHEN entry.pub IS NULL THEN 'the publication is missing'
            WHEN entry.published THEN 'the publication leaves some of it out'
            WHEN entry.left_at IS NOT NULL THEN 'its writes would fail' ELSE 'it is not in the publication' END
          WHERE NOT EXISTS (SELECT FROM watchfloor.capture_gap g
            WHERE g.publication = entry.publication AND g.table_name = entry.qualified AND g.until IS NULL);
      END IF;
    EXCEPTION WHEN OTHERS THEN
      RAISE LOG 'watchfloor could not look after %: %', entry.qualified, SQLERRM;
    END;
  END LOOP;
  PERFORM set_config('watchfloor.keeping', '', true);
END $watchfloor$"""


_ON_DDL = """
CREATE OR REPLACE FUNCTION watchfloor.on_ddl() RETURNS event_trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1ms' AS $watchfloor$
BEGIN
  IF current_setting('watchfloor.keeping', true) = 'on' OR tg_tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')
    AND NOT EXISTS (SELECT FROM pg_event_trigger_ddl_commands() d WHERE d.schema_name <> 'pg_temp') THEN
    RETURN;
  END IF;
  PERFORM watchfloor.keep_writes_working(true);
EXCEPTION WHEN OTHERS THEN
  RAISE LOG 'watchfloor could not look after a change of the schema: %', SQLERRM;
END $watchfloor$"""

_ON_HEARTBEAT = """
CREATE OR REPLACE FUNCTION watchfloor.on_heartbeat() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '20ms' AS $watchfloor$
BEGIN
  PERFORM watchfloor.keep_writes_working(false);
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE LOG 'watchfloor could not look after the captured tables: %', SQLERRM;
  RETURN NULL;
END $watchfloor$"""

_FORGET = """
CREATE OR REPLACE FUNCTION watchfloor.forget_gaps(of_publication name) RETURNS void LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $watchfloor$
  DELETE FROM watchfloor.capture_gap WHERE publication = of_publication
$watchfloor$"""

EVENT_TRIGGER = "watchfloor_keep_writes_working"

_TAGS = (
    "ALTER TABLE",
    "CREATE TABLE",
    "CREATE TABLE AS",
    "SELECT INTO",
    "CREATE SCHEMA",
    "ALTER SCHEMA",
    "ALTER INDEX",
    "DROP TABLE",
    "DROP INDEX",
    "DROP SCHEMA",
    "DROP FUNCTION",
    "DROP TYPE",
    "DROP EXTENSION",
    "DROP OWNED",
    "CREATE PUBLICATION",
    "ALTER PUBLICATION",
    "DROP PUBLICATION",
)
"""After these a captured table may have another form, name or publication."""


def guard_statements(publication: str, role: str, tables: Sequence[CapturedTable]) -> Iterator[sql.Composed]:
    """The tables and functions, and what is captured; repeating them changes nothing. Not the event trigger."""
    for statement in (_CAPTURED, _GAPS):
        yield sql.Composed([sql.SQL(statement)])
    for table in tables:
        name = sql.Literal(f'"{table.schema}"."{table.name}"')
        yield sql.SQL(
            "INSERT INTO watchfloor.captured VALUES ({}, {}, {}, {}, {}, {}, to_regclass({})) ON CONFLICT (publication,"
            " schema_name, table_name) DO UPDATE SET tenant_column = excluded.tenant_column, id_column ="
            " excluded.id_column, role = excluded.role, root = excluded.root, left_at = NULL"
        ).format(
            sql.Literal(publication),
            sql.Literal(table.schema),
            sql.Literal(table.name),
            sql.Literal(table.tenant_column),
            sql.Literal(table.column("id")),
            sql.Literal(role),
            name,
        )
    captured = sql.SQL(", ").join(
        sql.SQL("({}, {})").format(sql.Literal(table.schema), sql.Literal(table.name)) for table in tables
    )
    yield sql.SQL(
        "DELETE FROM watchfloor.captured WHERE publication = {} AND (schema_name, table_name) NOT IN ({})"
    ).format(sql.Literal(publication), captured)


def function_statements(server_version: int) -> Iterator[sql.Composed]:
    """The functions and the heartbeat's trigger, for a server of this version."""
    by_schema = (
        "OR EXISTS (SELECT FROM pg_publication_namespace s JOIN pg_class l ON l.relnamespace = s.pnnspid"
        " WHERE s.pnpubid = p.oid AND l.oid = r.root)"
    )
    keep = _KEEP.format(
        states=states_sql(server_version), by_schema=by_schema if server_version >= NAMESPACES_SINCE else ""
    )
    for text in (keep, _ON_DDL, _ON_HEARTBEAT, _FORGET):
        yield sql.Composed([sql.SQL(text)])
    for function in ("keep_writes_working(boolean)", "on_ddl()", "on_heartbeat()", "forget_gaps(name)"):
        yield sql.SQL("REVOKE ALL ON FUNCTION watchfloor.{} FROM PUBLIC").format(sql.SQL(function))
    yield sql.SQL(
        "CREATE OR REPLACE TRIGGER keep_writes_working AFTER INSERT OR UPDATE ON watchfloor.heartbeat"
        " FOR EACH STATEMENT EXECUTE FUNCTION watchfloor.on_heartbeat()"
    ).format()


def event_trigger_statements() -> Iterator[sql.Composed]:
    """The event trigger, which only a superuser may create."""
    yield sql.SQL("DROP EVENT TRIGGER IF EXISTS {}").format(sql.Identifier(EVENT_TRIGGER))
    yield sql.SQL(
        "CREATE EVENT TRIGGER {} ON ddl_command_end WHEN TAG IN ({}) EXECUTE FUNCTION watchfloor.on_ddl()"
    ).format(sql.Identifier(EVENT_TRIGGER), sql.SQL(", ").join(map(sql.Literal, _TAGS)))
