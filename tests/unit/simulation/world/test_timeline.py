"""What happens when: identifiers are unique, commits never go back, and an update starts from the row before it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.world.timeline import Timeline

times = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=30)


@given(first=times, second=times)
def test_changes_come_in_commit_order_with_identifiers_of_their_own(first: list[float], second: list[float]) -> None:
    timeline = Timeline({"location": 7})
    for at_s in first:
        timeline.insert("location", 1, at_s)
    changes = list(timeline.take(5e5))
    for at_s in second:
        timeline.insert("location", 1, max(at_s, 5e5 + 1))
    changes += timeline.take(2e6)
    commits = [change.commit_us for change in changes]
    assert commits == sorted(commits)
    assert len(changes) == len(first) + len(second)
    ids = [(change.after or {})["id"] for change in changes]
    assert sorted(ids) == list(range(7, 7 + len(ids)))


def test_an_update_starts_from_the_row_as_it_is_by_then() -> None:
    timeline = Timeline()
    row_id = timeline.insert("ticket", 1, 10.0, status="NEW", priority="LOW").row_id
    timeline.update("ticket", row_id, 30.0, status="OPEN")
    timeline.update("ticket", row_id, 20.0, priority="HIGH")
    _, raised, opened = timeline.take(100.0)
    assert raised.after == opened.before == {"id": 1, "tenant_id": 1, "status": "NEW", "priority": "HIGH"}
    assert opened.after == {"id": 1, "tenant_id": 1, "status": "OPEN", "priority": "HIGH"}
    assert timeline.rows("ticket", 1) == [opened.after]
    assert timeline.rows("ticket", 2) == []


def test_work_that_has_ended_is_forgotten() -> None:
    timeline = Timeline()
    timeline.follow("ticket", 1, [(1.0, {"status": "NEW"}), (2.0, {"status": "CLOSED"})])
    assert [change.op for change in timeline.take(9.0)] == ["c", "u"]
    assert timeline.rows("ticket", 1) == []


def test_what_the_database_hears_of_late_comes_as_it_is_by_then() -> None:
    timeline = Timeline()
    steps = [(10.0, {"status": "NEW", "level": 0}), (20.0, {"status": "OPEN"}), (30.0, {"level": 1})]
    timeline.follow("ticket", 1, steps, written_s=25.0)
    created, updated = timeline.take(100.0)
    assert (created.op, created.commit_us) == ("c", 25_000_000)
    assert created.after == {"id": 1, "tenant_id": 1, "status": "OPEN", "level": 0}
    assert updated.after == {"id": 1, "tenant_id": 1, "status": "OPEN", "level": 1}


def test_what_is_cancelled_before_its_time_does_not_happen() -> None:
    timeline = Timeline()
    timeline.insert("attendance", 1, 10.0).cancelled = True
    assert list(timeline.take(20.0)) == []


def test_what_is_decided_at_its_time_may_enter_more() -> None:
    timeline = Timeline()
    timeline.call(10.0, lambda now_s: timeline.insert("location", 1, now_s + 5) and None)
    assert [change.commit_us for change in timeline.take(12.0)] == []
    assert [change.commit_us for change in timeline.take(15.0)] == [15_000_000]


def test_nothing_can_be_entered_before_what_was_given_out() -> None:
    timeline = Timeline()
    timeline.insert("location", 1, 10.0)
    list(timeline.take(10.0))
    with pytest.raises(ValueError, match="already taken"):
        timeline.insert("location", 1, 9.0)
