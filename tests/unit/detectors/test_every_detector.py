"""What every detector of the registry owes, whatever rows come: checked over absurd ones, through the worker's fold."""

import itertools
import json
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.absurd_rows import Watched, changes, watched
from support.changes import NOW, NOW_US, TOPICS, Worker, change

from contracts.envelope import Change, ChangeDecoder
from contracts.rows import ROW_TYPES
from detectors.interface import Detector
from detectors.registry import DETECTORS

STATE_BYTES_MAX = 16_384
HOUR_MS = 3_600_000
END_MS = NOW_US // 1000 + 1_000 * HOUR_MS


def worker(detectors: list[Any]) -> Worker:
    return Worker(detectors=detectors, limit=1_000_000, run_max=1_000_000)


def dead(sut: Worker) -> list[bytes]:
    """Names of what buried a record."""
    return [dict(letter.headers)["detector"] for letter in sut.outputs.get(TOPICS.dead_letters, [])]


def reported(sut: Worker, tenant: int = 1) -> list[bytes]:
    return [
        record.value
        for record in sut.outputs.get(TOPICS.anomalies, [])
        if json.loads(record.value)["tenant_id"] == tenant
    ]


@settings(max_examples=80, deadline=None)
@given(changes())
def test_no_rows_make_it_raise_forget_itself_or_say_two_things_of_one(rows: list[Change]) -> None:
    defects: list[str] = []
    sut = worker(watched(DETECTORS, defects))
    sut.run(rows)
    sut.run([], tick_ms=END_MS)
    assert defects == []
    assert set(dead(sut)) <= {b"ticket"}, "a ticket's status change without its old row is refused"


@settings(max_examples=30, deadline=None)
@given(changes(), st.lists(st.integers(0, 40), max_size=6))
def test_any_split_into_micro_batches_gives_the_same_feed(rows: list[Change], cuts: list[int]) -> None:
    whole, parts = worker(list(DETECTORS)), worker(list(DETECTORS))
    whole.run(rows)
    edges = [0, *sorted(cuts), len(rows)]
    for start, end in itertools.pairwise(edges):
        parts.run(rows[start:end])
    for sut in (whole, parts):
        sut.run([], tick_ms=END_MS)
    assert reported(parts) == reported(whole)


@settings(max_examples=30, deadline=None)
@given(changes(), changes(tenant=2), st.integers(0, 10_000))
def test_another_tenants_rows_change_nothing(rows: list[Change], others: list[Change], seed: int) -> None:
    alone, beside = worker(list(DETECTORS)), worker(list(DETECTORS))
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


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.name)
def test_its_state_stays_small(detector: Detector) -> None:
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


def _plausible(table: str, number: int, draws: random.Random) -> dict[str, Any]:
    """A row of one entity: of the same person and device, and of the same row where that is the entity."""
    at = NOW + timedelta(minutes=10 * number, seconds=draws.randrange(60))
    row = {
        "id": 1 if table in {"ticket", "device", "work_order"} else number,
        "tenant_id": 1,
        "site_id": draws.choice((1, 2)),
    }
    mine = {
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


@pytest.mark.parametrize("table", sorted({table for each in DETECTORS for table in each.tables}))
@pytest.mark.parametrize("operation", ["c", "u", "r"])
def test_rows_without_columns_and_with_strange_ones_are_no_anomaly(table: str, operation: str) -> None:
    defects: list[str] = []
    sut = worker(watched(DETECTORS, defects))
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


def test_the_watch_sees_what_it_is_for() -> None:
    class Forgetful:
        name, tables, entity = DETECTORS[0].name, DETECTORS[0].tables, DETECTORS[0].entity
        state_type, policy = None, DETECTORS[0].policy
        calls = 0

        def judge(self, state: Any, event: Any, _policy: Any) -> Any:
            self.calls += 1
            if self.calls > 2:
                raise ZeroDivisionError
            return state, [] if self.calls == 1 else [event]

    defects: list[str] = []
    watch = Watched(Forgetful(), defects)  # type: ignore[arg-type]  # it is a poor one
    watch.judge(None, None, None)  # type: ignore[arg-type]
    watch.judge(None, None, None)  # type: ignore[arg-type]
    assert ["say the same" in each for each in defects] == [True, False]
    assert "ZeroDivisionError" in defects[1]
