"""Fixes of one person around a site, told in metres and minutes; runs a detector over them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import cos, radians
from typing import Any

import msgspec

from contracts.rows import Attendance, Location
from detectors.finding_draft import FindingDraft
from detectors.interface import Event
from detectors.policy import overridden
from detectors.shared.facts import Shift, SiteFacts
from detectors.shared.geo import circle

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
LATITUDE, LONGITUDE = 48.137154, 11.576124
SITE = SiteFacts(
    site_id=4, latitude=LATITUDE, longitude=LONGITUDE, area=circle(LATITUDE, LONGITUDE, 100.0, reach_m_max=1e5)
)
DAY_SHIFT = Shift(71, 4, (MIDNIGHT + timedelta(hours=8)).timestamp(), (MIDNIGHT + timedelta(hours=16)).timestamp())
_M_PER_DEGREE = 111_195.08


def at(hour: float) -> datetime:
    """So many hours after midnight."""
    return MIDNIGHT + timedelta(hours=hour)


def fix(minute: float, north_m: float = 0.0, east_m: float = 0.0, **more: Any) -> Location:
    """A fix so many minutes after 10:00, so many metres from the site's middle; good to 10 m."""
    values: dict[str, Any] = {
        "id": int(minute * 60),
        "tenant_id": 1,
        "person_id": 17,
        "site_id": 4,
        "device_id": 9,
        "latitude": LATITUDE + north_m / _M_PER_DEGREE,
        "longitude": LONGITUDE + east_m / _M_PER_DEGREE / cos(radians(LATITUDE)),
        "accuracy_m": 10.0,
        "is_mock": False,
        "recorded_at": at(10) + timedelta(minutes=minute),
    }
    return Location(**(values | more))


def attendance(kind: str, hour: float, site: int | None = 4) -> Attendance:
    """A check-in or check-out."""
    return Attendance(id=1, tenant_id=1, person_id=17, site_id=site, event_type=kind, occurred_at=at(hour))


def run(
    detector: Any, rows: Iterable[Any], *, shifts: Sequence[Shift] = (DAY_SHIFT,), state: Any = None, **settings: Any
) -> list[tuple[Any, FindingDraft]]:
    """The rows through the detector, each committed as it comes: (row, finding) of each finding.

    The state goes through MessagePack between any two rows, as it does over a restart.
    """
    policy = overridden(detector.policy, [settings])
    told: list[tuple[Any, FindingDraft]] = []
    for row in rows:
        when = row.recorded_at if isinstance(row, Location) else row.occurred_at
        now_us = round(when.timestamp() * 1e6) if when else 0
        state, found = detector.judge(state, Event(row, now_us, site=SITE, shifts=shifts), policy)
        if state is not None:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=detector.state_type)
        told.extend((row, judgement) for judgement in found)
    return told
