"""A row committed in PostgreSQL becomes a message, through every real joint of the chain.

Also of streams/app.py, streams/probes.py and streams/wiring.py.
"""

import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from support.operator import STREAM, Operator, fresh_id, insert, update
from support.stack import RunningStack
from support.waiting import until

from contracts.topics import TopicNames, partition_of, tenant_key

pytestmark = pytest.mark.timeout(240)
Connection = psycopg.Connection[Any]
TOPICS = TopicNames()


@pytest.fixture
def tenant(stack: RunningStack, connection: Connection) -> int:
    """A tenant of the test's own, with a site, a person and a shift that covers now."""
    tenant = fresh_id()
    now = datetime.now(UTC)
    with stack.processing(tenant=1, client=1, site=1, person=1, assignment=1):
        insert(connection, "tenant", id=tenant, tenant_id=tenant, name="Tenant")
        insert(connection, "client", id=tenant, tenant_id=tenant, name="Client")
        insert(connection, "site", id=tenant, tenant_id=tenant, client_id=tenant, name="Harbour")
        insert(
            connection, "person", id=tenant, tenant_id=tenant, name="Ann Example", phone="+1-555-867-5309",
            email="ann.example@planted.example",
        )  # fmt: skip
        shift = {"shift_start": now - timedelta(hours=1), "shift_end": now + timedelta(hours=1)}
        insert(connection, "assignment", tenant_id=tenant, person_id=tenant, site_id=tenant, **shift)
    return tenant


def check_in(connection: Connection, tenant: int, **columns: Any) -> int:
    row = {"tenant_id": tenant, "site_id": tenant, "person_id": tenant, "verified_person_id": tenant}
    row |= {"event_type": "CHECK_IN", "occurred_at": datetime.now(UTC)} | columns
    return insert(connection, "attendance", **row)


def test_somebody_elses_face_reaches_both_endpoints(stack: RunningStack, connection: Connection, tenant: int) -> None:
    with Operator(stack, tenant) as dashboard, Operator(stack, tenant, STREAM) as stream:
        row = check_in(connection, tenant, verified_person_id=1)
        shown = dashboard.expect("anomaly_detected")
        assert (shown["anomaly_type"], shown["severity"], shown["person_id"]) == ("WRONG_PERSON", "HIGH", tenant)
        assert (shown["person_name"], shown["site_name"]) == ("Ann Example", "Harbour")
        assert 0 < shown["fraud_score"] <= 1
        streamed = stream.expect("anomaly_detected")
        assert streamed["event_id"].startswith(f"attendance:{row}:")
        assert (streamed["findings_count"], streamed["seq"]) == (1, shown["seq"])
        assert streamed["findings"][0]["evidence"] == {"expected_person_id": tenant, "observed_person_id": 1}
        assert streamed["findings"][0]["id"] == shown["anomaly_id"]


def test_a_check_in_without_a_shift_there(stack: RunningStack, connection: Connection, tenant: int) -> None:
    elsewhere = insert(connection, "site", tenant_id=tenant, client_id=tenant, name="Elsewhere")
    with Operator(stack, tenant, STREAM) as stream:
        check_in(connection, tenant, site_id=elsewhere)
        finding = stream.expect("anomaly_detected")["findings"][0]
        assert finding["finding_type"] == "UNAUTHORIZED_SITE"
        assert finding["evidence"]["observed_site_id"] == elsewhere
        assert finding["evidence"]["expected_site_ids"] == [tenant]


def test_a_clean_event_is_shown_as_processed(stack: RunningStack, connection: Connection, tenant: int) -> None:
    with Operator(stack, tenant, STREAM) as stream:
        row = check_in(connection, tenant)
        message = stream.expect("event_processed")
        assert message["event_id"].startswith(f"attendance:{row}:")
        assert message["anomalies_found"] is False
        assert 0 < message["detection_latency_ms"] < 60_000


