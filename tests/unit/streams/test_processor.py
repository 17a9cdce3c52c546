"""The fold over a partition: however the log is cut, and whatever cannot be read in it.

Also of streams/outcomes.py and streams/state/tables.py.
"""

from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.changes import NOW_US, TOPICS, Worker, check_in, shift

from contracts.findings import Category, FindingType, Severity
from detectors.attendance.wrong_person import WrongPerson
from detectors.finding_draft import FindingDraft
from detectors.interface import Event, FindingDrafts
from streams.engine.model import UnreadableRecord
from streams.feed.breaker import BreakerOpenError


class Raising(WrongPerson):
    name = "raising"

    def judge(self, *_: Any) -> NoReturn:
        raise ZeroDivisionError("a defect")


class Unencodable(WrongPerson):
    name = "unencodable"

    def judge(self, state: None, event: Event[Any], _: Any) -> tuple[None, FindingDrafts]:
        if event.row.id != 2:
            return state, ()
        judgement = FindingDraft(
            finding_type=FindingType.WRONG_PERSON,
            category=Category.ATTENDANCE,
            severity=Severity.LOW,
            title="",
            description="",
            evidence={"impossible": object()},  # type: ignore[dict-item]
        )
        return state, (judgement,)


def test_a_record_that_cannot_be_written_leaves_no_hole_in_the_numbers() -> None:
    worker = Worker(detectors=(Unencodable(), WrongPerson()))
    records = worker.run([check_in(number, lsn=number, verified_person_id=23) for number in (1, 2, 3)])
    assert [(record.source.key, record.seq) for record in records] == [("1", 1), ("3", 2)]
    assert len(worker.outputs[TOPICS.dead_letters]) == 1


def test_an_unreadable_record_is_a_dead_letter_and_its_neighbours_are_processed() -> None:
    worker = Worker()
    records = worker.run([check_in(1, lsn=1), UnreadableRecord("not JSON", "DecodeError"), check_in(2, lsn=2)])
    assert [record.source.key for record in records] == ["1", "2"]
    (letter,) = worker.outputs[TOPICS.dead_letters]
    assert dict(letter.headers)["reason"] == b"not JSON"
    assert letter.value == b"{}"


def test_failures_of_most_tenants_stop_the_worker_before_anything_is_buried() -> None:
    worker = Worker(failures_min=3)
    with pytest.raises(BreakerOpenError):
        worker.run([UnreadableRecord("not JSON", "DecodeError")] * 4)
    assert worker.outputs == {}


def test_some_unreadable_records_are_borne_however_large_the_micro_batch() -> None:
    worker = Worker(failures_min=3, limit=1_000)
    rows: list[Any] = [check_in(number, lsn=number + 1) for number in range(100)]
    for at in range(90, 0, -10):
        rows.insert(at, UnreadableRecord("not JSON", "DecodeError"))
    worker.run(rows)
    assert len(worker.outputs[TOPICS.dead_letters]) == 9


def test_a_detector_that_always_raises_blows_the_fuse_too() -> None:
    worker = Worker(detectors=(Raising(),), failures_min=3)
    with pytest.raises(BreakerOpenError):
        worker.run([check_in(number, lsn=number + 1) for number in range(4)])


def _company(draw_events: list[tuple[int, int, bool]]) -> list[Any]:
    changes: list[Any] = [shift(tenant=tenant, lsn=tenant) for tenant in (1, 2, 3)]
    for index, (tenant, millisecond, wrong) in enumerate(draw_events):
        at_us = NOW_US + (index * 40 + millisecond) * 1000
        verified = 23 if wrong else 17
        changes.append(check_in(index, tenant=tenant, lsn=100 + index, at_us=at_us, verified_person_id=verified))
    return changes


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 30), st.booleans()), max_size=60),
    st.lists(st.integers(1, 20), max_size=20),
)
def test_any_split_into_micro_batches_gives_the_same_feed_and_state(
    events: list[tuple[int, int, bool]], sizes: list[int]
) -> None:
    changes = _company(events)
    whole, split = Worker(limit=3), Worker(limit=3)
    whole.run(changes)
    rest = list(changes)
    for size in [*sizes, len(changes)]:
        part, rest = rest[:size], rest[size:]
        split.run(part)
    assert [each.value for each in split.outputs.get(TOPICS.anomalies, [])] == [
        each.value for each in whole.outputs.get(TOPICS.anomalies, [])
    ]
    assert split.state["tenant"].data == whole.state["tenant"].data
    for tenant in (1, 2, 3):
        numbers = [record.seq for record in whole.feed() if record.tenant_id == tenant]
        assert numbers == list(range(1, len(numbers) + 1))
