"""Writes the input topic of the comparison and, beside it, what every engine must find in it.

    python generate.py BROKER TOPIC EVENTS RESULT PERSONS

RESULT becomes a JSON file: `events`, `dropped`, `findings` (the ids of the events with a finding) and
`persons` (how many have state). Prints its progress on standard output.
"""

import json
import sys
import time
from pathlib import Path

from confluent_kafka import Producer
from world import Expected, World, envelope, key, to_microseconds

JUMP_SHARE = 0.005
SEED = 7
PROGRESS_EVENTS = 500_000
_POLL_EVENTS = 1_000


def producer(broker: str, linger_ms: float) -> Producer:
    """A producer that partitions as the Java client does."""
    return Producer(
        {
            "bootstrap.servers": broker,
            "linger.ms": linger_ms,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_048_576,
            "partitioner": "murmur2_random",
        }
    )


def fill(broker: str, topic: str, count: int, persons: int) -> Expected:
    """Write `count` events to the topic; returns their fold."""
    world, client, expected = World(SEED, JUMP_SHARE, persons=persons), producer(broker, 50), Expected()
    for number, (event_s, tenant) in enumerate(world.events()):
        if number == count:
            break
        person = world.person_of(tenant)
        latitude, longitude = world.move(person)
        at, at_s = to_microseconds(event_s)
        value = envelope(number, tenant, person, at, latitude, longitude, int(time.time() * 1e6))
        while True:
            try:
                client.produce(topic, value, key(tenant))
                break
            except BufferError:  # events are made faster than the broker accepts them
                client.poll(0.1)
        if number % _POLL_EVENTS == 0:
            client.poll(0)
        expected.add(number, tenant, person, at_s, latitude, longitude)
        if expected.events % PROGRESS_EVENTS == 0:
            print(expected.events, flush=True)
    client.flush()
    return expected


def main() -> None:
    """Run the program."""
    broker, topic, events, result, persons = sys.argv[1:]
    expected = fill(broker, topic, int(events), int(persons))
    body = {
        "events": expected.events,
        "dropped": expected.dropped,
        "findings": expected.findings,
        "persons": len(expected.persons),
    }
    Path(result).write_text(json.dumps(body))


if __name__ == "__main__":
    main()
