"""Produces events at a steady rate, stamped with the time of sending, to measure latencies.

    python pace.py BROKER TOPIC RATE SECONDS STATS RESULT

Sends slowly until the engine's meter file STATS shows its first event, then warms the engine up at the full
rate, then counts. Prints `measure` and `end` around the counted time. RESULT becomes a JSON file: `first`
(the number of the first counted event) and `findings` (every number that must lead to a finding).
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from generate import producer
from world import PERSONS, Expected, World, envelope, key, to_microseconds

JUMP_SHARE = 0.10
EVENTS_PER_TENANT_MAX = 50
"""Events per second of each tenant; half the limit, so that nothing is dropped and every jump is a finding."""
TRICKLE_RATE = 50
WARM_UP_S = 6.0
ENGINE_START_S_MAX = 90.0
_TENANTS_MIN = 20
_LOW_RATE_MAX = 2_000
_SEED = 3


class Pacer:
    """Sends events when they are due; the full rate, in events per second, determines the number of tenants."""

    def __init__(self, broker: str, topic: str, rate: int) -> None:
        self._tenants = max(_TENANTS_MIN, rate // EVENTS_PER_TENANT_MAX)
        self._world = World(_SEED, JUMP_SHARE, self._tenants, PERSONS)
        self._topic = topic
        # At a high rate, one request for each record would load the broker and not the engine.
        self._client = producer(broker, 0 if rate <= _LOW_RATE_MAX else 1)
        self.expected = Expected()

    def run(self, rate: int, seconds: float, stop: Callable[[], bool] = lambda: False) -> None:
        """Send at a rate for some time, or until `stop` returns true."""
        started_s = time.monotonic()
        sent = 0
        while (elapsed_s := time.monotonic() - started_s) < seconds and not stop():
            due = int(elapsed_s * rate) + 1
            while sent < due:
                self._send()
                sent += 1
            self._client.poll(0)
            time.sleep(max(0.0002, sent / rate - (time.monotonic() - started_s)))

    def finish(self) -> None:
        """Wait until the broker has everything."""
        self._client.flush()

    def _send(self) -> None:
        number = self.expected.events
        tenant = number % self._tenants
        person = self._world.person_of(tenant)
        latitude, longitude = self._world.move(person)
        now_s = time.time()
        at, at_s = to_microseconds(now_s)
        self._client.produce(
            self._topic, envelope(number, tenant, person, at, latitude, longitude, int(now_s * 1e6)), key(tenant)
        )
        self.expected.add(number, tenant, person, at_s, latitude, longitude)


def main() -> None:
    """Run the program."""
    broker, topic, rate, seconds, stats, result = sys.argv[1:]
    pacer = Pacer(broker, topic, int(rate))
    pacer.run(TRICKLE_RATE, ENGINE_START_S_MAX, stop=Path(stats).exists)
    pacer.run(int(rate), WARM_UP_S)
    first = pacer.expected.events
    print("measure", flush=True)
    pacer.run(int(rate), float(seconds))
    print("end", flush=True)
    pacer.finish()
    body = {"first": first, "findings": pacer.expected.findings}
    Path(result).write_text(json.dumps(body))


if __name__ == "__main__":
    main()
