"""What a partition makes of its buffers: what is late, repeated or of another database; ticks; the journal's micro-batches.

Also of streams/engine/model.py, streams/engine/partition/micro_batch.py and streams/engine/partition/source_progress.py.
"""

from support.changes import Record
from support.filled_partition import TOPICS, entry, fill, lsns, next_batch, partition

from streams.engine.formats import JournalEntry
from streams.engine.model import Entry


def test_a_late_record_is_counted_and_processed() -> None:
    of = partition()
    for source_index, numbers in ((0, [9]), (1, []), (2, [])):
        fill(of, source_index, numbers)
    next_batch(of)
    fill(of, 1, [5])
    batch = next_batch(of)
    assert lsns(batch) == [5]
    assert batch is not None
    assert batch.late == 1


def test_what_a_restarted_connect_sends_again_is_dropped() -> None:
    of = partition()
    for source_index in range(3):
        fill(of, source_index, [1, 2, 3] if source_index == 0 else [])
    next_batch(of)
    of.add(0, [entry(2, 0, 3, "0:1"), entry(3, 0, 4, "0:2"), entry(4, 0, 5)], 6, 6, 1)
    batch = next_batch(of)
    assert lsns(batch) == [4]
    assert batch is not None
    assert (batch.repeats, batch.spans) == (2, {"a": (3, 6)})


def test_rows_of_one_wal_record_are_told_apart_by_their_identity() -> None:
    of = partition()
    for source_index in range(3):
        of.add(
            source_index,
            [entry(7, 0, 0, "x"), entry(7, 0, 1, "y"), entry(7, 0, 2, "x")] if source_index == 0 else [],
            3,
            3,
            1,
        )
    batch = next_batch(of)
    assert batch is not None
    assert [each.change for each in batch.entries] == ["x", "y"]


def test_a_snapshot_of_another_database_begins_a_new_history() -> None:
    of = partition()
    for source_index in range(3):
        fill(of, source_index, [900, 950] if source_index == 0 else [])
    next_batch(of)
    learn_only = Entry(40, 0, 0, 2, "learn_only", Record(2), 40)
    of.add(0, [learn_only, entry(41, 0, 3), entry(42, 0, 4)], 5, 5, 1)
    batch = next_batch(of)
    assert batch is not None
    assert (batch.new_history, batch.repeats, batch.late, len(batch.entries)) == (True, 0, 1, 3)


def test_a_snapshot_row_stands_where_its_snapshot_was_taken() -> None:
    of = partition()
    learn_only = Entry(40, 0, 1, 0, "learn_only", Record(0), 40)
    of.add(0, [entry(39, 0, 0), entry(41, 0, 1)], 2, 2, 1)
    of.add(1, [learn_only], 1, 1, 1)
    fill(of, 2, [])
    batch = next_batch(of)
    assert batch is not None
    assert [each.change for each in batch.entries] == ["0:0", "learn_only", "0:1"]
    fill(of, 2, [38])
    late = next_batch(of)
    assert late is not None
    assert (late.late, late.new_history) == (1, False)


def test_a_row_from_before_a_snapshot_that_was_processed_is_late() -> None:
    of = partition()
    of.add(1, [Entry(40, 0, 1, 0, "learn_only", Record(0), 40)], 1, 1, 1)
    for source_index in (0, 2):
        fill(of, source_index, [])
    next_batch(of)
    fill(of, 2, [39])
    late = next_batch(of)
    assert late is not None
    assert (late.late, late.new_history) == (1, False)


def test_a_full_buffer_that_ends_with_repeats_is_not_waited_for() -> None:
    of = partition()
    fill(of, 0, [7, 5], more=1)
    for source_index in (1, 2):
        fill(of, source_index, [])
    assert lsns(next_batch(of)) == [5, 7]


