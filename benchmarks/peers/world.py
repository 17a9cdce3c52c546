"""The simulated input of the comparison: the movements of persons, as change envelopes.

20 tenants have 84 events per second of event time, with bursts of 150. 2,000 persons stand still apart from noise,
and jump at a given rate. The same seed gives the same input. Writes nothing.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from work import PersonTrack, TenantCount, admit, track

TENANTS = 20
PERSONS = 2_000
START_S = 1_795_245_000
_FIRST_LSN = 35_141_432
_BURST, _STEADY = 150, 84
_BURST_SHARE = 0.1


@dataclass(slots=True)
class Expected:
    """The plain fold of the work over the input: what every engine must find in it."""

    events: int = 0
    dropped: int = 0
    findings: list[int] = field(default_factory=list)
    tenants: dict[int, TenantCount] = field(default_factory=dict)
    persons: dict[int, PersonTrack] = field(default_factory=dict)

    def add(self, number: int, tenant: int, person: int, at_s: float, latitude: float, longitude: float) -> None:
        """Add one event to the fold."""
        self.events += 1
        self.tenants[tenant], scored = admit(self.tenants.get(tenant), at_s)
        if not scored:
            self.dropped += 1
            return
        self.persons[person], verdict = track(self.persons.get(person), latitude, longitude, at_s)
        if verdict is not None:
            self.findings.append(number)


class World:
    """The persons of all tenants; `jump_share` of their moves are jumps of 0.5 to 2 degrees."""

    def __init__(self, seed: int, jump_share: float, tenants: int = TENANTS, persons: int = PERSONS) -> None:
        self._random = random.Random(seed)
        self._jump_share = jump_share
        self._tenants = tenants
        self._persons_per_tenant = persons // tenants
        draw = self._random.random
        self._positions = [(1.35 + draw() * 0.1, 103.8 + draw() * 0.1) for _ in range(persons)]

    def move(self, person: int) -> tuple[float, float]:
        """The person's next position in degrees."""
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
        return tenant + self._tenants * self._random.randrange(self._persons_per_tenant)

    def events(self) -> Iterator[tuple[float, int]]:
        """Endless (event time, tenant) in order of time, in seconds since 1970."""
        second = START_S
        while True:
            events: list[tuple[float, int]] = []
            for tenant in range(self._tenants):
                count = _BURST if self._random.random() < _BURST_SHARE else _STEADY
                events += [(second + (index + self._random.random()) / count, tenant) for index in range(count)]
            yield from sorted(events)
            second += 1


def to_microseconds(at_s: float) -> tuple[str, float]:
    """A time as the text in the envelope, and as the seconds that a reader gets from the text."""
    at = datetime.fromtimestamp(at_s, UTC)
    return at.isoformat(timespec="microseconds")[:-6] + "Z", at.timestamp()


def key(tenant: int) -> bytes:
    """The record key of a tenant, as Debezium writes it."""
    return b'{"tenant_id":%d}' % tenant


def envelope(number: int, tenant: int, person: int, at: str, latitude: float, longitude: float, sent_us: int) -> bytes:
    """A Debezium envelope of about 614 bytes.

    Written as text, because a general encoder would be most of the load at 20,000 events per second.
    """
    lsn, sent_ms = _FIRST_LSN + number, sent_us // 1000
    return (
        f'{{"before":null,"after":{{"id":{number},"tenant_id":{tenant},"person_id":{person},"person_name":"n{person}",'
        f'"site_id":{tenant * 10 + person % 10},"event_type":"IN","ts":"{at}","lat":{latitude!r},"lon":{longitude!r}}},'
        f'"source":{{"version":"3.6.0.Final","connector":"postgresql","name":"noc","ts_ms":{sent_ms},'
        f'"snapshot":"false","db":"noc","sequence":"[\\"{lsn - 1}\\",\\"{lsn}\\"]","ts_us":{sent_us},'
        f'"ts_ns":{sent_us}000,"schema":"public","table":"attendance","txId":731,"lsn":{lsn},"xmin":null,'
        f'"origin":null,"origin_lsn":null}},"transaction":null,"op":"c","ts_ms":{sent_ms},"ts_us":{sent_us},'
        f'"ts_ns":{sent_us}000}}'
    ).encode()
