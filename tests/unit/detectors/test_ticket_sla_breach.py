"""TICKET_SLA_BREACH: tickets that are open for too long."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.judged import Judged, at

from detectors.work.ticket_sla_breach import TicketSlaBreach, TicketSlaBreachPolicy


def ticket(policy: TicketSlaBreachPolicy | None = None, **more: Any) -> Judged:
    """One of priority HIGH that is created at minute 0."""
    sut = Judged(TicketSlaBreach(), policy)
    sut.insert(0, **({"status": "OPEN", "priority": "HIGH", "created_at": at(0)} | more))
    return sut


def test_each_priority_has_its_time() -> None:
    due = {word: ticket(priority=word).due_minutes() for word in ("CRITICAL", "HIGH", "MEDIUM", "LOW", "URGENT", None)}
    assert due == {"CRITICAL": 60, "HIGH": 240, "MEDIUM": 480, "LOW": 1440, "URGENT": None, None: None}


def test_the_clock_stands_still_on_hold() -> None:
    sut = ticket()
    sut.update(60, status="ON_HOLD", updated_at=at(59))
    assert sut.due_minutes() is None
    sut.update(120, status="IN_PROGRESS", updated_at=None)
    assert sut.due_minutes() == 240 + 61
    (draft,) = sut.wait(301)
    assert draft.evidence["observed_hours"] == 4.0
    assert draft.evidence["uncounted_hours"] == round(61 / 60, 3)


def test_a_policy_lets_it_run_on_hold() -> None:
    sut = ticket(TicketSlaBreachPolicy(hold_stops_clock=False))
    sut.update(60, status="ON_HOLD")
    assert sut.due_minutes() == 240


def test_one_that_is_opened_again_goes_on_with_the_time_it_had_left() -> None:
    sut = ticket()
    sut.update(60, status="RESOLVED")
    assert sut.wait(10_000) == []
    sut.update(1_060, status="OPEN", logged=False)
    assert sut.due_minutes() == 240 + 1_000


def test_one_that_is_opened_again_after_it_was_closed_has_its_whole_time() -> None:
    sut = ticket()
    sut.update(60, status="CLOSED")
    assert sut.state is None
    sut.update(1_000, status="OPEN")
    assert sut.due_minutes() == 1_240


def test_a_breach_is_reported_once_and_a_change_of_priority_moves_it_before() -> None:
    sut = ticket(priority="LOW")
    sut.update(10, priority="HIGH")
    assert sut.wait(240)
    sut.update(250, status="RESOLVED")
    sut.update(300, status="OPEN", priority="CRITICAL")
    assert sut.due_minutes() is None


def test_the_same_row_again_changes_nothing() -> None:
    sut = ticket()
    state = sut.state
    sut.update(5, description="seen")
    assert sut.state is state


@given(st.lists(st.tuples(st.floats(1, 300), st.booleans()), max_size=8))
def test_the_time_that_counts_is_what_was_not_spent_on_hold(steps: list[tuple[float, bool]]) -> None:
    sut = ticket(priority="LOW")
    minute, counted, held = 0.0, 0.0, False
    for length, hold in steps:
        minute, counted = minute + length, counted + (0 if held else length)
        held = hold
        sut.update(minute, status="ON_HOLD" if hold else "OPEN")
    sut.update(minute, status="OPEN")
    due = sut.due_minutes()
    assert due is not None
    assert abs((due - minute) - (1_440 - counted)) < 0.01
