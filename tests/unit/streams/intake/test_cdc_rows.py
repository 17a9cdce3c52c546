"""Whatever stands in a topic: it becomes an entry, and what became an entry can be stored."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from support.changes import FEED, NOW_US, Record, Worker

from common.time import iso_us
from contracts.envelope import ChangeDecoder
from contracts.topics import CAPTURED_TABLES
from streams.engine.model import Entry, UnreadableRecord
from streams.intake.cdc_rows import CdcRowReader
from streams.metrics import WorkerMetrics

ATTENDANCE = CAPTURED_TABLES.index("attendance")
FUTURE_MS = 5_000


def reader() -> CdcRowReader:
    return CdcRowReader(
        ChangeDecoder(), CAPTURED_TABLES, future_ms_max=FUTURE_MS, metrics=WorkerMetrics(CollectorRegistry())
    )


def envelope(**changes: Any) -> dict[str, Any]:
    source = {"ts_us": NOW_US, "sequence": '["90","100"]', "lsn": 100, "txId": 5} | changes.pop("source", {})
    return {"op": "c", "before": None, "after": {"id": 1, "tenant_id": 1}, "source": source} | changes


def entry(value: bytes) -> Entry:
    return reader().entry(ATTENDANCE, Record(value=value))


def test_a_good_record_has_its_place_in_commit_order() -> None:
    read = entry(json.dumps(envelope()).encode())
    assert (read.commit_lsn, read.lsn, read.change.commit_us) == (90, 100, NOW_US)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": {"sequence": "["}},
        {"source": {"sequence": '["1'}},
        {"source": {"sequence": '["99999999999999999999999","1"]'}},
        {"source": {"lsn": 10**30}},
        {"source": {"lsn": -1}},
        {"source": {"ts_us": 10**18}},
        {"after": {"id": 2**63, "tenant_id": 1}},
        {"after": {"id": 1, "tenant_id": 1, "person_id": 10**40}},
        {"op": "x"},
    ],
)
def test_numbers_and_positions_beyond_their_range_are_poison(changes: dict[str, Any]) -> None:
    assert isinstance(entry(json.dumps(envelope(**changes)).encode()).change, UnreadableRecord)


def test_deep_nesting_is_poison() -> None:
    assert isinstance(entry(b'{"after":' + b"[" * 100_000).change, UnreadableRecord)


@pytest.mark.parametrize(
    ("ahead_us", "taken_us", "claimed"),
    [(FUTURE_MS * 1000, FUTURE_MS * 1000, False), (FUTURE_MS * 1000 + 1, 0, True), (3_600_000_000, 0, True)],
    ids=["as far as clocks may differ", "further", "an hour"],
)
def test_a_commit_time_ahead_of_the_log_is_not_believed(ahead_us: int, taken_us: int, *, claimed: bool) -> None:
    read = entry(json.dumps(envelope(source={"ts_us": NOW_US + ahead_us})).encode())
    assert read.change.commit_us == NOW_US + taken_us
    assert read.change.claimed_commit_us == (NOW_US + ahead_us if claimed else None)


def test_one_wrong_clock_does_not_move_its_tenants_time() -> None:
    worker, reading = Worker(limit=2), reader()
    row = {"id": 1, "tenant_id": 1, "person_id": 7, "verified_person_id": 8}
    for number in range(6):
        ahead_us = 3_600_000_000 if number == 0 else 0
        source = {
            "ts_us": NOW_US + number * 1_000_000 + ahead_us,
            "lsn": 100 + number,
            "sequence": f'["90","{100 + number}"]',
        }
        value = json.dumps(envelope(after=row | {"id": number}, source=source)).encode()
        worker.run([reading.entry(ATTENDANCE, Record(number, NOW_US // 1000 + number * 1_000, value=value)).change])
    records = worker.feed()
    assert len(records) == 6  # none was dropped: each has its own second
    claimed = [record.source.claimed_commit_time for record in records]
    assert claimed == [iso_us(NOW_US + 3_600_000_000), *[None] * 5]
    assert records[0].source.commit_time == records[0].time == iso_us(NOW_US)
    assert b"claimed_commit_time" not in worker.outputs[FEED][1].value


def test_a_snapshot_row_stands_where_its_snapshot_was_taken_and_is_no_repeat() -> None:
    read = entry(json.dumps(envelope(op="r")).encode())
    assert (read.commit_lsn, read.lsn, read.snapshot_lsn) == (90, 0, 100)


_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)
_rows = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("id", "tenant_id", "site_id", "person_id", "occurred_at", "event_type"), _values),
)
_sources = st.fixed_dictionaries({}, optional=dict.fromkeys(("ts_us", "sequence", "lsn", "txId"), _values))


@settings(max_examples=400, deadline=None)
@given(
    st.binary(max_size=60)
    | st.builds(
        lambda op, before, after, source: json.dumps(
            {"op": op, "before": before, "after": after, "source": source}
        ).encode(),
        st.sampled_from(["c", "u", "d", "r"]) | _values,
        st.none() | _rows | _values,
        st.none() | _rows | _values,
        _sources | st.just(envelope()["source"]) | _values,
    ),
    st.sampled_from(range(len(CAPTURED_TABLES))),
)
def test_nothing_that_stands_in_a_topic_stops_the_worker(value: bytes, source_index: int) -> None:
    read = reader().entry(source_index, Record(value=value))
    worker = Worker(failures_min=10)
    if read.change is not None and not isinstance(read.change, UnreadableRecord):
        worker.run([read.change])
        for _ in worker.state.take_changes(1):
            pass
        msgspec.msgpack.encode((read.commit_lsn, read.lsn, read.snapshot_lsn))
