"""An event that waits is the same event afterwards, also when it waited over a restart."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.changes import NOW, NOW_US, Record, change, check_in

from contracts.envelope import Change
from contracts.topics import CAPTURED_TABLES
from streams.engine.model import Entry
from streams.state.wait_queue import WaitingEvent, WaitQueue, entry_of, waiting_event


def entry_with(made: Change, offset: int = 7) -> Entry:
    record = Record(offset, value=b'{"op":"c"}', headers=[("h", b"1")])
    return Entry(made.commit_lsn, made.lsn, CAPTURED_TABLES.index(made.table), offset, made, record)


def stored(event: WaitingEvent) -> WaitingEvent:
    """As the changelog keeps it."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=WaitingEvent)


def test_after_a_restart_it_is_the_same_entry() -> None:
    row = {"id": 3, "tenant_id": 1, "person_id": 17, "site_id": 4, "occurred_at": NOW}
    for made in (check_in(5, latitude=48.1), change("attendance", row | {"accuracy_m": 5.0}, row, lsn=200)):
        entry = entry_with(made)
        event = stored(waiting_event(entry, ["site"], due_ms=9))
        assert (event.due_ms, event.needs, event.site_id) == (9, ["site"], 4)
        again = entry_of(event)
        assert again.change == entry.change
        assert (again.commit_lsn, again.lsn, again.source_index, again.offset) == (
            entry.commit_lsn, entry.lsn, entry.source_index, entry.offset,
        )  # fmt: skip


def test_its_dead_letter_has_the_original_key_and_value_but_not_its_headers() -> None:
    record = entry_of(stored(waiting_event(entry_with(check_in()), [], 0))).record
    assert (record.offset, record.timestamp, record.key) == (7, NOW_US // 1000, b'{"tenant_id":1}')
    assert (record.value, list(record.headers)) == (b'{"op":"c"}', [])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.none() | st.integers(1, 3))))
def test_a_queue_knows_whose_events_wait(steps: list[tuple[bool, int, int | None]]) -> None:
    queue, plain = WaitQueue(), dict[int, int | None]()
    for adds, number, person in steps:
        if adds and number not in plain:
            plain[number] = person
            queue.add(number, waiting_event(entry_with(check_in(person=person)), [], 0))  # type: ignore[arg-type]
        elif not adds and number in plain:
            del plain[number]
            queue.remove(number)
        assert list(queue.events) == list(plain)
        assert [queue.has(each) for each in (1, 2, 3)] == [each in plain.values() for each in (1, 2, 3)]
        assert not queue.has(None)


def test_a_queue_that_is_loaded_has_the_order_of_arrival() -> None:
    event = waiting_event(entry_with(check_in()), [], 0)
    assert list(WaitQueue([(3, event), (1, event), (2, event)]).events) == [1, 2, 3]
