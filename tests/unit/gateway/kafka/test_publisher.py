"""The gateway's producer never waits: receipts give way, audit records end in the log at worst; all is counted.

Also of gateway/delivery/outlets.py.
"""

import asyncio

import msgspec
import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs
from support.fake_kafka import FakeCluster, FakeProducer

from common.settings.kafka import KafkaSettings
from contracts.audit import AuditRecord, decode_audit
from contracts.receipts import ReceiptBatch, Run, SeenMark, decode_receipts
from contracts.topics import TopicNames, partition_of
from gateway.delivery.outlets import AuditOutlet, ReceiptsOutlet
from gateway.kafka.publisher import Publisher
from gateway.metrics import GatewayMetrics


class Writer:
    """A publisher with the gateway's outlets."""

    def __init__(self, broker: FakeProducer, **limits: int) -> None:
        self.metrics = GatewayMetrics()
        names = TopicNames()
        self.receipts = ReceiptsOutlet(names, limits.get("receipts_bytes_max", 1 << 20), self.metrics)
        self.audit = AuditOutlet(names, limits.get("audit_records_max", 1_000), self.metrics)
        cluster = FakeCluster(KafkaSettings(partitions=4), producer=broker)
        self.publisher = Publisher(cluster, (self.audit, self.receipts), self.metrics, stop_s_max=1)

    def write(self, record: ReceiptBatch | AuditRecord) -> None:
        if isinstance(record, ReceiptBatch):
            self.publisher.publish(self.receipts, record)
        else:
            self.publisher.publish(self.audit, record)

    def count(self, name: str, result: str) -> float:
        name = f"watchfloor_gateway_{name}_records_total"
        return self.metrics.registry.get_sample_value(name, {"result": result}) or 0.0


def batch(tenant: int = 3, seq: int = 1) -> ReceiptBatch:
    mark = SeenMark(user="ops", id="x", at="2026-01-01T00:00:00Z")
    return ReceiptBatch(
        tenant_id=tenant,
        gateway="g",
        at="2026-01-01T00:00:00Z",
        epoch="e",
        runs=[Run(seq, seq, 1)],
        seen=[mark],
    )


def audit_record(number: int = 0, tenant: int | None = None) -> AuditRecord:
    return AuditRecord(
        time="2026-01-01T00:00:00Z",
        gateway="g",
        action="sign_in",
        allowed=False,
        reason=f"number {number}",
        tenant_id=tenant,
        subject="valerie@example.com",
        peer="203.0.113.9",
    )


def test_records_go_where_everything_of_their_tenant_is() -> None:
    broker = FakeProducer()
    writer = Writer(broker)
    writer.write(batch(tenant=3))
    writer.write(audit_record(tenant=7))
    writer.write(audit_record())
    receipts, audit, stranger = broker.taken
    assert (receipts["topic"], receipts["key"]) == ("noc.receipts", b'{"tenant_id":3}')
    assert (receipts["partition"], receipts["headers"]) == (partition_of(3, 4), [("holds", b"seen")])
    assert decode_receipts(receipts["value"]) == batch(tenant=3)
    assert (audit["topic"], audit["partition"]) == ("noc.audit", partition_of(7, 4))
    assert decode_audit(audit["value"]) == audit_record(tenant=7)
    assert stranger["key"] == b'{"tenant_id":null}'
    writer.publisher.serve()
    assert writer.count("receipt", "written") == 1
    assert writer.count("audit", "written") == 2
    assert writer.publisher.waiting == {"receipts": 0, "audit": 0}


def test_without_a_broker_the_oldest_receipts_go_and_are_counted() -> None:
    broker = FakeProducer(room=0)
    writer = Writer(broker, receipts_bytes_max=1_000)
    for seq in range(1, 101):
        writer.write(batch(seq=seq))
    dropped = writer.count("receipt", "dropped")
    assert 0 < dropped == 100 - writer.publisher.waiting["receipts"]
    broker.room = 10_000
    writer.publisher.serve()
    assert [decode_receipts(record["value"]).runs[0].first for record in broker.taken] == list(
        range(int(dropped) + 1, 101)
    )


