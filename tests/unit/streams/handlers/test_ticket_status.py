"""A ticket whose status changed is a message, whatever else is said of it."""

import pytest
from support.changes import TOPICS, Worker, change, ticket_row

from contracts.feed import TicketUpdated


@pytest.mark.parametrize(
    ("before", "after", "messages"),
    [("NEW", "OPEN", 1), ("NEW", "NEW", 0), (None, "NEW", 0)],
    ids=["changed status", "unchanged status", "creation"],
)
def test_ticket_updated_is_a_change_of_status_only(before: str | None, after: str, messages: int) -> None:
    old = None if before is None else ticket_row(before)
    worker = Worker()
    records = worker.run([change("ticket", ticket_row(after, description="x" * 300), old)])
    assert len(records) == messages
    assert TOPICS.dead_letters not in worker.outputs
    for record in records:
        assert isinstance(record, TicketUpdated)
        assert (record.old_status, record.new_status, len(record.description)) == (before, after, 200)


def test_a_ticket_update_without_its_old_row_is_a_dead_letter_that_says_what_to_do() -> None:
    worker = Worker()
    assert worker.run([change("ticket", ticket_row("OPEN"), op="u")]) == []
    (letter,) = worker.outputs[TOPICS.dead_letters]
    assert b"REPLICA IDENTITY FULL" in dict(letter.headers)["reason"]
