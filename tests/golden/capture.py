"""Captures the golden envelopes of this directory anew from a running stack, through the real connector.

    ./run demo                                                    # or: ./run up
    ./run python tests/golden/capture.py <state-dir>/watchfloor.toml

It works in a database, a role, two connectors and topics of its own (`watchfloor_golden`, prefix
`golden`) and removes them afterwards; the stack's own data is not touched. Each file holds one record:
topic, partition, key (exact text), value (as JSON), and the mapped columns where there are any. Run it
after every Debezium upgrade and read the difference.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from common.credentials import connect_sign_in
from common.kafka import librdkafka_config
from common.settings.load import Settings, load_settings
from common.settings.source import TableMapping
from connect.apply import apply_connector
from connect.schema import apply_schema
from connect.slot import drop_slot
from contracts.topics import TopicNames
from streams.topics import ensure_topics

HERE = Path(__file__).parent
NAME = "watchfloor_golden"
PREFIX = "golden"
WAIT_S = 20.0

MAPPING = {
    "tenant": TableMapping(table="crm.bt", columns={"tenant_id": "id", "name": "buname"}),
    "attendance": TableMapping(
        table="crm.people_event_log",
        columns={
            "tenant_id": "bu_id",
            "event_type": "kind",
            "occurred_at": "punched_at",
            "latitude": "lat",
            "longitude": "lon",
            "verified_person_id": "face_id",
        },
    ),
    "ticket": TableMapping(
        table="crm.Ticket",
        # The customer's `status` is our priority and the other way round.
        columns={"tenant_id": "client_id", "status": "priority", "priority": "status", "description": "ticketdesc"},
    ),
}
CUSTOMER_TABLES = """
CREATE SCHEMA crm;
CREATE TABLE crm.bt (id integer PRIMARY KEY, buname varchar(60) NOT NULL);
CREATE TABLE crm.people_event_log (
    id bigserial PRIMARY KEY, bu_id integer NOT NULL, site_id integer, person_id bigint, face_id bigint, kind varchar(20),
    punched_at timestamp, lat numeric(9,6), lon numeric(9,6), accuracy_m real, photo bytea);
CREATE TABLE crm."Ticket" (
    id bigint PRIMARY KEY, client_id bigint NOT NULL, priority text, status text, ticketdesc text, tags text[]);
