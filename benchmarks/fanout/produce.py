"""Writes a feed at a steady rate, as the worker writes it: the producer of the fan-out benchmark.

    produce.py '{"broker": …, "topic": …, "partitions": 4, "form": "record", "rates": {"1": 50}, "seconds": 20}'

`form` is `record`, what a worker writes, or `message`, the finished message of the dashboard, for servers that
render nothing. The last part of each `event_id` is the time at which the record was sent, nanoseconds since 1970.
Prints the time of the first record, and at the end the last seq of each tenant.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
from confluent_kafka import Producer

from contracts.feed import AnomalyDetected, SourcePosition, encode_record, feed_headers
from contracts.findings import Category, Finding, Severity
from contracts.messages import encode_message
from contracts.projections import dashboard_messages
from contracts.topics import partition_of, tenant_key

GENERATION = 1
# Placeholders for the parts that differ between records; no other part of a record looks like them.
SEQ, BEFORE, NUMBER, SENT_NS = 7_777_777_777_777, 7_777_777_777_776, 8_888_888_888_888, 9_099_999_999_999_999_999
COMMITTED, IDENTIFIER = "2001-02-03T04:05:06.000007Z", "f" * 31 + "0"
CLOCK_EVERY = 20
"""This many records share a commit time, because formatting a time costs more than making a record."""
SINGLE_RECORDS_PER_S_MAX = 500
"""Up to this rate each record is sent in its own request."""

Maker = Callable[[int, int, int, str], bytes]
"""Makes the value of a record from its seq, number, time of sending in ns and commit time."""


class Job(msgspec.Struct, frozen=True):
    """What to write: the argument of this program."""

    broker: str
    topic: str
    partitions: int
    form: str
    rates: dict[str, int]
    """Records per second of each tenant."""
    seconds: float


def record(tenant_id: int, seq: int, number: int, sent_ns: int, committed: str, identifier: str) -> AnomalyDetected:
    """A feed record with one finding."""
    event_id = f"attendance:{number}:{sent_ns}"
    return AnomalyDetected(
        tenant_id=tenant_id,
        seq=seq,
        id=identifier,
        time=committed,
        epoch="benchmark",
        source=SourcePosition("attendance", str(number), sent_ns, committed),
        event_id=event_id,
        event_type="attendance",
        site_id=15,
        client_id=3,
        person_id=1234,
        site_name="Main Office",
        person_name="John Doe",
        findings=[
            Finding(
                id=identifier,
                finding_type="WRONG_PERSON",
                category=Category.ATTENDANCE,
                severity=Severity.HIGH,
                title="Wrong person",
                description="Not {person_name}",
                evidence={"person_id": 1234, "verified_person_id": 1235, "observed": 1, "expected": 0},
                created_at=committed,
                fraud_score=0.85,
            )
        ],
    )


def maker(tenant_id: int, form: str) -> Maker:
    """A function that makes a tenant's values from a template; encoding each would take the CPU that is measured.

    Raises:
        SystemExit: the template gives other bytes than the encoder.
    """

    def encoded(seq: int, number: int, sent_ns: int, committed: str, identifier: str) -> bytes:
        made = record(tenant_id, seq, number, sent_ns, committed, identifier)
        if form == "record":
            return encode_record(made)
        message = dashboard_messages(made, committed, 1.5)[0]
        return encode_message(msgspec.structs.replace(message, prev_seq=seq - 1))

    template = encoded(SEQ, NUMBER, SENT_NS, COMMITTED, IDENTIFIER).replace(b"%", b"%%")
    for mark, form_of in (
        (str(SEQ), b"%(seq)d"),
        (str(BEFORE), b"%(before)d"),
        (str(NUMBER), b"%(number)d"),
        (str(SENT_NS), b"%(sent)d"),
        (COMMITTED, b"%(committed)b"),
        (IDENTIFIER, b"%(number)032x"),
    ):
        template = template.replace(mark.encode(), form_of)

    def make(seq: int, number: int, sent_ns: int, committed: str) -> bytes:
        return template % {
            b"seq": seq,
            b"before": seq - 1,
            b"number": number,
            b"sent": sent_ns,
            b"committed": committed.encode(),
        }

    if make(5, 6, 7, "now") != encoded(5, 6, 7, "now", f"{6:032x}"):
        raise SystemExit("the template of a record is not what the worker writes")
    return make


def turns(rates: dict[int, int]) -> Iterator[int]:
    """The tenants in the order in which they write, each spread evenly over every second."""
    second = sorted((turn / rate, tenant) for tenant, rate in rates.items() for turn in range(rate))
    while True:
        for _, tenant in second:
            yield tenant


def main() -> None:
    """Write records until the time is over."""
    job = msgspec.json.decode(sys.argv[1], type=Job)
    rates = {int(tenant): rate for tenant, rate in job.rates.items()}
    # A worker sends records at once, and under load in batches. The time is taken before sending, so latencies include
    # the wait for a batch.
    linger_ms = 0 if sum(rates.values()) <= SINGLE_RECORDS_PER_S_MAX else 1
    producer = Producer(
        {"bootstrap.servers": job.broker, "linger.ms": linger_ms, "queue.buffering.max.messages": 1_000_000}
    )
    makers = {tenant: maker(tenant, job.form) for tenant in rates}
    partitions = {tenant: (tenant_key(tenant), partition_of(tenant, job.partitions)) for tenant in rates}
    headers = feed_headers(record(1, 1, 1, 1, COMMITTED, IDENTIFIER), GENERATION)
    seqs = dict.fromkeys(rates, 0)
    step_ns = 1e9 / sum(rates.values())
    count = int(sum(rates.values()) * job.seconds)
    committed, late_ns = "", 0
    producer.list_topics(job.topic, timeout=10)  # connected before the clock starts
    first_ns = time.time_ns() + 50_000_000
    print(json.dumps({"first_ns": first_ns}), flush=True)
    for number, tenant in zip(range(count), turns(rates), strict=False):
        due_ns = first_ns + int(number * step_ns)
        now_ns = time.time_ns()
        if now_ns < due_ns:
            producer.poll(0)
            time.sleep((due_ns - now_ns) / 1e9)
            now_ns = time.time_ns()
        late_ns = max(late_ns, now_ns - due_ns)
        if number % CLOCK_EVERY == 0:
            committed = datetime.fromtimestamp(now_ns / 1e9, UTC).isoformat().replace("+00:00", "Z")
        seq = seqs[tenant] = seqs[tenant] + 1
        key, partition = partitions[tenant]
        producer.produce(job.topic, makers[tenant](seq, number, now_ns, committed), key, partition, headers=headers)
    producer.flush(30)
    print(json.dumps({"seqs": seqs, "sent": count, "late_ms": late_ns / 1e6}), flush=True)


if __name__ == "__main__":
    main()
