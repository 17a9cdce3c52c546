"""What was learned over weeks of the log is held against the hour that has just ended.

Weeks cannot be waited for. The log is the clock, so a phone's past is put where Debezium would have written it: in the
topic of the fixes, with commits of weeks ago, before everything that PostgreSQL commits from now on. The worker stands
still meanwhile, so that no tick of today comes between two rows of the past.
"""

import json
import os
import signal
from datetime import UTC, datetime
from typing import Any

import pytest
from chain.detection.watched_company import LATITUDE, LONGITUDE, Company, World, listen
from confluent_kafka import Producer

from contracts.topics import TopicNames, partition_of, tenant_key

pytestmark = pytest.mark.timeout(240)
HOUR_S, WEEK_S = 3_600, 7 * 86_400
WEEKS, USUAL, MANY = 4, 20, 200
QUIET, LOUD = 1, 2
"""The phones."""


def past_of(company: Company, hour_s: int, first_lsn: int) -> list[bytes]:
    """The fixes of two phones in the same hour of some weeks; in the last week one is silent and the other is not."""
    stamps: list[tuple[float, int]] = []
    for week in range(WEEKS, -1, -1):
        begin_s = hour_s - week * WEEK_S
        for phone in (QUIET, LOUD):
            stamps.append((begin_s - 1.5 * HOUR_S, phone))  # heard before: its first hour does not count
            count = USUAL + week if week else 0 if phone == QUIET else MANY
            stamps += [(begin_s + HOUR_S * (number + 0.5) / count, phone) for number in range(count)]
    values = []
    for number, (at_s, phone) in enumerate(sorted(stamps)):
        at = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        row: dict[str, Any] = {"id": company.tenant + number, "tenant_id": company.tenant, "site_id": company.site}
        row |= {"device_id": phone, "person_id": company.person, "latitude": LATITUDE, "longitude": LONGITUDE}
        row |= {"accuracy_m": 8.0, "recorded_at": at}
        lsn = first_lsn + number
        source = {"ts_us": int(at_s * 1e6), "sequence": f'["{first_lsn}","{lsn}"]', "lsn": lsn, "txId": 1}
        values.append(json.dumps({"op": "c", "before": None, "after": row, "source": source}).encode())
    return values


def test_a_phone_that_fell_silent_and_one_that_is_too_loud(world: World, company: Company) -> None:
    hour_s = int(datetime.now(UTC).timestamp()) // HOUR_S * HOUR_S - HOUR_S
    company.policy("phone_events", weeks_min=2, late_upload_minutes=0.0, late_upload_hours_max=0, z_min=3.0)
    company.session.execute("SELECT pg_switch_wal()")
    company.policy("late_check_in", enabled=True)
    lsn = company.session.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchone()
    assert lsn is not None
    company.session.execute("SELECT pg_switch_wal()")  # the positions up to there are free
    producer = Producer(world.stack.kafka_client(linger_ms=200))
    partition = partition_of(company.tenant, world.stack.settings.kafka.partitions)
    worker = world.stack.pid("worker")
    with listen(world, company.tenant) as operator:
        assert operator.collect(0.5) == []
        os.kill(worker, signal.SIGSTOP)
        try:
            for value in past_of(company, hour_s, int(lsn[0]) + 1_000):
                producer.produce(TopicNames().captured("location"), value, tenant_key(company.tenant), partition)
            producer.flush(10)
        finally:
            os.kill(worker, signal.SIGCONT)
        found = {}
        for _ in range(2):
            message = operator.expect("anomaly_detected", timeout_s=90)
            found |= {each["finding_type"]: each["evidence"] for each in message["findings"]}
    assert sorted(found) == ["ANOMALY_PHONE_EVENTS_ABOVE", "ANOMALY_PHONE_EVENTS_BELOW"]
    for evidence in found.values():
        assert evidence["z_score"]
        assert evidence["n"] >= WEEKS - 1
