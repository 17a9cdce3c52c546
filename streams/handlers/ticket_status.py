"""Ticket status changes (R4.8): on a change of status only, never on creation or an unchanged status."""

from typing import cast

from contracts.envelope import Change
from contracts.feed import TicketUpdated
from contracts.rows import Ticket, known
from streams.feed.writer import event_id, feed_id, iso_us, source_of
from streams.state.entities import TenantState
from streams.state.tables import TenantTables

DESCRIPTION_CHARACTERS_MAX = 200


class UnjudgeableError(Exception):
    """A row that can be read but not processed, and why."""


def status_change(tables: TenantTables, tenant: TenantState, change: Change, epoch: str) -> TicketUpdated | None:
    """The message of an updated ticket; None where its status is what it was.

    It carries the tenant's next seq, which is taken when the record is sent.

    Raises:
        UnjudgeableError: the change lacks the old row, so nobody can say what changed.
    """
    after, before = cast(Ticket, change.row), cast(Ticket | None, change.before)
    if before is None:
        raise UnjudgeableError("an updated ticket without its old row: set REPLICA IDENTITY FULL on its table")
    if before.status == after.status or before.status is None or after.status is None:
        return None
    site = None if after.site_id is None else tables.sites.get((after.tenant_id, after.site_id))
    return TicketUpdated(
        tenant_id=after.tenant_id,
        seq=tenant.seq + 1,
        id=feed_id(change, "ticket_updated"),
        time=iso_us(change.commit_us),
        epoch=epoch,
        source=source_of(change),
        event_id=event_id(change),
        event_type="ticket",
        site_id=after.site_id,
        client_id=site.client_id if site else None,
        site_name=site.name if site else None,
        ticket_id=after.id,
        ticket_no=known(after.ticket_no),
        old_status=before.status,
        new_status=after.status,
        priority=after.priority,
        assigned_to=after.assigned_to,
        description=(known(after.description) or "")[:DESCRIPTION_CHARACTERS_MAX],
        updated_at=None if after.updated_at is None else iso_us(round(after.updated_at.timestamp() * 1e6)),
    )
