"""The worker in memory: rows in, findings out, and time that passes when it is told to."""

import pytest

from contracts.feed import AnomalyDetected, TicketUpdated
from detectors.work.ticket_escalated import TicketEscalated
from streams.testing import START, MemoryWorker


def test_a_detector_sees_rows_as_they_are_inserted_changed_and_deleted() -> None:
    worker = MemoryWorker([TicketEscalated()])
    assert worker.insert("ticket", id=7, status="OPEN", escalation_level=0) == []
    (finding,) = worker.update("ticket", 7, escalation_level=1)
    assert finding.finding_type == "TICKET_ESCALATED"
    assert worker.delete("ticket", 7) == []
    assert worker.findings == [finding]
    with pytest.raises(KeyError):
        worker.update("ticket", 7, escalation_level=2)


def test_an_event_whose_site_and_person_are_unknown_waits_for_them_as_in_production() -> None:
    worker = MemoryWorker(["wrong_person"])
    row = {"id": 7, "site_id": 4, "person_id": 17, "verified_person_id": 23, "event_type": "CHECK_IN"}
    assert worker.insert("attendance", **row) == []
    assert [finding.finding_type for finding in worker.wait(minutes=1)] == ["WRONG_PERSON"]


def test_time_passes_with_the_rows_and_when_the_caller_lets_it() -> None:
    worker = MemoryWorker(["ticket_sla_breach"])
    worker.insert("ticket", id=1, site_id=4, status="OPEN", priority="HIGH", created_at=START)
    assert worker.wait(hours=3) == []
    assert [finding.finding_type for finding in worker.wait(hours=2)] == ["TICKET_SLA_BREACH"]
    assert worker.wait(days=30) == []


def test_every_message_of_the_feed_is_kept_in_order() -> None:
    worker = MemoryWorker(["ticket_escalated"])
    worker.insert("ticket", id=1, status="NEW", priority="LOW", escalation_level=0)
    worker.update("ticket", 1, status="OPEN")
    worker.update("ticket", 1, escalation_level=1)
    assert [type(message) for message in worker.messages] == [TicketUpdated, AnomalyDetected]
    assert [getattr(message, "seq", None) for message in worker.messages] == [1, 2]
