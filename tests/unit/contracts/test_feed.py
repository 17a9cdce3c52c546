"""Records of the feed: their JSON, headers and identifiers.

Also of contracts/findings.py.
"""

import json
import re

import pytest

from contracts.feed import (
    AnomalyDetected,
    Fence,
    ProcessedBatch,
    ProcessedEvent,
    RateLimited,
    SourcePosition,
    TicketUpdated,
    decode_feed_record,
    decode_processed,
    encode_record,
    feed_headers,
    record_id,
)
from contracts.findings import Category, Finding, FindingType, Severity

BASE = {
    "tenant_id": 3,
    "seq": 41,
    "id": record_id("ticket", "17", 35141432, "ticket_updated"),
    "time": "2026-03-02T05:00:00.000000Z",
    "epoch": "e",
    "source": SourcePosition("ticket", "17", 35141432, "2026-03-02T05:00:00.000000Z"),
    "event_id": "ticket:17:35141432",
    "event_type": "ticket",
}
FINDING = Finding(
    id="f",
    finding_type=FindingType.WRONG_PERSON,
    category=Category.ATTENDANCE,
    severity=Severity.HIGH,
    title="t",
    description="d",
    evidence={"observed": 4, "score": 0.5, "site": None, "persons": [1, 2]},
    created_at="2026-03-02T05:00:00.000000Z",
)
RECORDS = [
    AnomalyDetected(**BASE, findings=[FINDING]),
    TicketUpdated(
        **BASE,
        ticket_id=17,
        ticket_no="T-17",
        old_status="NEW",
        new_status="OPEN",
        priority=None,
        assigned_to=None,
        description="",
        updated_at=None,
    ),
    RateLimited(**BASE, dropped=7, window="2026-03-02T05:00:00Z", limit=100),
    Fence(generation=2, epoch="e"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_survives_its_json(record: AnomalyDetected | TicketUpdated | RateLimited | Fence) -> None:
    assert decode_feed_record(encode_record(record)) == record


def test_the_type_of_a_record_is_its_contract_name() -> None:
    types = [json.loads(encode_record(record))["type"] for record in RECORDS]
    assert types == ["anomaly_detected", "ticket_updated", "rate_limited", "fence"]


def test_a_field_of_a_later_version_is_ignored() -> None:
    later = json.loads(encode_record(RECORDS[0])) | {"priority_score": 0.7}
    assert decode_feed_record(json.dumps(later).encode()) == RECORDS[0]


def test_a_processed_batch_survives_its_json() -> None:
    batch = ProcessedBatch(tenant_id=3, batch=9, events=[ProcessedEvent("e", "attendance", 71, None, 12.5)])
    assert decode_processed(encode_record(batch)) == batch


def test_identifiers_are_deterministic_and_differ_by_every_part() -> None:
    base = ("ticket", "17", 35141432, "ticket_updated")
    others = [
        ("site", "17", 35141432, "ticket_updated"),
        ("ticket", "18", 35141432, "ticket_updated"),
        ("ticket", "17", 35141433, "ticket_updated"),
        ("ticket", "17", 35141432, "anomaly_detected"),
    ]
    assert record_id(*base) == record_id(*base)
    assert len({record_id(*each) for each in [base, *others]}) == 5


def test_headers_are_cloud_events_with_a_valid_traceparent() -> None:
    record = RECORDS[1]
    assert isinstance(record, TicketUpdated)
    headers = dict(feed_headers(record, 5))
    assert headers["generation"] == b"5"
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] == b"com.watchfloor.ticket_updated"
    assert headers["ce_subject"] == b"ticket/17"
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceparent"])
