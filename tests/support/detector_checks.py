"""What every detector owes, whatever rows come, checked through the worker's fold; a failed check is an AssertionError."""

import itertools
import json
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.absurd_rows import changes, watched
from support.changes import NOW, NOW_US, TOPICS, Worker, change

from contracts.envelope import Change, ChangeDecoder
from contracts.rows import ROW_TYPES
from detectors.interface import Detector

STATE_BYTES_MAX = 16_384
END_MS = NOW_US // 1000 + 1_000 * 3_600_000


def worker(detectors: Sequence[Any]) -> Worker:
    """A worker that runs these detectors on every row."""
    return Worker(detectors=detectors, limit=1_000_000, failures_min=1_000_000)


def dead(sut: Worker) -> list[bytes | None]:
    """Names of what failed on a record."""
    return [dict(letter.headers)["detector"] for letter in sut.outputs.get(TOPICS.dead_letters, [])]


def reported(sut: Worker, tenant: int = 1) -> list[bytes]:
    """The feed records of a tenant."""
    values = [record.value or b"" for record in sut.outputs.get(TOPICS.anomalies, [])]
    return [value for value in values if json.loads(value)["tenant_id"] == tenant]


def check_any_rows(detectors: Sequence[Detector], examples: int = 80) -> None:
    """No rows make a detector raise, change its state in place, or answer differently for a state that was stored."""

    @settings(max_examples=examples, deadline=None)
    @given(changes())
    def check(rows: list[Change]) -> None:
        defects: list[str] = []
        sut = worker(watched(detectors, defects))
        sut.run(rows)
        sut.run([], tick_ms=END_MS)
        assert defects == []
        assert set(dead(sut)) <= {b"ticket"}, "a ticket's status change without its old row is refused"

    check()


def check_any_split(detectors: Sequence[Detector], examples: int = 30) -> None:
    """Any split of the rows into micro-batches gives the same feed."""

    @settings(max_examples=examples, deadline=None)
    @given(changes(), st.lists(st.integers(0, 40), max_size=6))
    def check(rows: list[Change], cuts: list[int]) -> None:
        whole, parts = worker(detectors), worker(detectors)
        whole.run(rows)
        for start, end in itertools.pairwise([0, *sorted(cuts), len(rows)]):
            parts.run(rows[start:end])
        for sut in (whole, parts):
            sut.run([], tick_ms=END_MS)
        assert reported(parts) == reported(whole)

    check()


def check_other_tenants(detectors: Sequence[Detector], examples: int = 30) -> None:
    """The rows of another tenant change nothing."""

    @settings(max_examples=examples, deadline=None)
    @given(changes(), changes(tenant=2), st.integers(0, 10_000))
    def check(rows: list[Change], others: list[Change], seed: int) -> None:
        alone, beside = worker(detectors), worker(detectors)
        mixed: list[Change] = []
        mine, theirs = list(reversed(rows)), list(reversed(others))
        draws = random.Random(seed)
        while mine or theirs:
            mixed.append((mine if mine and (not theirs or draws.random() < 0.5) else theirs).pop())
        for row in rows:
            alone.run([row])
        for row in mixed:
            beside.run([row])
        for sut in (alone, beside):
            sut.run([], tick_ms=END_MS)
        assert reported(beside) == reported(alone)

    check()


def check_state_stays_small(detector: Detector) -> None:
    """After 5,000 rows of one entity its state is small."""
    defects: list[str] = []
    (watch,) = watched([detector], defects)
    sut = worker([watch])
    draws = random.Random(7)
    rows = []
    for number in range(5_000):
        table = draws.choice(detector.tables) if detector.tables else "location"
        row = _plausible(table, number, draws)
        rows.append(change(table, row, lsn=1_000 + number, at_us=NOW_US + number * 600_000_000))
    for start in range(0, len(rows), 500):
        sut.run(rows[start : start + 500])
    assert defects == []
    assert watch.state_bytes_max < STATE_BYTES_MAX


def check_missing_and_strange_columns(detectors: Sequence[Detector], table: str, operation: str) -> None:
    """A row without columns, and one with columns that nobody knows, are no anomaly."""
    defects: list[str] = []
    sut = worker(watched(detectors, defects))
    bare = {"id": 1, "tenant_id": 1}
    strange = bare | {"colour": "red", "nested": {"a": [1, 2]}, "person_id_2": 5}
    for lsn, after in ((10, bare), (20, strange)):
        source = {"ts_us": NOW_US + lsn, "sequence": f'["{lsn - 1}","{lsn}"]', "lsn": lsn, "txId": 1}
        body = {"op": operation, "before": bare if operation == "u" else None, "after": after, "source": source}
        made = ChangeDecoder().decode(table, json.dumps(body).encode())
        assert made is not None
        assert isinstance(made.row, ROW_TYPES[table])
        sut.run([made])
    sut.run([], tick_ms=END_MS)
    types = {finding["finding_type"] for record in reported(sut) for finding in json.loads(record).get("findings", [])}
    assert (defects, dead(sut)) == ([], [])
    assert types <= {"DATA_QUALITY"}


def _plausible(table: str, number: int, draws: random.Random) -> dict[str, Any]:
    """A row of one entity: of the same person and device, and of the same row where that is the entity."""
    at = NOW + timedelta(minutes=10 * number, seconds=draws.randrange(60))
    row: dict[str, Any] = {
        "id": 1 if table in {"ticket", "device", "work_order"} else number,
        "tenant_id": 1,
        "site_id": draws.choice((1, 2)),
    }
    mine: dict[str, dict[str, Any]] = {
        "attendance": {
            "person_id": 7, "verified_person_id": 7, "device_id": draws.choice((3, 4)), "occurred_at": at,
            "event_type": draws.choice(("CHECK_IN", "CHECK_OUT")), "latitude": 52 + draws.random(), "longitude": 13.0,
        },
        "location": {
            "person_id": 7, "device_id": 3, "latitude": 52 + draws.random(), "longitude": 13 + draws.random(),
            "accuracy_m": 5 + draws.random(), "speed_mps": draws.random(), "is_mock": False, "recorded_at": at,
        },
        "jobneed": {
            "person_id": 7, "job_type": "TOUR", "status": draws.choice(("ASSIGNED", "COMPLETED")), "title": f"Tour {number}",
            "planned_start": at, "due_at": at + timedelta(hours=1), "started_at": at, "completed_at": at + timedelta(minutes=9),
            "checkpoints_expected": 5, "checkpoints_scanned": 5,
        },
        "ticket": {"status": draws.choice(("OPEN", "CLOSED")), "priority": "HIGH", "created_at": at, "escalation_level": number},
        "work_order": {"status": draws.choice(("OPEN", "DONE")), "due_at": at + timedelta(days=1), "created_at": at},
        "device": {"status": draws.choice(("ONLINE", "OFFLINE")), "last_seen": at, "battery_percent": 50.0},
    }  # fmt: skip
    return row | mine.get(table, {})
