"""Rows that cannot be: they stop nothing, and what they bring is a DATA_QUALITY finding, a dead letter or nothing."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from chain.detection.watched_company import AGO, LATITUDE, LONGITUDE, Company, World, heard, listen
from confluent_kafka import Producer
from support.operator import fresh_id

from contracts.topics import TopicNames, partition_of, tenant_key

pytestmark = pytest.mark.timeout(240)


def polygon_of(points: int) -> str:
    """GeoJSON of a circle of 200 m around the site."""
    turns = [2 * math.pi * number / points for number in range(points)]
    ring = [[LONGITUDE + 0.003 * math.cos(turn), LATITUDE + 0.002 * math.sin(turn)] for turn in turns]
    return json.dumps({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})


def check_out_before_check_in(company: Company) -> None:
    now = datetime.now(UTC)
    company.check_in(occurred_at=now - AGO(hours=3, minutes=50))
    company.check_out(occurred_at=now - AGO(hours=5))


def future(company: Company) -> None:
    company.check_in(occurred_at=datetime.now(UTC) + AGO(days=400))
    company.fix(recorded_at=datetime.now(UTC) + AGO(days=400))


def negative_durations(company: Company) -> None:
    now = datetime.now(UTC)
    times = {"started_at": now - AGO(minutes=1), "completed_at": now - AGO(hours=9), "due_at": now + AGO(hours=1)}
    company.add("jobneed", job_type="TASK", title="Doors", status="COMPLETED", person_id=company.person, **times)
    company.shift(now + AGO(hours=30), now + AGO(hours=20))


def a_large_polygon(company: Company) -> None:
    company.change("site", company.site, geofence=polygon_of(10_000))
    company.check_in(occurred_at=datetime.now(UTC) - AGO(hours=3, minutes=50))
    company.fix()


WRONG: dict[str, tuple[Callable[[Company], Any], set[str]]] = {
    "no coordinates": (lambda company: company.fix(latitude=None, longitude=None), {"missing"}),
    "half of a position": (lambda company: company.fix(latitude=None), {"missing"}),
    "not on the earth": (lambda company: company.fix(latitude=1e308, longitude=-500.0), {"not_on_earth"}),
    "the middle of the ocean": (lambda company: company.fix(latitude=0.0, longitude=0.0), {"at_zero_zero"}),
    "a check-out before the check-in": (check_out_before_check_in, {"before_its_check_in"}),
    "in the future": (future, {"in_the_future"}),
    "a person of nobody here": (
        lambda company: company.check_in(person_id=1, verified_person_id=1),
        {"unknown_person"},
    ),
    "negative durations": (negative_durations, {"after_completed_at", "before_shift_start"}),
    "a polygon of ten thousand points": (a_large_polygon, set()),
}
"""What is wrong, and the reasons that are told."""
ALLOWED = {"DATA_QUALITY", "UNAUTHORIZED_SITE", "LATE_CHECK_IN"}
"""A person without a shift has none at the site; nobody's check-in at the fourth hour of the shift is in time."""


@pytest.mark.parametrize("wrong", WRONG)
def test_it_stops_nothing_and_alerts_no_nonsense(world: World, company: Company, wrong: str) -> None:
    write, reasons = WRONG[wrong]
    before = world.stack.pid("worker")
    with listen(world, company.tenant) as operator:
        write(company)
        told = operator.collect(2.8 if "unknown_person" in reasons else 0.8)
        company.check_in(verified_person_id=1, occurred_at=datetime.now(UTC))
        heard(operator, "WRONG_PERSON")
    found = [finding for message in told for finding in message.get("findings", [])]
    assert {finding["evidence"]["reason"] for finding in found if finding["finding_type"] == "DATA_QUALITY"} == reasons
    assert {finding["finding_type"] for finding in found} <= ALLOWED
    assert world.stack.pid("worker") == before


def test_text_where_a_number_belongs_is_a_dead_letter(world: World, company: Company) -> None:
    producer = Producer(world.stack.kafka_client())
    row = {"id": fresh_id(), "tenant_id": company.tenant, "latitude": "north"}
    source = {"ts_us": 1, "sequence": '["1","2"]', "lsn": 2}
    value = json.dumps({"op": "c", "before": None, "after": row, "source": source}).encode()
    partition = partition_of(company.tenant, world.stack.settings.kafka.partitions)
    with listen(world, company.tenant) as operator:
        producer.produce(TopicNames().captured("location"), value, tenant_key(company.tenant), partition)
        producer.flush(10)
        company.check_in(verified_person_id=1)
        message, _ = heard(operator, "WRONG_PERSON")
    assert message["seq"] == 1