def test_an_audit_record_without_room_is_in_the_log_without_who_it_was() -> None:
    broker = FakeProducer(room=0)
    writer = Writer(broker, audit_records_max=5)
    with capture_logs() as logs:
        for number in range(8):
            writer.write(audit_record(number))
    assert [line["audit"]["reason"] for line in logs] == ["number 5", "number 6", "number 7"]
    assert "valerie" not in str(logs)
    assert "203.0.113.9" not in str(logs)
    assert writer.count("audit", "log_only") == 3
    broker.room = 10
    writer.publisher.serve()
    assert [decode_audit(record["value"]).reason for record in broker.taken] == [f"number {n}" for n in range(5)]


@pytest.mark.parametrize("at_once", [True, False])
def test_what_the_broker_will_never_take_blocks_nothing(at_once: bool) -> None:
    broker = FakeProducer()
    broker.answers = False
    writer = Writer(broker)
    error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    broker.refuses = error if at_once else None
    with capture_logs() as logs:
        writer.write(audit_record(1))
        writer.write(batch())
        broker.answer(error)
    assert [line["audit"]["reason"] for line in logs] == ["number 1"]
    assert writer.count("receipt", "dropped") == 1
    assert writer.publisher.waiting == {"receipts": 0, "audit": 0}
    broker.refuses = None
    writer.write(audit_record(2))
    assert decode_audit(broker.taken[-1]["value"]).reason == "number 2"


def test_what_is_under_way_has_a_bound() -> None:
    broker = FakeProducer()
    broker.answers = False
    writer = Writer(broker)
    for seq in range(2_000):
        writer.write(batch(seq=seq))
    assert len(broker.unanswered) == 500
    broker.answer()
    writer.publisher.serve()
    assert len(broker.taken) == 1_000


def test_a_stop_waits_for_the_broker_but_not_for_ever() -> None:
    broker = FakeProducer()
    broker.answers = False
    writer = Writer(broker)
    for number in range(700):
        writer.write(audit_record(number))
    with capture_logs() as logs:
        asyncio.run(asyncio.wait_for(writer.publisher.close(), 5))
    said = [line["audit"]["reason"] for line in logs if "audit" in line and isinstance(line["audit"], dict)]
    assert sorted(said) == sorted(f"number {number}" for number in range(700))
    assert writer.count("audit", "log_only") == 700

    broker = FakeProducer()
    writer = Writer(broker)
    for number in range(700):
        writer.write(audit_record(number))
    asyncio.run(asyncio.wait_for(writer.publisher.close(), 5))
    assert writer.count("audit", "written") == 700


def test_a_single_record_always_has_room() -> None:
    outlet = ReceiptsOutlet(TopicNames(), 10, GatewayMetrics())
    outlet.add(batch(seq=1))
    outlet.add(batch(seq=2))
    assert (len(outlet.queue), outlet.queued_bytes > 10) == (1, True)
    assert (outlet.pop(), outlet.queued_bytes) == (batch(seq=2), 0)


@pytest.mark.parametrize("wrong", ["\ud800", object()], ids=["surrogate", "object"])
def test_what_cannot_be_encoded_costs_itself_only(wrong: object) -> None:
    broker = FakeProducer()
    writer = Writer(broker)
    with capture_logs() as logs:
        writer.write(msgspec.structs.replace(audit_record(), subject=wrong, peer=wrong))
        writer.write(msgspec.structs.replace(batch(), epoch=wrong))
    writer.write(audit_record(1))
    assert [decode_audit(taken["value"]).reason for taken in broker.taken] == ["number 1"]
    assert (writer.count("audit", "log_only"), writer.count("receipt", "dropped")) == (1, 1)
    assert all(entry["why"].startswith("it cannot be encoded") for entry in logs)
