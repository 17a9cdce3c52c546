"""Writes the input topic of the comparison, and says which counts every engine must reach.

20 tenants at 84 events a second of event time with bursts of 150, 2,000 persons, one jump in 200 events.
The same seed gives the same input.
"""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from confluent_kafka import Producer
from work import PersonTrack, TenantCount, admit, track

TENANTS = 20
PERSONS = 2_000
START_S = 1_795_245_000
_BURST, _STEADY = 150, 84


@dataclass(slots=True)
class Expected:
    """What the plain fold of the work over the input gives."""

    events: int = 0
    dropped: int = 0
    findings: set[int] = field(default_factory=set)


class World:
    """Persons who stand still but for noise, and jump at a stated rate."""

    def __init__(self, seed: int, jump_share: float) -> None:
        self._random = random.Random(seed)
        self._jump_share = jump_share
        draw = self._random.random
        self._positions = [(1.35 + draw() * 0.1, 103.8 + draw() * 0.1) for _ in range(PERSONS)]

    def move(self, person: int) -> tuple[float, float]:
        """The person's next position, degrees."""
        latitude, longitude = self._positions[person]
        draw = self._random.random
        if draw() < self._jump_share:
            step = 0.5 + draw() * 1.5
            latitude += step if latitude < 3 else -step
        latitude += (draw() - 0.5) * 1e-6
        longitude += (draw() - 0.5) * 1e-6
        self._positions[person] = (latitude, longitude)
        return round(latitude, 8), round(longitude, 8)

    def person_of(self, tenant: int) -> int:
        """One of the tenant's persons."""
        return tenant + TENANTS * self._random.randrange(PERSONS // TENANTS)

    def seconds(self) -> Iterator[list[tuple[float, int]]]:
        """Event times and tenants, a second at a time, in order."""
        second = START_S
        while True:
            events: list[tuple[float, int]] = []
            for tenant in range(TENANTS):
                count = _BURST if self._random.random() < 0.1 else _STEADY
                events += [(second + (index + self._random.random()) / count, tenant) for index in range(count)]
            yield sorted(events)
            second += 1


def envelope(
    number: int, tenant: int, person: int, at_s: float, latitude: float, longitude: float, sent_us: int
) -> bytes:
    """A Debezium envelope of 614 bytes on average."""
    at = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lsn = 35_141_432 + number
    row = {"id": number, "tenant_id": tenant, "person_id": person, "person_name": f"n{person}", "site_id": tenant * 10 + person % 10,
           "event_type": "IN", "ts": at, "lat": latitude, "lon": longitude}  # fmt: skip
    source = {"version": "3.6.0.Final", "connector": "postgresql", "name": "noc", "ts_ms": sent_us // 1000, "snapshot": "false",
              "db": "noc", "sequence": f'["{lsn - 1}","{lsn}"]', "ts_us": sent_us, "ts_ns": sent_us * 1000, "schema": "public",
              "table": "attendance", "txId": 731, "lsn": lsn, "xmin": None, "origin": None, "origin_lsn": None}  # fmt: skip
    body = {"before": None, "after": row, "source": source, "transaction": None, "op": "c", "ts_ms": sent_us // 1000,
            "ts_us": sent_us, "ts_ns": sent_us * 1000}  # fmt: skip
    return json.dumps(body, separators=(",", ":")).encode()


def key(tenant: int) -> bytes:
    """The record key of a tenant."""
    return b'{"tenant_id":%d}' % tenant


def producer(broker: str, linger_ms: int = 50) -> Producer:
    """A producer that partitions as the Java client does."""
    return Producer(
        {
            "bootstrap.servers": broker,
            "linger.ms": linger_ms,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 500_000,
            "partitioner": "murmur2_random",
        }
    )


def fill(broker: str, topic: str, count: int, seed: int = 7) -> Expected:
    """Write `count` events to the topic; returns what every engine must find in them."""
    world, client, expected = World(seed, 0.005), producer(broker), Expected()
    tenants: dict[int, TenantCount] = {}
    persons: dict[int, PersonTrack] = {}
    number = 0
    for events in world.seconds():
        for at_s, tenant in events:
            if number >= count:
                client.flush()
                return expected
            person = world.person_of(tenant)
            latitude, longitude = world.move(person)
            value = envelope(number, tenant, person, at_s, latitude, longitude, int(time.time() * 1e6))
            client.produce(topic, value, key(tenant))
            if number % 1_000 == 0:
                client.poll(0)
            rounded_s = round(at_s * 1e6) / 1e6  # what the timestamp in the envelope can hold
            tenants[tenant], scored = admit(tenants.get(tenant), datetime.fromtimestamp(at_s, UTC).timestamp())
            if scored:
                persons[person], verdict = track(
                    persons.get(person), latitude, longitude, datetime.fromtimestamp(at_s, UTC).timestamp()
                )
                if verdict is not None:
                    expected.findings.add(number)
            else:
                expected.dropped += 1
            expected.events += 1
            number += 1
            del rounded_s
    return expected
