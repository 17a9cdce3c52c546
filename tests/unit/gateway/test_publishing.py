"""The gateway's producer never waits: receipts give way, audit records end in the log at worst; all is counted."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs
from support.changed_settings import changed

from common.settings.gateway import GatewaySettings
from common.settings.kafka import KafkaSettings
from contracts.audit import AuditRecord, decode_audit
from contracts.receipts import ReceiptBatch, Run, SeenMark, decode_receipts
from contracts.topics import partition_of
from gateway.kafka.publisher import Outgoing, Publisher, Waiting
from gateway.metrics import GatewayMetrics


class Broker:
    """Takes up to `room` records, and acknowledges them when a test says so."""

    def __init__(self, room: int = 10_000) -> None:
        self.room = room
        self.taken: list[dict[str, Any]] = []
        self.unanswered: list[Callable[..., None]] = []
        self.refuses: KafkaError | None = None
        self.answers = True

    def produce(self, topic: str, *, on_delivery: Callable[..., None], **record: Any) -> None:
        if self.refuses is not None:
            raise KafkaException(self.refuses)
        if len(self.unanswered) >= self.room:
            raise BufferError
        self.taken.append({"topic": topic, **record})
        self.unanswered.append(on_delivery)

    def answer(self, error: KafkaError | None = None) -> None:
        waiting, self.unanswered = self.unanswered, []
        for answered in waiting:
            answered(error, None)

    def poll(self, timeout: float) -> int:
        assert timeout == 0
        if self.answers:
            self.answer()
        return 0

    def flush(self, timeout: float) -> int:
        assert timeout <= 0.1
        return len(self.unanswered)

    def purge(self) -> None:
        self.answers = False
        self.answer(KafkaError(KafkaError._PURGE_QUEUE))


def publisher(broker: Broker, **limits: Any) -> tuple[Publisher, GatewayMetrics]:
    metrics = GatewayMetrics()
    settings = changed(GatewaySettings(), {"drain.publish_s_max": 1} | limits)
    return Publisher(KafkaSettings(partitions=4), settings, metrics, broker), metrics


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


def count(metrics: GatewayMetrics, name: str, result: str) -> float:
    return metrics.registry.get_sample_value(name, {"result": result}) or 0.0


def test_records_go_where_everything_of_their_tenant_is() -> None:
    broker = Broker()
    writer, metrics = publisher(broker)
    writer.receipts(batch(tenant=3))
    writer.audit(audit_record(tenant=7))
    writer.audit(audit_record())
    receipts, audit, stranger = broker.taken
    assert (receipts["topic"], receipts["key"]) == ("noc.receipts", b'{"tenant_id":3}')
    assert (receipts["partition"], receipts["headers"]) == (partition_of(3, 4), [("holds", b"seen")])
    assert decode_receipts(receipts["value"]) == batch(tenant=3)
    assert (audit["topic"], audit["partition"]) == ("noc.audit", partition_of(7, 4))
    assert decode_audit(audit["value"]) == audit_record(tenant=7)
    assert stranger["key"] == b'{"tenant_id":null}'
    writer.serve()
    assert count(metrics, "watchfloor_gateway_receipt_records_total", "written") == 1
    assert count(metrics, "watchfloor_gateway_audit_records_total", "written") == 2
    assert writer.waiting == {"receipts": 0, "audit": 0}


def test_without_a_broker_the_oldest_receipts_go_and_are_counted() -> None:
    broker = Broker(room=0)
    writer, metrics = publisher(broker, **{"receipts.queue_bytes_max": 1_000})
    for seq in range(1, 101):
        writer.receipts(batch(seq=seq))
    dropped = count(metrics, "watchfloor_gateway_receipt_records_total", "dropped")
    assert 0 < dropped == 100 - writer.waiting["receipts"]
    broker.room = 10_000
    writer.serve()
    assert [decode_receipts(record["value"]).runs[0].first for record in broker.taken] == list(
        range(int(dropped) + 1, 101)
    )


def test_an_audit_record_without_room_is_in_the_log_without_who_it_was() -> None:
    broker = Broker(room=0)
    writer, metrics = publisher(broker, **{"audit.queue_records_max": 5})
    with capture_logs() as logs:
        for number in range(8):
            writer.audit(audit_record(number))
    assert [line["audit"]["reason"] for line in logs] == ["number 5", "number 6", "number 7"]
    assert "valerie" not in str(logs)
    assert "203.0.113.9" not in str(logs)
    assert count(metrics, "watchfloor_gateway_audit_records_total", "log_only") == 3
    broker.room = 10
    writer.serve()
    assert [decode_audit(record["value"]).reason for record in broker.taken] == [f"number {n}" for n in range(5)]


@pytest.mark.parametrize("at_once", [True, False])
def test_what_the_broker_will_never_take_blocks_nothing(at_once: bool) -> None:
    broker = Broker()
    broker.answers = False
    writer, metrics = publisher(broker)
    error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    broker.refuses = error if at_once else None
    with capture_logs() as logs:
        writer.audit(audit_record(1))
        writer.receipts(batch())
        broker.answer(error)
    assert [line["audit"]["reason"] for line in logs] == ["number 1"]
    assert count(metrics, "watchfloor_gateway_receipt_records_total", "dropped") == 1
    assert writer.waiting == {"receipts": 0, "audit": 0}
    broker.refuses = None
    writer.audit(audit_record(2))
    assert decode_audit(broker.taken[-1]["value"]).reason == "number 2"


def test_what_is_under_way_has_a_bound() -> None:
    broker = Broker()
    broker.answers = False
    writer, _ = publisher(broker)
    for seq in range(2_000):
        writer.receipts(batch(seq=seq))
    assert len(broker.unanswered) == 500
    broker.answer()
    writer.serve()
    assert len(broker.taken) == 1_000


def test_a_stop_waits_for_the_broker_but_not_for_ever() -> None:
    broker = Broker()
    broker.answers = False
    writer, metrics = publisher(broker)
    for number in range(700):
        writer.audit(audit_record(number))
    with capture_logs() as logs:
        asyncio.run(asyncio.wait_for(writer.close(), 5))
    said = [line["audit"]["reason"] for line in logs if "audit" in line and isinstance(line["audit"], dict)]
    assert sorted(said) == sorted(f"number {number}" for number in range(700))
    assert count(metrics, "watchfloor_gateway_audit_records_total", "log_only") == 700

    broker = Broker()
    writer, metrics = publisher(broker)
    for number in range(700):
        writer.audit(audit_record(number))
    asyncio.run(asyncio.wait_for(writer.close(), 5))
    assert count(metrics, "watchfloor_gateway_audit_records_total", "written") == 700


def test_a_single_record_always_has_room() -> None:
    waiting = Waiting(10)
    large = Outgoing("t", b"k", b"x" * 100)
    assert waiting.put(large) == 0
    assert waiting.put(Outgoing("t", b"k", b"y")) == 1
    assert (len(waiting), waiting.bytes, waiting.take().value, waiting.bytes) == (1, 1, b"y", 0)
