"""TICKET_ESCALATED: tickets whose escalation level rises."""

from support.judged import Judged

from detectors.work.ticket_escalated import TicketEscalated, TicketEscalatedPolicy


def escalation(level: int | None = None) -> Judged:
    """A ticket that was created at this level."""
    sut = Judged(TicketEscalated())
    sut.found = sut.insert(0, status="OPEN", priority="LOW", escalation_level=level)
    return sut


def test_each_rise_is_reported_with_the_old_level() -> None:
    sut = escalation(0)
    assert sut.found == []
    (draft,) = sut.update(1, escalation_level=2)
    assert (draft.evidence["expected"], draft.evidence["observed"]) == (0, 2)
    assert sut.update(2, status="IN_PROGRESS") == []
    assert sut.update(3, status="IN_PROGRESS", logged=False) == []
    assert len(sut.update(4, escalation_level=3, logged=False)) == 1


def test_one_that_is_created_escalated_is_reported() -> None:
    assert len(escalation(1).found) == 1


def test_only_a_level_that_rises_is_reported_each_time() -> None:
    sut = escalation(2)
    assert sut.update(1, escalation_level=0) == []
    assert sut.state is None
    assert sut.update(2, escalation_level=None) == []
    assert len(sut.update(3, escalation_level=1)) == 1


def test_a_ticket_that_has_ended_is_not_reported() -> None:
    assert escalation(0).update(1, escalation_level=1, status="CLOSED") == []


def test_low_levels_can_be_left_out() -> None:
    sut = Judged(TicketEscalated(), TicketEscalatedPolicy(level_min=2))
    assert sut.insert(0, status="OPEN", escalation_level=1) == []
    assert len(sut.update(1, escalation_level=2)) == 1