ALTER TABLE crm."Ticket" ALTER COLUMN ticketdesc SET STORAGE EXTERNAL;
INSERT INTO crm.bt VALUES (3, 'Acme');
"""

# Rows that are there before the connector: the snapshot reads them.
BEFORE = """
INSERT INTO tenant (id, name, timezone) VALUES (7, 'Northgate', 'Europe/Berlin');
INSERT INTO ticket (id, tenant_id, site_id, ticket_no, status, priority, created_at, updated_at)
VALUES (1, 7, 71, 'T-1', 'OPEN', 'HIGH', '2026-03-01 08:00+00', '2026-03-01 08:00+00');
ALTER TABLE ticket ALTER COLUMN description SET STORAGE EXTERNAL;
"""

# A text of 2100 characters is past the size at which PostgreSQL stores it apart from its row.
# name of the golden file, canonical table of the record to keep, statement
STEPS: list[tuple[str, str, str]] = [
    ("insert_tenant", "tenant", ("INSERT INTO tenant (id, name, timezone, max_events_per_second)"
     " VALUES (8, 'Südhang GmbH', 'Europe/Zurich', 250)")),
    ("insert_client", "client", "INSERT INTO client VALUES (70, 7, 'Harbour Mall')"),
    ("insert_site", "site", ("INSERT INTO site VALUES (71, 7, 70, 'Gate 4', 52.520008, 13.404954, 150,"
     """ '{"type":"Polygon","coordinates":[[[13.4,52.5],[13.5,52.5],[13.5,52.6],[13.4,52.5]]]}', 'Europe/Berlin')""")),
    ("insert_person", "person", "INSERT INTO person VALUES (72, 7, 'Ana \"Q\" Łuczak 🙂', '+15550100', 'ana@example.com')"),
    ("insert_assignment", "assignment", ("INSERT INTO assignment VALUES"
     " (73, 7, 72, 71, '2026-03-02 06:00:00+01', '2026-03-02 14:00:00.5+01')")),
    ("insert_policy", "policy", ("INSERT INTO policy VALUES (80, 7, NULL, 71, 'ticket_sla_breach',"
     """ '{"high_hours_max": 1.5, "enabled": true}')""")),
    ("insert_device", "device", ("INSERT INTO device VALUES (74, 7, 71, 'phone 4', 'ONLINE',"
     " '2026-03-02 05:00:00.123456+00', 87.5)")),
    ("insert_attendance", "attendance", ("INSERT INTO attendance VALUES (75, 7, 71, 72, 99, 74, 'CHECK_IN',"
     " '2026-03-02 05:01:02.123456+00', -33.865143, 151.2099, 4.25)")),
    ("insert_jobneed", "jobneed", ("INSERT INTO jobneed VALUES (76, 7, 71, 72, 'TOUR', 'Night tour', 'ASSIGNED',"
     " '2026-03-02 22:00Z', '2026-03-02 23:00Z', NULL, NULL, 12, 0)")),
    ("insert_location", "location", ("INSERT INTO location VALUES (77, 7, 72, 71, 74, 1e-7, -0.0, 3, 1.5, false,"
     " '2026-03-02 05:01:03Z')")),
    ("insert_ticket", "ticket", ("INSERT INTO ticket VALUES (2, 7, 71, 'T-2', 'NEW', 'LOW', NULL, 'Door ajar', 0,"
     " '2026-03-02 05:00Z', '2026-03-02 05:00Z')")),
    ("insert_work_order", "work_order", ("INSERT INTO work_order VALUES (78, 7, 71, 'OPEN', 'Otis',"
     " '2026-03-05 12:00Z', '2026-03-02 05:00Z', '2026-03-02 05:00Z')")),
    ("insert_nulls", "attendance", "INSERT INTO attendance (id, tenant_id) VALUES (79, 7)"),
    ("insert_extremes", "attendance", ("INSERT INTO attendance (id, tenant_id, site_id, occurred_at, latitude, longitude)"
     " VALUES (9223372036854775807, 7, -9223372036854775808, '0001-01-01 00:00Z', 1.7976931348623157e308, 5e-324)")),
    ("update_ticket", "ticket", "UPDATE ticket SET status = 'RESOLVED' WHERE id = 1"),
    ("insert_long_text", "ticket", "INSERT INTO ticket (id, tenant_id, status, description) VALUES (3, 7, 'NEW', repeat('x', 2100))"),
    ("update_unchanged_long_text", "ticket", "UPDATE ticket SET status = 'OPEN' WHERE id = 3"),
    ("delete_ticket", "ticket", "DELETE FROM ticket WHERE id = 2"),
    ("update_of_tenant_delete", "ticket", "UPDATE ticket SET tenant_id = 27 WHERE id = 1"),
    # The key changes, so Debezium makes two records of one update.
    ("update_of_tenant_insert", "ticket", ""),
    ("update_of_id", "ticket", "UPDATE ticket SET id = 6 WHERE id = 3"),
    ("insert_column_added", "ticket", ("ALTER TABLE ticket ADD COLUMN colour text DEFAULT 'red';"
     " INSERT INTO ticket (id, tenant_id, status) VALUES (4, 7, 'NEW')")),
    ("insert_column_dropped", "ticket", ("ALTER TABLE ticket DROP COLUMN priority, DROP COLUMN colour;"
     " INSERT INTO ticket (id, tenant_id, status) VALUES (5, 7, 'NEW')")),
    ("refused_wrong_type", "site", ("ALTER TABLE site ALTER COLUMN latitude TYPE text USING 'north';"
     " UPDATE site SET latitude = 'north' WHERE id = 71")),
    ("refused_not_a_number", "location", "UPDATE location SET latitude = 'NaN' WHERE id = 77"),
    ("update_repairs", "location", "UPDATE location SET latitude = 1 WHERE id = 77"),
    ("refused_infinite_time", "location", "UPDATE location SET recorded_at = 'infinity' WHERE id = 77"),
    ("refused_year_10000", "device", "UPDATE device SET last_seen = '10000-01-01 00:00Z' WHERE id = 74"),
]  # fmt: skip

MAPPED_STEPS: list[tuple[str, str, str]] = [
    ("mapped_insert_tenant", "tenant", "INSERT INTO crm.bt VALUES (4, 'Beta')"),
    ("mapped_insert_attendance", "attendance", ("INSERT INTO crm.people_event_log VALUES"
     " (1, 3, 31, 32, 33, 'CHECK_IN', '2026-03-02 05:01:02.25', 12.971599, 77.594566, 4.5, 'ab')")),
    ("mapped_insert_ticket", "ticket", "INSERT INTO crm.\"Ticket\" VALUES (1, 3, 'OPEN', 'HIGH', repeat('x', 2100), '{a,b}')"),
    # The database's owner has taken the full identity back: what cannot be known is said to be unavailable.
    ("mapped_update_unavailable", "ticket", ('ALTER TABLE crm."Ticket" REPLICA IDENTITY DEFAULT;'
     " UPDATE crm.\"Ticket\" SET priority = 'CLOSED' WHERE id = 1")),
    ("mapped_refused_delete_without_tenant", "ticket", 'DELETE FROM crm."Ticket" WHERE id = 1'),
]  # fmt: skip


def main(config: Path) -> None:
    """Capture every golden envelope with the stack that this settings file describes."""
    stack = load_settings(config)
    for path in HERE.glob("*.json"):
        path.unlink()
    with _database(stack) as settings:
        _run(settings, BEFORE, [("snapshot_tenant", "tenant", ""), ("snapshot_ticket", "ticket", "")], STEPS)
        mapped = settings.model_copy(
            update={
                "source": settings.source.model_copy(
                    update={"tables": MAPPING, "slot": f"{NAME}_m", "publication": f"{NAME}_m"}
                ),
                "connect": settings.connect.model_copy(update={"connector": f"{NAME}_m"}),
                "kafka": settings.kafka.model_copy(update={"topic_prefix": f"{PREFIX}-m"}),
            }
        )
        _run(mapped, CUSTOMER_TABLES, [("mapped_snapshot_tenant", "tenant", "")], MAPPED_STEPS)


def _run(
    settings: Settings, before: str, snapshot: list[tuple[str, str, str]], steps: list[tuple[str, str, str]]
) -> None:
    dsn = _admin(settings)
    if not settings.source.tables:
        apply_schema(settings.source)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(before)
        apply_schema(settings.source)
        ensure_topics(settings.kafka)
        reader = _Reader(settings)
        apply_connector(settings, new_snapshot=True)  # a position may be left from an earlier run
        try:
            for name, table, statement in [*snapshot, *steps]:
                if statement:
                    connection.execute(statement)
                _write(name, table, reader.next_of(table), settings)
        finally:
            connect = settings.connect
            httpx.delete(f"{connect.url}/connectors/{connect.connector}", timeout=10, auth=connect_sign_in(connect))
            reader.close()
            drop_slot(settings.source)
            admin = AdminClient(librdkafka_config(settings.kafka))
            mine = [
                name for name in admin.list_topics(timeout=10).topics if settings.kafka.topic_prefix in name.split(".")
            ]
            for deleted in admin.delete_topics(mine).values():
                deleted.result()


class _Reader:
    """Reads every captured topic from its start."""

    def __init__(self, settings: Settings) -> None:
        names = TopicNames(settings.kafka.topic_prefix)
        self._consumer = Consumer(librdkafka_config(settings.kafka, group_id=NAME, enable_auto_commit=False))
        topics = [spec.name for spec in names.all_specs() if ".public." in spec.name]
        self._consumer.assign(
            [TopicPartition(topic, partition, 0) for topic in topics for partition in range(settings.kafka.partitions)]
        )
        self._waiting: dict[str, list[Any]] = {}

    def next_of(self, table: str) -> Any:
        """The next record of a table's topic."""
        deadline = time.monotonic() + WAIT_S
        while not self._waiting.get(table):
            record = self._consumer.poll(0.2)
            if record is not None and record.error() is None:
                self._waiting.setdefault(str(record.topic()).rpartition(".")[2], []).append(record)
            if time.monotonic() > deadline:
                raise SystemExit(f"no record of {table} arrived in {WAIT_S} s")
        return self._waiting[table].pop(0)

    def close(self) -> None:
        self._consumer.close()


