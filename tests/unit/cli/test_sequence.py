"""Which messages a reader shows, and which it knows it missed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from watchfloor.client.events import Gap
from watchfloor.client.sequence import SequenceTracker


def message(seq: int, prev_seq: int, index: int = 0, of: int = 1) -> dict[str, Any]:
    return {"seq": seq, "prev_seq": prev_seq, "part": {"index": index, "of": of}}


def joined(seq: int = 0, epoch: str = "e1") -> SequenceTracker:
    tracker = SequenceTracker()
    assert tracker.established(epoch, seq) is None
    return tracker


def test_messages_in_order_are_new_and_repeats_are_not() -> None:
    tracker = joined(4)
    assert tracker.accept(message(5, 4)) == (True, None)
    assert tracker.accept(message(5, 4)) == (False, None)
    assert tracker.accept(message(3, 2)) == (False, None)
    assert tracker.accept(message(6, 5)) == (True, None)


def test_what_the_server_had_before_the_connection_is_not_new() -> None:
    assert joined(4).accept(message(4, 3)) == (False, None)


def test_every_part_of_a_record_is_shown_once() -> None:
    tracker = joined()
    shown = [tracker.accept(message(1, 0, index, 3))[0] for index in (0, 1, 0, 2, 2)]
    assert shown == [True, True, False, True, False]


def test_a_message_whose_predecessor_was_not_seen_shows_the_gap() -> None:
    tracker = joined()
    tracker.accept(message(1, 0))
    assert tracker.accept(message(5, 4)) == (True, Gap(2, 4, "lost"))


def test_numbers_that_are_for_others_are_no_gap() -> None:
    tracker = joined()
    tracker.accept(message(1, 0))
    assert tracker.accept(message(9, 1)) == (True, None)


def test_a_reconnection_shows_what_passed_meanwhile() -> None:
    tracker = joined()
    tracker.accept(message(1, 0))
    assert tracker.established("e1", 1) is None
    assert tracker.established("e1", 7) == Gap(2, 7, "disconnected")
    assert tracker.accept(message(8, 7)) == (True, None)


def test_a_record_that_broke_off_in_the_middle_is_missed_too() -> None:
    tracker = joined()
    tracker.accept(message(1, 0, 0, 2))
    assert tracker.established("e1", 1) == Gap(1, 1, "disconnected")


def test_a_gateway_that_is_behind_repeats_nothing() -> None:
    tracker = joined(10)
    assert tracker.established("e1", 6) is None
    assert tracker.accept(message(7, 6)) == (False, None)
    assert tracker.accept(message(11, 10)) == (True, None)


def test_a_new_log_starts_the_numbers_anew() -> None:
    tracker = joined(10)
    assert tracker.established("e2", 2) == Gap(None, None, "the log behind the feed is a new one")
    assert tracker.accept(message(3, 2)) == (True, None)


def test_messages_outside_the_sequence_are_always_new() -> None:
    tracker = joined(4)
    assert tracker.accept({"type": "event_processed"}) == (True, None)
    assert tracker.accept({"type": "event_processed"}) == (True, None)


@given(arrivals=st.lists(st.integers(1, 30), max_size=80))
def test_whatever_arrives_each_number_is_shown_once_and_every_missing_one_lies_in_a_gap(arrivals: list[int]) -> None:
    tracker = joined()
    shown: list[int] = []
    missed: set[int] = set()
    for seq in arrivals:
        fresh, gap = tracker.accept(message(seq, seq - 1))
        if fresh:
            shown.append(seq)
        if gap is not None:
            assert gap.first is not None
            assert gap.last is not None
            missed |= set(range(gap.first, gap.last + 1))
    assert shown == sorted(set(shown))
    assert set(range(1, max(shown, default=0) + 1)) == set(shown) | missed
    assert not set(shown) & missed
