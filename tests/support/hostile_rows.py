"""Rows of a hostile tenant beside those of an ordinary one: any table, any column, any policy field, any text.

The rows are Debezium's JSON, read by the worker's own decoder, so that only what can stand in a topic gets in.
"""

import json
import random
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from support.policy_bounds import all_bounds

from contracts.rows import ROW_TYPES
from contracts.topics import CAPTURED_TABLES, TopicNames, tenant_key
from detectors.registry import DETECTORS
from streams.engine.model import Entry, OutputRecord, SourceRecord
from streams.testing import START, MemoryWorker

HOSTILE, ORDINARY = 1, 2
START_US = round(START.timestamp() * 1e6)
_BATCH_ROWS = 100
_STEP_US = 20_000
_IDS = (1, 2, 3, 4, 5, 2**63 - 1, -(2**63), 0, -1)
_TIMES = (
    "infinity",
    "-infinity",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "1969-12-31T00:00:00Z",
    "now",
    "x",
    5,
)
_NUMBERS = (0, -0.0, 1, 48.0, 11.0, -1, 1e-320, 1e308, -1e308, 2**63, 10**30, "NaN", "Infinity", None, 90.0, 180.0)
_WORDS = (
    "",
    "x" * 3_000,
    "\u0000",
    "\U0001f600" * 50,
    "ONLINE",
    "OFFLINE",
    "OPEN",
    "CLOSED",
    "HIGH",
    "CHECK_IN",
    "TASK",
)
_ZONES = ("UTC", "Europe/Berlin", "../etc/passwd", "x" * 5_000, "\u0000", "Asia")


class Run(NamedTuple):
    """What a run did."""

    feed: dict[int, list[OutputRecord]]
    """The feed's records of each tenant."""
    dead_letters: dict[int, int]
    """How many dead letters each tenant has."""
    slowest_s: float
    """The longest CPU time of a micro-batch."""


def geofence(draws: random.Random) -> str:
    """A geofence that is hostile in one of many ways."""
    count = draws.choice((3, 4, 50, 500, 990, 5_000))
    far = draws.choice((1e-9, 1e-4, 0.01, 10.0, 1e300))
    points = [[11 + draws.uniform(-far, far), 48 + draws.uniform(-far, far)] for _ in range(count)]
    ring = [*points, points[0]]
    strips = [
        [[[11 + x, 48], [11 + x + 1e-5, 48], [11 + x + 1e-5, 48.01], [11 + x, 48.01], [11 + x, 48]]]
        for x in (index * 1e-4 for index in range(draws.choice((2, 90, 300))))
    ]
    return draws.choice(
        (
            msgspec.json.encode({"type": "Polygon", "coordinates": [ring]}).decode(),
            msgspec.json.encode({"type": "MultiPolygon", "coordinates": strips}).decode(),
            '{"type":"GeometryCollection","geometries":' + "[" * 20_000,
            "[" * 50_000,
            '{"type":"Polygon","coordinates":[[[NaN,1],[2,2],[3,3],[NaN,1]]]}',
            "x" * 200_000,
        )
    )


class HostileRows:
    """Draws rows.

    Args:
        seed: the same gives the same rows.
    """

    def __init__(self, seed: int) -> None:
        self._draws = random.Random(seed)
        self._bounds = all_bounds()
        self._geofences = [geofence(self._draws) for _ in range(30)]

    def change(self, tenant: int, at_us: int, lsn: int) -> tuple[str, bytes]:
        """A change of any table: the table and the record's value."""
        draws = self._draws
        table = draws.choice(CAPTURED_TABLES)
        op = draws.choice("ccccuuudr")
        before, after = self._row(table, tenant, at_us), self._row(table, tenant, at_us)
        source: dict[str, Any] = {"ts_us": at_us, "sequence": f'["{lsn - 1}","{lsn}"]', "lsn": lsn, "txId": lsn}
        if op == "r":
            source["snapshot"] = "true"
        value = {
            "op": op,
            "before": before if op in "ud" and draws.random() < 0.9 else None,
            "after": None if op == "d" else after,
            "source": source,
        }
        encoded = _json(value)
        return table, encoded if draws.random() < 0.98 else encoded[: draws.randrange(len(encoded))]

    def _row(self, table: str, tenant: int, at_us: int) -> dict[str, Any]:
        draws = self._draws
        row: dict[str, Any] = {"id": draws.choice(_IDS), "tenant_id": tenant}
        if table == "tenant":
            row["id"] = tenant
        if table == "policy":
            return row | self._policy()
        for field in msgspec.structs.fields(ROW_TYPES[table]):
            if field.name not in row:
                row[field.name] = self._value(field.name, str(field.type), at_us)
        return row

    def _value(self, name: str, kind: str, at_us: int) -> Any:
        draws = self._draws
        if "datetime" in kind:
            late_s = draws.choice((0, 0, 0, 60, 3_600, -3_600, 86_400))
            usual: Any = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_us / 1e6 - late_s))
            absurd: tuple[Any, ...] = _TIMES
        elif "float" in kind:
            usual, absurd = draws.choice((48.0, 11.0, 5.0, draws.uniform(-200, 200))), _NUMBERS
        elif name == "geofence":
            usual, absurd = draws.choice(self._geofences), _WORDS
        elif name == "timezone":
            usual, absurd = "UTC", _ZONES
        else:
            usual = draws.choice(_IDS if "int" in kind else (True, False) if "bool" in kind else _WORDS)
            absurd = (None,)
        return draws.choice((usual,) * 9 + (draws.choice((None, *absurd)),))

    def _policy(self) -> dict[str, Any]:
        draws = self._draws
        bounds = draws.choice(self._bounds)
        low, high = bounds.extremes
        value = draws.choice((low, high, *bounds.beyond, "15", None, [1], True, draws.uniform(0, 100)))
        settings: Any = draws.choice(({bounds.field: value}, {"enabled": draws.random() < 0.8}, {}))
        text = draws.choice((_json(settings).decode(),) * 9 + ("[" * 5_000,))
        detector = bounds.detector if draws.random() < 0.95 else draws.choice((*(each.name for each in DETECTORS), "x"))
        return {"client_id": draws.choice((None, 1)), "site_id": draws.choice((None, 1, 2)), "detector": detector} | {
            "settings": text
        }