def test_ticket_status_changes_only(stack: RunningStack, connection: Connection, tenant: int) -> None:
    with Operator(stack, tenant) as dashboard:
        ticket = insert(
            connection,
            "ticket",
            tenant_id=tenant,
            site_id=tenant,
            ticket_no="T-1",
            status="NEW",
            priority="HIGH",
            description="d" * 500,
        )
        update(connection, "ticket", ticket, priority="LOW")
        update(connection, "ticket", ticket, status="OPEN")
        message = dashboard.expect("ticket_updated")
        assert (message["old_status"], message["new_status"], message["ticket_no"]) == ("NEW", "OPEN", "T-1")
        assert len(message["description"]) == 200
        update(connection, "ticket", ticket, status="RESOLVED")
        following = dashboard.expect("ticket_updated")
        assert (following["old_status"], following["seq"]) == ("OPEN", message["seq"] + 1)
        assert following["prev_seq"] == message["seq"]


def test_a_flood_is_dropped_counted_and_reported_once(stack: RunningStack, connection: Connection, tenant: int) -> None:
    other = fresh_id()
    update(connection, "tenant", tenant, max_events_per_second=5)
    with (
        Operator(stack, tenant) as dashboard,
        Operator(stack, tenant, STREAM) as stream,
        Operator(stack, other) as neighbour,
    ):
        with connection.transaction():
            for _ in range(40):
                check_in(connection, tenant, verified_person_id=1)
        insert(connection, "attendance", tenant_id=other, person_id=1, verified_person_id=2)
        neighbour.expect("anomaly_detected")
        report = dashboard.expect("rate_limited")
        scored = sum(message["type"] == "anomaly_detected" for message in dashboard.messages)
        assert (report["dropped"], report["limit"], scored) == (35, 5, 5)
        ticket = insert(connection, "ticket", tenant_id=tenant, status="NEW")
        update(connection, "ticket", ticket, status="OPEN")
        dashboard.expect("ticket_updated", ticket_id=ticket)
        reports = [message for message in dashboard.messages if message["type"] == "rate_limited"]
        assert len(reports) == 1
        assert stream.expect("rate_limited")["seq"] == report["seq"]


def test_tenants_never_see_each_other(stack: RunningStack, connection: Connection, tenant: int) -> None:
    stranger = fresh_id()
    with (
        Operator(stack, tenant) as mine,
        Operator(stack, stranger) as theirs,
        Operator(stack, stranger, STREAM) as stream,
    ):
        check_in(connection, tenant, verified_person_id=1)
        mine.expect("anomaly_detected")
        assert theirs.collect(1.0) == []
        assert stream.collect(0.2) == []


def test_snapshot_and_deletes_never_alert(stack: RunningStack, connection: Connection, tenant: int) -> None:
    with Operator(stack, tenant) as dashboard:
        row = check_in(connection, tenant, verified_person_id=1)
        first = dashboard.expect("anomaly_detected")
        connection.execute("DELETE FROM public.attendance WHERE id = %s", [row])
        check_in(connection, tenant, verified_person_id=1)
        assert dashboard.expect("anomaly_detected")["seq"] == first["seq"] + 1


def test_malformed_records_go_to_the_dead_letters_and_their_neighbours_are_processed(
    stack: RunningStack, connection: Connection, tenant: int
) -> None:
    producer = Producer(stack.kafka_client())
    topic, partition = TOPICS.captured("attendance"), partition_of(tenant, stack.settings.kafka.partitions)
    with Operator(stack, tenant) as dashboard:
        check_in(connection, tenant, verified_person_id=1)
        before = dashboard.expect("anomaly_detected")
        for value in (b"no json", b'{"op":"c","after":{"id":"seven","tenant_id":1}}', b""):
            producer.produce(topic, value, tenant_key(tenant), partition)
        producer.flush(10)
        check_in(connection, tenant, verified_person_id=1)
        assert dashboard.expect("anomaly_detected")["seq"] == before["seq"] + 1
    letters = dead_letters(stack, partition, tenant)
    assert [letter["value"] for letter in letters] == [
        b"no json",
        b'{"op":"c","after":{"id":"seven","tenant_id":1}}',
        b"",
    ]
    assert {letter["source_topic"] for letter in letters} == {topic.encode()}
    assert all(letter["reason"] and letter["exception_class"] and letter["correlation_id"] for letter in letters)


