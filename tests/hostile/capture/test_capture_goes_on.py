"""What arrives in Kafka after DDL of the application: with a real connector, in its next second and after a restart."""

import json
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from support.capture_databases import Database, own_connector, owners_session, writes_fail
from support.waiting import until

from common.kafka import librdkafka_config
from common.settings.load import Settings
from connect.apply import apply_connector
from connect.schema import apply_schema

DDL = {
    "ticket": ["ALTER TABLE ticket ADD COLUMN urgent boolean GENERATED ALWAYS AS (priority = 'CRITICAL') STORED"],
    "site": [
        "ALTER TABLE site ADD COLUMN floors integer NOT NULL DEFAULT 3, ADD COLUMN opened date NOT NULL DEFAULT now()",
        "ALTER TABLE site ADD COLUMN label text GENERATED ALWAYS AS (name || '!') VIRTUAL",
    ],
    "work_order": [
        "ALTER TABLE work_order ADD UNIQUE (tenant_id, id)",
        "ALTER TABLE work_order ADD COLUMN done boolean GENERATED ALWAYS AS (status = 'DONE') VIRTUAL",
    ],
    "device": [
        "CREATE TABLE device_new (LIKE device INCLUDING ALL)",
        "ALTER TABLE device RENAME TO device_old",
        "ALTER TABLE device_new RENAME TO device",
    ],
    "client": ["DROP TABLE client", "CREATE TABLE client (id bigint, tenant_id bigint, name text)"],
}


class Topics:
    """All records of the captured topics, by table, as they arrive."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer(librdkafka_config(settings.kafka, group_id="goes-on"))
        self._consumer.assign(
            [
                TopicPartition(f"{settings.kafka.topic_prefix}.public.{table}", number, OFFSET_BEGINNING)
                for table in DDL
                for number in range(settings.kafka.partitions)
            ]
        )
        self.found: dict[str, list[tuple[Any, Any]]] = {table: [] for table in DDL}

    def read(self, count: int) -> bool:
        """Whether so many have arrived of each table."""
        while (record := self._consumer.poll(0.1)) is not None:
            table = str(record.topic()).rpartition(".")[2]
            self.found[table].append((json.loads(record.key() or b"null"), json.loads(record.value() or b"null")))
        return all(len(found) >= count for found in self.found.values())

    def close(self) -> None:
        """Done."""
        self._consumer.close()


def write(owner: Database, table: str, row_id: int) -> None:
    assert writes_fail(owner, table, "(id, tenant_id) VALUES (99, 4)") == []
    name = table.encode()
    owner.execute(b"INSERT INTO %s (id, tenant_id) VALUES (%d, 4)" % (name, row_id))
    owner.execute(b"UPDATE %s SET id = id WHERE id = %d" % (name, row_id))
    owner.execute(b"DELETE FROM %s WHERE id = %d" % (name, row_id))


def test_changes_arrive_after_it(scratch: Settings) -> None:
    apply_schema(scratch.source)
    with owners_session(scratch.source) as owner, own_connector(scratch):
        apply_connector(scratch)
        topics = Topics(scratch)
        for table in DDL:
            write(owner, table, 1)
        until(lambda: topics.read(3), "the changes before the DDL arrive")
        for table, statements in DDL.items():
            for statement in statements:
                owner.execute(statement.encode())
            write(owner, table, 2)
        until(lambda: topics.read(6), "the changes after the DDL arrive")
        topics.close()
    for table, found in topics.found.items():
        assert [change["op"] for _, change in found] == ["c", "u", "d"] * 2, table
        created, updated, deleted = found[3:]
        assert created[0] == updated[0] == {"tenant_id": 4}
        assert (created[1]["after"]["id"], updated[1]["after"]["id"], deleted[1]["before"]["id"]) == (2, 2, 2)
        if table in ("ticket", "device", "client"):
            assert updated[1]["before"] == updated[1]["after"]
        # Without any key that contains it, a delete cannot name its tenant; the doctor says so.
        assert deleted[0] == {"tenant_id": 0 if table == "site" else 4}
