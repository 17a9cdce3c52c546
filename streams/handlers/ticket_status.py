"""Ticket status changes (R4.8): on a change of status only, never on creation or an unchanged status."""

from typing import cast

from contracts.rows import Ticket
from streams.engine.model import Entry
from streams.outcomes import TicketStatusChanged
from streams.state.tables import TenantTables


class UnjudgeableError(Exception):
    """A row that can be read but not processed, because what it was before is not in the record."""


def status_change(tables: TenantTables, entry: Entry) -> TicketStatusChanged | None:
    """What an updated ticket's change of status is; None where its status is what it was.

    Raises:
        UnjudgeableError: the change lacks the old row, so nobody can say what changed.
    """
    change = entry.change
    after, before = cast(Ticket, change.row), cast(Ticket | None, change.before)
    if before is None:
        raise UnjudgeableError("an updated ticket without its old row: set REPLICA IDENTITY FULL on its table")
    if before.status == after.status or before.status is None or after.status is None:
        return None
    site = None if after.site_id is None else tables.sites.get((after.tenant_id, after.site_id))
    return TicketStatusChanged(entry, change, before, after, site)
