"""The work that every engine of the comparison does, as pure functions over plain tuples.

A stream of attendance envelopes keyed by tenant. Per event: a limit of 100 events per second of event time
and tenant; per person the great-circle speed since the last event (faster than 900 km/h is a finding) and an
exponentially weighted mean and variance of the intervals (z above 4, after five, is a finding).
"""

import math
from datetime import datetime
from typing import NamedTuple

import msgspec

LIMIT = 100
SMOOTHING = 0.1
SPEED_KMH_MAX = 900.0
Z_MAX = 4.0
INTERVALS_MIN = 5
_EARTH_DIAMETER_KM = 12742.0


class TenantCount(NamedTuple):
    """A tenant's second of event time."""

    second: int
    admitted: int
    accepted_total: int
    dropped_total: int


class PersonTrack(NamedTuple):
    """A person's last position and the statistics of the intervals between events."""

    latitude: float
    longitude: float
    at_s: float
    intervals: int
    mean_s: float
    variance: float


class Verdict(NamedTuple):
    """A finding: `travel` with km/h or `cadence` with z."""

    kind: str
    score: float


class Row(msgspec.Struct, gc=False):
    """What is read of the row."""

    id: int
    tenant_id: int
    person_id: int
    ts: datetime
    lat: float
    lon: float


class Source(msgspec.Struct, gc=False):
    """What is read of the source block."""

    lsn: int


class Envelope(msgspec.Struct, gc=False):
    """What is read of the change envelope."""

    op: str
    ts_us: int
    source: Source
    after: Row


decode = msgspec.json.Decoder(Envelope).decode
encode = msgspec.json.Encoder().encode


def admit(count: TenantCount | None, at_s: float) -> tuple[TenantCount, bool]:
    """Count an event of a tenant; whether it is scored."""
    second = int(at_s)
    if count is None:
        return TenantCount(second, 1, 1, 0), True
    if second != count.second:
        return TenantCount(second, 1, count.accepted_total + 1, count.dropped_total), True
    if count.admitted >= LIMIT:
        return TenantCount(second, count.admitted, count.accepted_total, count.dropped_total + 1), False
    return TenantCount(second, count.admitted + 1, count.accepted_total + 1, count.dropped_total), True


def track(last: PersonTrack | None, latitude: float, longitude: float, at_s: float) -> tuple[PersonTrack, Verdict | None]:
    """Move a person on; what is wrong with the move."""
    if last is None:
        return PersonTrack(latitude, longitude, at_s, 0, 0.0, 0.0), None
    before_latitude, before_longitude, before_s, intervals, mean_s, variance = last
    interval_s = at_s - before_s
    verdict = None
    phi1, phi2 = math.radians(before_latitude), math.radians(latitude)
    half = (
        math.sin((phi2 - phi1) / 2) ** 2
        + math.cos(phi1) * math.cos(phi2) * math.sin(math.radians(longitude - before_longitude) / 2) ** 2
    )
    if interval_s > 0:
        speed = _EARTH_DIAMETER_KM * math.asin(math.sqrt(half)) * 3600.0 / interval_s
        if speed > SPEED_KMH_MAX:
            verdict = Verdict("travel", speed)
    if intervals == 0:
        mean_s, variance = interval_s, 0.0
    else:
        difference = interval_s - mean_s
        if intervals >= INTERVALS_MIN and variance > 0 and verdict is None:
            z = difference / math.sqrt(variance)
            if z > Z_MAX:
                verdict = Verdict("cadence", z)
        mean_s += SMOOTHING * difference
        variance = (1 - SMOOTHING) * (variance + SMOOTHING * difference * difference)
    return PersonTrack(latitude, longitude, at_s, intervals + 1, mean_s, variance), verdict


def finding(row: Row, verdict: Verdict, sent_us: int) -> bytes:
    """The finding's JSON; `sent_us` is when the event was produced, for latencies."""
    return encode(
        {
            "id": row.id,
            "tenant_id": row.tenant_id,
            "person_id": row.person_id,
            "kind": verdict.kind,
            "score": verdict.score,
            "sent_us": sent_us,
        }
    )
