"""A realistic mix of row changes: 60 % fixes, 20 % attendance, 15 % tasks, 5 % tickets, work orders and devices.

Row changes as Debezium writes them, in commit order, of a thousand people who do nothing wrong. So what is measured
is the cost of finding nothing, which is what a worker does nearly all the time.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

TENANTS, SITES, PERSONS = 40, 10, 25
"""Each tenant has SITES sites and PERSONS persons."""
START_US = 1_772_442_000_000_000
STEP_US = 36_000
"""The time between two commits; with this many persons each sends about one fix a minute."""
_SHIFT_S = 8 * 3_600
_NOISE_DEG = 0.00004
_STATUSES = ("ASSIGNED", "IN_PROGRESS", "COMPLETED")

Row = dict[str, Any]


class Message(NamedTuple):
    """One record of a captured topic."""

    table: str
    tenant_id: int
    value: bytes


class CompanyStream:
    """The company; the same seed gives the same stream, with its first commit at `start_us` (since 1970)."""

    def __init__(self, seed: int, start_us: int = START_US) -> None:
        self._draws = random.Random(seed)
        self._start_us = start_us
        self._at_us, self._lsn, self._id = start_us, 1_000_000, 0
        self._tasks: dict[int, Row] = {}
        self._inside: set[tuple[int, int]] = set()

    def reference(self) -> Iterator[Message]:
        """The rows that events refer to."""
        start_s = self._start_us // 1_000_000
        for tenant in range(1, TENANTS + 1):
            yield self._message("tenant", {"id": tenant, "tenant_id": tenant, "name": "Tenant", "timezone": "UTC"})
            for number in range(SITES):
                latitude, longitude = _site_location(tenant, number)
                location = {"latitude": latitude, "longitude": longitude, "geofence_radius_m": 150.0}
                row = {"id": number, "tenant_id": tenant, "client_id": 1, "name": "Site", "timezone": "Europe/Berlin"}
                yield self._message("site", row | location)
            for person in range(PERSONS):
                yield self._message("person", {"id": person, "tenant_id": tenant, "name": "Somebody"})
                times = {"shift_start": _iso((start_s - 600) * 10**6), "shift_end": _iso((start_s + _SHIFT_S) * 10**6)}
                shift = {"id": person, "tenant_id": tenant, "person_id": person, "site_id": person % SITES}
                yield self._message("assignment", shift | times)

    def events(self, count: int) -> Iterator[Message]:
        """This many changes of scored tables."""
        for _ in range(count):
            tenant, person = self._draws.randint(1, TENANTS), self._draws.randrange(PERSONS)
            drawn = self._draws.random()
            if drawn < 0.6:
                yield self._fix(tenant, person)
            elif drawn < 0.8:
                yield self._attendance(tenant, person)
            elif drawn < 0.95:
                yield self._task(tenant, person)
            else:
                yield self._other(tenant)

    def _fix(self, tenant: int, person: int) -> Message:
        site = person % SITES
        row = self._row(tenant, site) | {"person_id": person, "device_id": person, **self._near(tenant, site)}
        moving = {"accuracy_m": round(self._draws.uniform(4, 15), 2), "speed_mps": round(self._draws.random(), 2)}
        return self._message("location", row | moving | {"is_mock": False, "recorded_at": _iso(self._at_us)})

    def _attendance(self, tenant: int, person: int) -> Message:
        site, inside = person % SITES, (tenant, person) in self._inside
        (self._inside.discard if inside else self._inside.add)((tenant, person))
        row = self._row(tenant, site) | {"person_id": person, "verified_person_id": person, "device_id": person}
        row |= {"event_type": "CHECK_OUT" if inside else "CHECK_IN", "occurred_at": _iso(self._at_us)}
        return self._message("attendance", row | self._near(tenant, site) | {"accuracy_m": 8.5})

    def _task(self, tenant: int, person: int) -> Message:
        before = self._tasks.get(tenant)
        if before is None:
            row = self._row(tenant, person % SITES) | {"person_id": person, "job_type": "TOUR", "title": "Round"}
            row |= {"status": "ASSIGNED", "planned_start": _iso(self._at_us), "started_at": None, "completed_at": None}
            row |= {
                "due_at": _iso(self._at_us + 4 * 3_600 * 10**6),
                "checkpoints_expected": 5,
                "checkpoints_scanned": 0,
            }
            self._tasks[tenant] = row
            return self._message("jobneed", row)
        status = _STATUSES[_STATUSES.index(before["status"]) + 1]
        after = before | {"status": status}
        if status == "IN_PROGRESS":
            after |= {"started_at": _iso(self._at_us)}
            self._tasks[tenant] = after
        else:
            after |= {"completed_at": _iso(self._at_us), "checkpoints_scanned": 5}
            del self._tasks[tenant]
        return self._message("jobneed", after, before)

    def _other(self, tenant: int) -> Message:
        site = self._draws.randrange(SITES)
        row, now = self._row(tenant, site), _iso(self._at_us)
        drawn = self._draws.random()
        if drawn < 0.6:
            seen = row | {"id": site, "name": "Phone", "status": "ONLINE", "last_seen": now, "battery_percent": 80.0}
            return self._message("device", seen, seen)
        if drawn < 0.8:
            opened = {"ticket_no": "T", "status": "RESOLVED", "priority": "LOW", "created_at": now, "updated_at": now}
            return self._message("ticket", row | opened | {"escalation_level": 0, "description": "A door stands open"})
        due = {"due_at": _iso(self._at_us + 86_400 * 10**6), "created_at": now, "updated_at": now}
        return self._message("work_order", row | due | {"status": "OPEN", "vendor": "Otis"})

    def _row(self, tenant: int, site: int) -> Row:
        self._id += 1
        return {"id": self._id, "tenant_id": tenant, "site_id": site}

    def _near(self, tenant: int, site: int) -> Row:
        latitude, longitude = _site_location(tenant, site)
        noise = self._draws.gauss
        return {"latitude": latitude + noise(0, _NOISE_DEG), "longitude": longitude + noise(0, _NOISE_DEG)}

    def _message(self, table: str, after: Row, before: Row | None = None) -> Message:
        self._at_us += STEP_US
        self._lsn += 100
        source = {
            "version": "3.6.0.Final",
            "connector": "postgresql",
            "name": "life",
            "ts_ms": self._at_us // 1000,
            "snapshot": "false",
            "db": "life",
            "sequence": f'["{self._lsn - 50}","{self._lsn}"]',
            "ts_us": self._at_us,
            "schema": "public",
            "table": table,
            "txId": 7,
            "lsn": self._lsn,
            "xmin": None,
        }
        operation = "c" if before is None else "u"
        body = {"before": before, "after": after, "source": source, "op": operation, "ts_ms": self._at_us // 1000}
        return Message(table, after["tenant_id"], json.dumps(body, separators=(",", ":")).encode())


def _site_location(tenant: int, site: int) -> tuple[float, float]:
    return 47.0 + tenant * 0.1, 8.0 + site * 0.05


def _iso(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
