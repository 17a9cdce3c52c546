"""What is committed together and what the feed shows because of it; many rows cut so that no tenant exceeds its limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulation.records import RowChange

TICKET_UPDATED, RATE_LIMITED = "ticket_updated", "rate_limited"
"""What the feed shows besides findings, named as there."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """Row changes of one tenant."""

    tenant_id: int
    changes: tuple[RowChange, ...]
    planted: tuple[str, ...] = ()
    """Finding types and message types that the feed shows once this is committed, each as often as it shows."""


def transaction(tenant_id: int, changes: Sequence[RowChange], planted: Sequence[str] = ()) -> Transaction:
    """A transaction that counts the tickets whose status changes."""
    updates = [
        TICKET_UPDATED
        for change in changes
        if change.table == "ticket"
        and change.before is not None
        and change.after is not None
        and change.before["status"] != change.after["status"]
    ]
    return Transaction(tenant_id, tuple(changes), (*updates, *planted))


def rounds(changes: Mapping[int, Sequence[RowChange]], size: int) -> list[list[Transaction]]:
    """Rounds of one transaction a tenant; each is for at least a window of the rate limit after the one before.

    Args:
        changes: by tenant, in the order in which they are to be committed.
        size: changes of a transaction at the most.

    >>> def gone(number):
    ...     return RowChange("device", "d", {"id": number}, None, 0)
    >>> many = {1: [gone(number) for number in range(5)], 2: [gone(9)]}
    >>> [[(each.tenant_id, len(each.changes)) for each in one] for one in rounds(many, 3)]
    [[(1, 3), (2, 1)], [(1, 2)]]
    """
    made: list[list[Transaction]] = []
    for tenant_id, each in changes.items():
        for number, first in enumerate(range(0, len(each), size)):
            if number == len(made):
                made.append([])
            made[number].append(transaction(tenant_id, each[first : first + size]))
    return made
