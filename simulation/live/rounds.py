"""Many rows at once, cut so that no tenant goes over its rate limit. Owns nothing but the cut."""

from collections.abc import Mapping, Sequence

from simulation.live.operations import Operation, Planted, Transaction

Told = tuple[Operation, Planted | None]
"""A row and what the feed shows because of it."""


def rounds(rows: Mapping[int, Sequence[Told]], size: int) -> list[list[Transaction]]:
    """Rounds of one transaction a tenant; each is for at least a window of the rate limit after the one before.

    Args:
        rows: by tenant, in the order in which they are to be committed.
        size: rows of a transaction at the most.

    >>> from simulation.live.operations import Delete
    >>> many = {1: [(Delete("device", number), None) for number in range(5)], 2: [(Delete("device", 9), None)]}
    >>> [[(each.tenant_id, len(each.operations)) for each in one] for one in rounds(many, 3)]
    [[(1, 3), (2, 1)], [(1, 2)]]
    """
    made: list[list[Transaction]] = []
    for tenant_id, told in rows.items():
        for place, first in enumerate(range(0, len(told), size)):
            if place == len(made):
                made.append([])
            part = told[first : first + size]
            planted = tuple(kind for _, kind in part if kind is not None)
            made[place].append(Transaction(tenant_id, tuple(operation for operation, _ in part), planted))
    return made