def test_one_tenants_absurd_rows_stop_nobody(stack: RunningStack, connection: Connection, tenant: int) -> None:
    other, before = fresh_id(), stack.pid("worker")
    with Operator(stack, tenant) as dashboard, Operator(stack, other) as neighbour:
        connection.execute(
            "INSERT INTO public.attendance (id, tenant_id, person_id, occurred_at)"
            " SELECT %s + n, %s, 1, 'infinity' FROM generate_series(1, 150) n",
            [fresh_id() * 1_000, tenant],
        )
        insert(connection, "attendance", tenant_id=other, person_id=1, verified_person_id=2)
        neighbour.expect("anomaly_detected")
        check_in(connection, tenant, verified_person_id=1)
        dashboard.expect("anomaly_detected")
    assert stack.pid("worker") == before
    partition = partition_of(tenant, stack.settings.kafka.partitions)
    # The others are reported together, at the end of the interval (tests/hostile/worker).
    assert len(dead_letters(stack, partition, tenant)) == stack.settings.worker.feed.dead_letters_per_tenant_max


def dead_letters(stack: RunningStack, partition: int, tenant: int) -> list[dict[str, bytes]]:
    """The dead letters of a tenant so far, headers and value."""
    consumer = Consumer(stack.kafka_client(group_id="test", enable_auto_commit=False))
    place = TopicPartition(TOPICS.dead_letters, partition, 0)
    consumer.assign([place])
    end = consumer.get_watermark_offsets(place)[1]
    found: list[dict[str, bytes]] = []

    def read_on() -> bool:
        ours = [message for message in consumer.consume(100, 0.5) if message.key() == tenant_key(tenant)]
        found.extend(dict(message.headers()) | {"value": message.value() or b""} for message in ours)
        return consumer.position([place])[0].offset >= end

    until(read_on, "the dead letters are read")
    consumer.close()
    return found


@pytest.mark.parametrize("process", ["worker", "gateway"])
def test_a_killed_process_comes_back_and_nothing_is_lost_or_repeated(
    stack: RunningStack, connection: Connection, tenant: int, process: str
) -> None:
    with Operator(stack, tenant) as dashboard:
        check_in(connection, tenant, verified_person_id=1)
        first = dashboard.expect("anomaly_detected")
    stack.restart(process)
    with Operator(stack, tenant) as dashboard:
        assert dashboard.greeting["seq"] == first["seq"]
        assert dashboard.greeting["epoch"]
        check_in(connection, tenant, verified_person_id=1)
        assert dashboard.expect("anomaly_detected")["seq"] == first["seq"] + 1


def test_what_was_committed_while_the_worker_was_down_is_found_when_it_is_back(
    stack: RunningStack, connection: Connection, tenant: int
) -> None:
    with Operator(stack, tenant) as dashboard:
        check_in(connection, tenant, verified_person_id=1)
        first = dashboard.expect("anomaly_detected")
        os.kill(stack.pid("worker"), signal.SIGKILL)
        rows = [check_in(connection, tenant, verified_person_id=1) for _ in range(20)]
        seqs = [dashboard.expect("anomaly_detected", timeout_s=60)["seq"] for _ in rows]
        assert seqs == list(range(first["seq"] + 1, first["seq"] + 21))
        assert dashboard.collect(1.0) == []
    until(lambda: stack.is_ready("worker"), "the worker is ready again", within_s=60)
