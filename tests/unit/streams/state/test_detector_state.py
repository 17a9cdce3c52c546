"""What detectors remember, by entity."""

from support.changes import Worker, change, ticket_row

from detectors.registry import named


def test_a_memory_in_which_nothing_is_left_goes() -> None:
    worker = Worker(detectors=named(["ticket_escalated"]))
    raised = ticket_row("OPEN", escalation_level=1)
    worker.run([change("ticket", raised, lsn=500)])
    memories = worker.state["memory_ticket_row"]
    assert len(memories) == 1
    worker.run([change("ticket", raised | {"escalation_level": 0}, raised, lsn=501)])
    assert len(memories) == 0