def _write(name: str, table: str, record: Any, settings: Settings) -> None:
    golden = {
        "table": table,
        "columns": settings.source.tables[table].columns if settings.source.tables else {},
        "topic": record.topic(),
        "partition": record.partition(),
        "partitions": settings.kafka.partitions,
        "key": record.key().decode(),
        "value": json.loads(record.value()),
    }
    (HERE / f"{name}.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(name)


@contextmanager
def _database(stack: Settings) -> Iterator[Settings]:
    """A database and a capture role of our own on the stack's server."""
    with psycopg.connect(_admin(stack), autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {NAME}")
        server.execute(f"CREATE DATABASE {NAME}")
        dsn = psycopg.conninfo.make_conninfo(_admin(stack), dbname=NAME)
        source = stack.source.model_copy(
            update={
                "database": NAME,
                "user": NAME,
                "password": SecretStr(NAME),
                "admin_dsn": SecretStr(dsn),
                "slot": NAME,
                "publication": NAME,
                "tables": {},
            }
        )
        connect = stack.connect.model_copy(update={"connector": NAME, "source_password_reference": None})
        try:
            yield stack.model_copy(
                update={
                    "source": source,
                    "connect": connect,
                    "kafka": stack.kafka.model_copy(update={"topic_prefix": PREFIX}),
                }
            )
        finally:
            server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
            server.execute(f"DROP ROLE IF EXISTS {NAME}")


def _admin(settings: Settings) -> str:
    if settings.source.admin_dsn is None:
        raise SystemExit("the settings file has no source.admin_dsn")
    return settings.source.admin_dsn.get_secret_value()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