def _json(value: Any) -> bytes:
    """JSON with numbers of any size."""
    return json.dumps(value, allow_nan=False).encode()


def ordinary_change(number: int, at_us: int, lsn: int) -> tuple[str, bytes]:
    """A row of the ordinary tenant: a shift, a wrong check-in, a device that goes silent, a ticket that runs out."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_us / 1e6))
    row: dict[str, Any] = {"id": number, "tenant_id": ORDINARY, "site_id": 1}
    table = ("device", "attendance", "ticket", "location")[number % 4]
    columns: dict[str, dict[str, Any]] = {
        "device": {"status": "ONLINE", "last_seen": at},
        "attendance": {
            "person_id": 1,
            "verified_person_id": 1 + number % 3,
            "event_type": "CHECK_IN",
            "occurred_at": at,
        },
        "ticket": {"status": "OPEN", "priority": "CRITICAL", "created_at": at},
        "location": {"person_id": 1, "latitude": 48.0 + number * 1e-5, "longitude": 11.0, "recorded_at": at},
    }
    row |= columns[table]
    source = {"ts_us": at_us, "sequence": f'["{lsn - 1}","{lsn}"]', "lsn": lsn, "txId": lsn}
    return table, _json({"op": "c", "before": None, "after": row, "source": source})


def batches(seed: int, rows: int, *, hostile: bool) -> Iterator[list[tuple[str, int, bytes, int]]]:
    """Micro-batches of (table, tenant, value, LSN); without the hostile tenant the ordinary one has the same rows."""
    drawn = HostileRows(seed)
    at_us, lsn = START_US, 1_000
    for first in range(0, rows, _BATCH_ROWS):
        batch = []
        for number in range(first, first + _BATCH_ROWS):
            at_us, lsn = at_us + _STEP_US, lsn + 8
            if number % 20 == 0:
                batch.append((*_with_tenant(ordinary_change(number // 20, at_us, lsn), ORDINARY), lsn))
            else:
                made = drawn.change(HOSTILE, at_us, lsn)
                if hostile:
                    batch.append((*_with_tenant(made, HOSTILE), lsn))
        yield batch


def _with_tenant(made: tuple[str, bytes], tenant: int) -> tuple[str, int, bytes]:
    return made[0], tenant, made[1]


def run(seed: int, rows: int, *, hostile: bool) -> Run:
    """Process the rows as the worker does, with ticks and snapshots, and let time pass at the end."""
    worker = MemoryWorker()
    feed: dict[int, list[OutputRecord]] = {}
    letters: dict[int, int] = {}
    slowest_s, topics, at_ms = 0.0, TopicNames(), START_US // 1000

    def process(entries: list[Entry], tick_ms: int) -> None:
        nonlocal slowest_s
        started = time.process_time()
        outputs = worker.process(entries, tick_ms=tick_ms).outputs
        for _ in worker.state.take_changes(1):
            pass
        slowest_s = max(slowest_s, time.process_time() - started)
        worker.outputs.clear()
        for record in outputs.get(topics.anomalies, []):
            feed.setdefault(HOSTILE if record.key == tenant_key(HOSTILE) else ORDINARY, []).append(record)
        for record in outputs.get(topics.dead_letters, []):
            tenant = ORDINARY if record.key == tenant_key(ORDINARY) else HOSTILE
            letters[tenant] = letters.get(tenant, 0) + 1

    for batch in batches(seed, rows, hostile=hostile):
        at_ms += _BATCH_ROWS * _STEP_US // 1000
        entries = [
            worker.spec.decode(CAPTURED_TABLES.index(table), SourceRecord(lsn, at_ms, tenant_key(tenant), value))
            for table, tenant, value, lsn in batch
        ]
        process(entries, at_ms)
    for hours in (1, 30, 24 * 60):
        until_ms = at_ms + hours * 3_600_000
        while worker.wake_at_ms is not None and worker.wake_at_ms <= until_ms:
            process([], until_ms)
    return Run(feed, letters, slowest_s)
