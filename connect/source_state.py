"""What the catalogs of a watched database say about its capture, read with one statement.

Only reads, and takes no lock on a table. Whether an UPDATE or DELETE of the application would fail is decided as PostgreSQL decides it
(`CheckCmdReplicaIdentity`): all publications that contain the table count, also the customer's own.
"""

from typing import Any, Literal

import msgspec
from psycopg import sql

from common.settings.source import SourceSettings
from connect.mapping import captured_tables

NAMESPACES_SINCE = 150_000
"""The first version of PostgreSQL in which a publication can contain a whole schema."""

_STATES = """
root AS (
  SELECT k.*, c.oid AS root FROM captured k LEFT JOIN
    (pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace)
    ON n.nspname = k.schema_name AND c.relname = k.table_name AND c.relkind IN ('r', 'p')
), member AS MATERIALIZED (
  SELECT r.*, c.oid AS relid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation, c.relreplident AS identity,
    ARRAY(SELECT c.oid UNION SELECT a.relid FROM pg_catalog.pg_partition_ancestors(c.oid) a) AS line,
    ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attgenerated = 's') AS stored,
    EXISTS (SELECT FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attgenerated = 'v') AS virtual
  FROM root r JOIN pg_catalog.pg_class c ON c.relkind = 'r' AND
    (c.oid = r.root OR c.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree(r.root) t))
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
), published AS MATERIALIZED (
  SELECT m.relid, p.pubname, p.pubname = m.publication AS ours,
    p.puballtables OR e.prpubid IS NOT NULL OR {by_schema} AS contains,
    coalesce(pg_catalog.to_jsonb(p) ->> 'pubgencols', 's') AS generated,
    (SELECT pg_catalog.array_agg(a.attname) FROM pg_catalog.pg_attribute a WHERE a.attrelid = e.prrelid AND a.attnum =
      ANY (pg_catalog.string_to_array(pg_catalog.translate(pg_catalog.to_jsonb(e) ->> 'prattrs', '[] ', ''), ',')::int2[])) AS columns,
    ARRAY(SELECT a.attname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a
      ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE pg_catalog.to_jsonb(e) ->> 'prqual' IS NOT NULL
      AND d.classid = 'pg_catalog.pg_publication_rel'::regclass AND d.objid = e.oid AND d.refobjsubid > 0) AS filter
  FROM member m CROSS JOIN pg_catalog.pg_publication p
  LEFT JOIN pg_catalog.pg_publication_rel e ON e.prpubid = p.oid AND e.prrelid = ANY (m.line)
  WHERE p.pubupdate OR p.pubdelete
  UNION ALL -- one that does not exist yet, as it will be created
  SELECT m.relid, m.publication, true, false, 's', NULL, '{{}}' FROM member m
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_publication p WHERE p.pubname = m.publication)
), key AS MATERIALIZED (
  SELECT m.relid, i.indexrelid, i.indisprimary, i.indisreplident, m.identity, ARRAY(
    SELECT a.attname FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, nr)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = m.relid AND a.attnum = k.attnum AND a.attnotnull
    WHERE k.nr <= i.indnkeyatts) AS columns, i.indnkeyatts, m.tenant_column, m.id_column
  FROM member m JOIN pg_catalog.pg_index i ON i.indrelid = m.relid
  WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
), choice AS (
  SELECT relid, 1 AS rank, 'f'::"char" AS identity, NULL::oid AS index, NULL::name[] AS columns, false AS present
  FROM member
  UNION ALL SELECT relid, CASE WHEN ARRAY[tenant_column, id_column] <@ columns THEN 2 WHEN indisprimary THEN 3 ELSE 4 END,
    CASE WHEN indisprimary THEN 'd' ELSE 'i' END::"char", indexrelid, columns, false FROM key
    WHERE pg_catalog.cardinality(columns) = indnkeyatts
  UNION ALL SELECT m.relid, 0, m.identity, NULL, CASE m.identity WHEN 'f' THEN NULL ELSE coalesce((
    SELECT k.columns FROM key k WHERE k.relid = m.relid
    AND (m.identity = 'd' AND k.indisprimary OR m.identity = 'i' AND k.indisreplident)), '{{}}') END, true FROM member m
), judged AS (
  SELECT c.*, why.now, why.published FROM choice c JOIN member m USING (relid) CROSS JOIN LATERAL (
    SELECT pg_catalog.min(w.why) FILTER (WHERE w.contains) AS now, pg_catalog.min(w.why) AS published
    FROM (SELECT p.contains, CASE
      WHEN pg_catalog.cardinality(c.columns) = 0 THEN 'it has no replica identity'
      WHEN c.columns IS NULL AND m.virtual THEN 'it has a virtual generated column, which cannot be published'
      WHEN c.columns IS NULL AND p.columns IS NOT NULL THEN 'publication ' || p.pubname || ' lists only some columns'
      WHEN p.generated <> 's' AND p.columns IS NULL AND
        CASE WHEN c.columns IS NULL THEN m.stored <> '{{}}' ELSE c.columns && m.stored END
        THEN 'publication ' || p.pubname || ' does not publish its generated columns'
      WHEN NOT c.columns <@ p.columns THEN 'publication ' || p.pubname || ' does not list the columns of its identity'
      WHEN NOT p.filter <@ c.columns THEN 'publication ' || p.pubname || ' filters by a column outside its identity'
    END AS why FROM published p WHERE p.relid = c.relid AND (p.contains OR p.ours)) w) why
), states AS (
  SELECT m.publication, m.schema_name, m.table_name, m.root, m.relid, m.relation, m.identity,
    now.columns IS NULL OR m.tenant_column = ANY (now.columns) AS names_tenant,
    now.now AS breaks, now.published IS NULL AND (now.columns IS NULL OR best.rank > 2 OR best.rank = 2
      AND m.tenant_column = ANY (now.columns)) AS fits,
    EXISTS (SELECT FROM published p WHERE p.relid = m.relid AND p.ours AND p.contains) AS published, best.identity AS best,
    (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = best.index) AS best_index,
    (SELECT j.published FROM judged j WHERE j.relid = m.relid AND j.rank = 1) AS full_breaks
  FROM member m JOIN judged now ON now.relid = m.relid AND now.present
  LEFT JOIN LATERAL (SELECT j.* FROM judged j WHERE j.relid = m.relid AND NOT j.present AND j.published IS NULL
    ORDER BY j.rank, j.index LIMIT 1) best ON true
)"""