def test_a_later_snapshot_of_the_same_database_changes_nothing() -> None:
    of = partition()
    for source_index in range(3):
        fill(of, source_index, [900, 950] if source_index == 0 else [])
    next_batch(of)
    learn_only = Entry(960, 0, 0, 2, "learn_only", Record(2), 960)
    of.add(0, [learn_only, entry(950, 0, 3, "0:1"), entry(961, 0, 4)], 5, 5, 1)
    batch = next_batch(of)
    assert batch is not None
    assert (batch.new_history, batch.repeats) == (False, 1)


def test_a_tick_stays_behind_the_clock_by_the_grace() -> None:
    of = partition()
    of.wake_at_ms = 1_000
    for source_index in range(3):
        fill(of, source_index, [], asked_ms=1_249)
    assert next_batch(of) is None
    for source_index in range(3):
        fill(of, source_index, [], asked_ms=1_251)
    batch = next_batch(of)
    assert batch is not None
    assert batch.tick_ms == 1_001


def test_time_does_not_pass_while_one_topic_does_not_answer() -> None:
    of = partition()
    of.wake_at_ms = 1_000
    for source_index in range(3):
        fill(of, source_index, [], asked_ms=100)
    for source_index in range(2):
        fill(of, source_index, [], asked_ms=9_000)
    assert next_batch(of) is None


def test_a_timer_waits_until_the_records_before_it_are_processed() -> None:
    of = partition()
    of.wake_at_ms = 1_000
    for source_index in range(3):
        fill(of, source_index, [1] if source_index == 0 else [], more=source_index == 0, asked_ms=5_000)
    batch = next_batch(of)
    assert batch is not None
    assert batch.tick_ms is None
    fill(of, 0, [2], start=1, asked_ms=5_000)
    batch = next_batch(of)
    assert batch is not None
    assert (lsns(batch), batch.tick_ms) == ([2], 4_750)


def test_while_records_wait_the_log_itself_is_the_clock() -> None:
    of = partition()
    of.wake_at_ms = 1_000
    for source_index in range(3):
        fill(of, source_index, [1] if source_index == 0 else [], more=9 * (source_index == 0), asked_ms=5_000)
    batch = next_batch(of)
    assert batch is not None
    batch.wake_at_ms, batch.log_ms = 1_000, 1_300
    of.finish(batch)
    batch = next_batch(of)
    assert batch is not None
    assert (batch.entries, batch.tick_ms) == ([], 1_050)


def test_the_next_micro_batch_and_the_next_owner_know_what_a_tick_has_fired() -> None:
    of = partition()
    of.replay.extend([JournalEntry(1, 1, {}, 5_000), JournalEntry(1, 2, {}, 6_000)])
    first = next_batch(of)
    assert first is not None
    first.fired_ms = 4_000
    of.finish(first)
    of.ends = dict.fromkeys(TOPICS.all(), 0)
    successor = partition()
    successor.resume_at(of.position(TOPICS))
    second = next_batch(of)
    assert second is not None
    assert (first.ticked_ms, second.ticked_ms, successor.ticked_ms) == (0, 4_000, 4_000)


def test_journalled_micro_batches_are_run_again_exactly() -> None:
    of = partition()
    of.replay.extend([JournalEntry(1, 1, {"a": (0, 1), "b": (0, 2)}, 77), JournalEntry(1, 2, {"a": (1, 3)})])
    fill(of, 0, [1, 5, 9])
    assert next_batch(of) is None
    fill(of, 1, [2, 6])
    fill(of, 2, [])
    first, second = next_batch(of), next_batch(of)
    assert (lsns(first), lsns(second)) == ([1, 2, 6], [5, 9])
    assert first is not None
    assert (first.number, first.tick_ms) == (1, 77)
    assert not of.replay


def test_a_journalled_micro_batch_larger_than_the_buffer_is_still_fetched() -> None:
    of = partition()
    of.replay.append(JournalEntry(1, 1, {"a": (0, 3)}))
    assert of.wants(0, 100)
    fill(of, 0, [1, 2], more=1)
    assert of.buffered_bytes[0] >= 100
    assert of.wants(0, 100)
    fill(of, 0, [3], start=2)
    assert not of.wants(0, 100)
