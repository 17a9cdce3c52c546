"""Changes of a ticket's status, which creation and updates with the same status are not."""

from typing import cast

from contracts.rows import Ticket
from streams.engine.model import Entry
from streams.outcomes import TicketStatusChanged
from streams.state.tables import TenantTables


class UnjudgeableError(Exception):
    """A row that cannot be processed because the record does not contain the old row."""


def status_change(tables: TenantTables, entry: Entry) -> TicketStatusChanged | None:
    """The change of status of an updated ticket; None if its status is the same.

    Raises:
        UnjudgeableError: the change lacks the old row, so the change of status is unknown.
    """
    change = entry.change
    after, before = cast(Ticket, change.row), cast(Ticket | None, change.before)
    if before is None:
        raise UnjudgeableError("an updated ticket without its old row: set REPLICA IDENTITY FULL on its table")
    if before.status == after.status or before.status is None or after.status is None:
        return None
    site = None if after.site_id is None else tables.sites.get((after.tenant_id, after.site_id))
    return TicketStatusChanged(entry, change, before, after, site)