def states_sql(server_version: int) -> str:
    """Common table expressions after one that is named `captured`; `states` has a row for each table with rows.

    `captured` has publication, schema_name, table_name, tenant_column and id_column; in `states` `breaks` says why an
    UPDATE or DELETE fails now, and `best` is the most complete replica identity with which none would fail while the
    table is published (`f`, `i` with `best_index`, `d`; null where there is none).
    """
    by_schema = (
        "EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s JOIN pg_catalog.pg_class c"
        " ON c.relnamespace = s.pnnspid WHERE s.pnpubid = p.oid AND c.oid = ANY (m.line))"
    )
    return _STATES.format(by_schema=by_schema if server_version >= NAMESPACES_SINCE else "false")


_DOCUMENT = """
SELECT pg_catalog.json_build_object(
  'wal_level', pg_catalog.current_setting('wal_level'),
  'may_replicate', (SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
  'keeps_gaps', EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relname = 'capture_gap'
    AND c.relnamespace = pg_catalog.to_regnamespace('watchfloor')
    AND pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')),
  'publication', (SELECT pg_catalog.json_build_object('all_operations', pubinsert AND pubupdate AND pubdelete,
    'via_root', pubviaroot) FROM pg_catalog.pg_publication WHERE pubname = {publication}),
  'tables', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
    'exists', r.root IS NOT NULL,
    'columns', (SELECT pg_catalog.json_object_agg(a.attname, t.typname) FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      WHERE a.attrelid = r.root AND a.attnum > 0 AND NOT a.attisdropped),
    'published', EXISTS (SELECT FROM pg_catalog.pg_publication p WHERE p.pubname = {publication} AND (p.puballtables OR
      EXISTS (SELECT FROM pg_catalog.pg_publication_rel e WHERE e.prpubid = p.oid AND e.prrelid = r.root){by_schema})),
    'narrowed', EXISTS (SELECT FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel e ON e.prpubid = p.oid
      WHERE p.pubname = {publication} AND e.prrelid = r.root
      AND coalesce(pg_catalog.to_jsonb(e) ->> 'prattrs', pg_catalog.to_jsonb(e) ->> 'prqual') IS NOT NULL),
    'partitioned', EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = r.root AND c.relkind = 'p'),
    'may_read', coalesce(pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace(pg_catalog.quote_ident(r.schema_name)),
      'USAGE') AND pg_catalog.has_table_privilege(r.root, 'SELECT'), false),
    'may_write', coalesce(pg_catalog.has_table_privilege(r.root, 'INSERT, UPDATE, DELETE, TRUNCATE'), false),
    'parts', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('relation', s.relation,
        'identity', s.identity, 'names_tenant', s.names_tenant, 'breaks', s.breaks, 'best', s.best,
        'best_index', s.best_index, 'full_breaks', s.full_breaks, 'fits', s.fits) ORDER BY s.relation), '[]')
      FROM states s WHERE s.root = r.root)) ORDER BY r.nr) FROM root r),
  'slot', (SELECT pg_catalog.json_build_object('active', active, 'wal_status', wal_status, 'backlog_bytes',
      coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint)
    FROM pg_catalog.pg_replication_slots WHERE slot_name = {slot}))
"""

