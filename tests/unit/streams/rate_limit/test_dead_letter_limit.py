import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.changes import NOW_US, TOPICS, Record, Worker, check_in

from contracts.topics import CAPTURED_TABLES, TopicNames, tenant_key
from streams.engine.model import Entry, UnreadableRecord

LETTERS_MAX = 5
TOPIC = TopicNames().captured("location")


def poison(offset: int, tenant: int = 1, second: int = 0) -> Entry:
    """A location row that cannot be read."""
    record = Record(offset, NOW_US // 1000 + second * 1000, tenant_key(tenant), b"x")
    return Entry(0, 0, CAPTURED_TABLES.index("location"), offset, UnreadableRecord("no", "DecodeError"), record)


def worker(failures_min: int = 10**9) -> Worker:
    overrides = {"feed.dead_letters_per_tenant_max": LETTERS_MAX, "feed.dead_letters_interval_s": 60}
    return Worker(failures_min=failures_min, limit=1_000_000, worker=overrides)


def letters(sut: Worker) -> tuple[list[int], list[dict[str, Any]]]:
    """The offsets of the records with a dead letter of their own, and the reports of the others."""
    own, reports = [], []
    for letter in sut.outputs.get(TOPICS.dead_letters, []):
        headers = dict(letter.headers)
        if "records_left_out" in headers:
            reports.append(json.loads(letter.value or b""))
            assert int(headers["records_left_out"]) == reports[-1]["count"]
            assert letter.key == tenant_key(reports[-1]["tenant_id"])
        else:
            own.append(int(headers["source_offset"]))
    return own, reports


def test_beyond_the_limit_one_dead_letter_says_where_the_records_are() -> None:
    sut = worker()
    sut.memory.process([poison(offset) for offset in range(300)])
    assert letters(sut) == (list(range(LETTERS_MAX)), [])
    assert sut.wake_at_ms is not None
    sut.run([], tick_ms=sut.wake_at_ms)
    assert letters(sut)[1] == [{"tenant_id": 1, "count": 295, "offsets": {TOPIC: [[5, 299]]}}]
    assert sut.wake_at_ms is None


def test_it_is_each_tenants_own_and_begins_anew() -> None:
    sut = worker()
    sut.memory.process([poison(offset, tenant=offset % 2 + 1) for offset in range(40)])
    sut.memory.process([poison(40, tenant=2), poison(41, tenant=3), poison(42, tenant=1, second=61)])
    assert letters(sut)[0] == [*range(10), 41, 42]


def test_a_row_of_the_tenant_brings_the_report_too() -> None:
    sut = worker()
    sut.memory.process([poison(offset) for offset in range(10)])
    sut.run([check_in(at_us=NOW_US + 120_000_000)])
    assert [report["count"] for report in letters(sut)[1]] == [5]


def test_lines_in_the_log_are_bounded(caplog: Any) -> None:
    sut = worker()
    sut.memory.process([poison(offset) for offset in range(3_000)])
    sut.run([], tick_ms=NOW_US // 1000 + 120_000)
    assert len(caplog.records) <= LETTERS_MAX + 1


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from((1, 2, 3)), st.integers(0, 30), st.booleans()), max_size=400),
    st.lists(st.integers(0, 400), max_size=5),
)
def test_nothing_is_lost_and_any_split_says_the_same(rows: list[tuple[int, int, bool]], cuts: list[int]) -> None:
    second, entries = 0, []
    for offset, (tenant, step, wrong) in enumerate(rows):
        second += step
        if wrong:
            entries.append(poison(offset, tenant, second))
    said = []
    for bounds in ([0, len(entries)], [0, *sorted(min(cut, len(entries)) for cut in cuts), len(entries)]):
        sut = worker()
        for start, end in itertools.pairwise(bounds):
            sut.memory.process(entries[start:end])
        while sut.wake_at_ms is not None:
            sut.run([], tick_ms=sut.wake_at_ms)
        own, reports = letters(sut)
        said.append((own, reports))
        told = [at for each in reports for low, high in each["offsets"][TOPIC] for at in range(low, high + 1)]
        assert sorted(own + told) == [entry.offset for entry in entries]
        assert sum(each["count"] for each in reports) == len(told)
    assert said[0] == said[1]


def test_a_recovered_worker_goes_on() -> None:
    first = worker()
    first.memory.process([poison(offset) for offset in range(8)])
    second = worker()
    for key, value in first.memory.state.take_changes(1):
        second.memory.state.load(key, value)
    second.memory.process([poison(offset) for offset in range(8, 10)])
    second.run([], tick_ms=NOW_US // 1000 + 120_000)
    assert letters(second) == ([], [{"tenant_id": 1, "count": 5, "offsets": {TOPIC: [[5, 9]]}}])


def test_a_poisonous_tenant_does_not_stop_the_worker_and_the_others_go_on() -> None:
    """300 rows with an infinite time of one tenant, one row with a latitude of NaN of another."""
    sut = Worker(failures_min=10, tenants_min=3)
    sut.memory.process([poison(offset, tenant=1) for offset in range(300)])
    sut.memory.process([poison(300, tenant=2)])
    (record,) = sut.run([check_in(verified_person_id=5)])
    assert record.seq == 1
