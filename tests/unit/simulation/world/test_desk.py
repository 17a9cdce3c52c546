"""Tickets and work orders are labelled by what becomes of them."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.labelled.company import build_companies
from simulation.world.desk import BREACH_S, Ticket, WorkOrder, escalate, write_ticket, write_work_order
from simulation.world.timeline import Timeline

TENANT = build_companies(1, 1)[0]
SITE = TENANT.sites[0]


def ticket(priority: str, takes_s: float) -> Ticket:
    person = TENANT.staff[SITE.id][0]
    return Ticket(SITE, person, priority, 1_000.0, 1_000.0 + takes_s, 1_000.0 + takes_s + 60)


@given(seed=st.integers(0, 2**32), priority=st.sampled_from(sorted(BREACH_S)))
def test_a_ticket_that_is_dealt_with_in_time_is_closed_or_cancelled_without_a_label(seed: int, priority: str) -> None:
    timeline = Timeline()
    write_ticket(timeline, Random(seed), ticket(priority, 600.0))
    statuses = [(change.after or {})["status"] for change in timeline.take(1e6)]
    assert statuses[0] == "NEW"
    assert statuses[-1] in {"CLOSED", "CANCELLED"}
    assert timeline.labels == []


def test_a_late_ticket_of_high_priority_is_found_after_four_hours() -> None:
    timeline = Timeline()
    row_id = write_ticket(timeline, Random(1), ticket("HIGH", 5 * 3_600.0))
    [label] = timeline.labels
    assert (label.finding_type, label.entities, label.exact) == ("TICKET_SLA_BREACH", [f"ticket:{row_id}"], True)
    assert label.at_s == 1_000.0 + 4 * 3_600.0


def test_an_escalated_ticket_keeps_its_status() -> None:
    timeline = Timeline()
    row_id = write_ticket(timeline, Random(1), ticket("LOW", 600.0))
    escalate(timeline, TENANT.id, row_id, 1, 1_010.0)
    levels = [
        ((change.after or {})["status"], (change.after or {})["escalation_level"]) for change in timeline.take(1e6)
    ]
    assert levels[:2] == [("NEW", 0), ("NEW", 1)]
    assert [label.finding_type for label in timeline.labels] == ["TICKET_ESCALATED"]


@pytest.mark.parametrize(
    ("ends_s", "moved_to_s", "found"), [(8_000.0, None, False), (9_500.0, None, True), (9_500.0, 99_000.0, False)]
)
def test_a_work_order_is_overdue_by_its_last_deadline(ends_s: float, moved_to_s: float | None, found: bool) -> None:
    timeline = Timeline()
    write_work_order(timeline, Random(1), WorkOrder(SITE, 1_000.0, 2_000.0, 9_000.0, ends_s, moved_to_s=moved_to_s))
    assert [label.at_s for label in timeline.labels] == ([9_000.0] if found else [])