WITHOUT_JIT = "SET jit = off"
"""To run before: compiling the statement would take ten times as long as the statement itself."""
GAPS = (
    "SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('table', table_name, 'reason', reason,"
    " 'since', since, 'until', until) ORDER BY since), '[]') FROM watchfloor.capture_gap WHERE publication = %s"
)
"""The spans in which rows were not captured, if `SourceState.keeps_gaps`."""


class Part(msgspec.Struct, frozen=True):
    """A table with rows: a captured table, or a partition of one."""

    relation: str
    """Schema and name, quoted where needed."""
    identity: Literal["f", "i", "d", "n"]
    names_tenant: bool
    """Whether the old row of a DELETE contains the tenant."""
    breaks: str | None
    """Why UPDATE and DELETE fail now; None where they work."""
    best: Literal["f", "i", "d"] | None
    """The most complete replica identity with which they work; None where there is none."""
    best_index: str | None
    full_breaks: str | None
    """Why they would fail with REPLICA IDENTITY FULL."""
    fits: bool
    """Whether the present identity is as complete as the best one."""


class TableState(msgspec.Struct, frozen=True):
    """One captured table, in the order of `connect.mapping.captured_tables`."""

    exists: bool
    published: bool
    narrowed: bool
    """Whether the publication contains only some of its rows or columns."""
    partitioned: bool
    may_read: bool
    may_write: bool
    parts: list[Part]
    columns: dict[str, str] | None = None
    """Name to PostgreSQL's type."""


class PublicationState(msgspec.Struct, frozen=True):
    """What the publication says of all its tables."""

    all_operations: bool
    """Whether it publishes INSERT, UPDATE and DELETE."""
    via_root: bool
    """Whether partitions are published under the name of their table."""


class SlotState(msgspec.Struct, frozen=True):
    """The replication slot."""

    active: bool
    wal_status: str | None
    backlog_bytes: int

    @property
    def lost(self) -> bool:
        """Whether PostgreSQL has removed log that the slot had not read."""
        return self.wal_status == "lost"


class Gap(msgspec.Struct, frozen=True):
    """A span in which changes of a table were not captured, for good."""

    table: str
    reason: str
    since: str
    until: str | None


class SourceState(msgspec.Struct, frozen=True):
    """All that is known of a database's capture."""

    wal_level: str
    may_replicate: bool
    keeps_gaps: bool
    """Whether `GAPS` can be asked for: not where the database was prepared by hand or by an earlier release."""
    publication: PublicationState | None
    """None if it does not exist."""
    tables: list[TableState]
    slot: SlotState | None
    gaps: list[Gap] = []


def state_query(source: SourceSettings, server_version: int) -> sql.Composed:
    """The statement whose single value `source_state` reads."""
    rows = [
        sql.SQL("({}::int, {}::name, {}::name, {}::name, {}::name, {}::name)").format(
            sql.Literal(nr),
            *map(sql.Literal, (source.publication, table.schema, table.name, table.tenant_column, table.column("id"))),
        )
        for nr, table in enumerate(captured_tables(source))
    ]
    by_schema = (
        " OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s JOIN pg_catalog.pg_class c"
        " ON c.relnamespace = s.pnnspid WHERE s.pnpubid = p.oid AND c.oid = r.root)"
    )
    return sql.SQL(
        "WITH captured (nr, publication, schema_name, table_name, tenant_column, id_column) AS (VALUES {}), {} {}"
    ).format(
        sql.SQL(", ").join(rows),
        sql.SQL(states_sql(server_version)),
        sql.SQL(_DOCUMENT).format(
            publication=sql.Literal(source.publication),
            slot=sql.Literal(source.slot),
            by_schema=sql.SQL(by_schema if server_version >= NAMESPACES_SINCE else ""),
        ),
    )


def source_state(document: Any) -> SourceState:
    """The answer of the database to `state_query`."""
    return msgspec.convert(document, SourceState)


def with_gaps(state: SourceState, gaps: Any) -> SourceState:
    """The same with the answer to `GAPS`."""
    return msgspec.structs.replace(state, gaps=msgspec.convert(gaps, list[Gap]))
