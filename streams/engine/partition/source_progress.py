"""How far a topic has come in the commit order, and what tells a repeat from a neighbour there. Pure."""

from collections.abc import Callable

from streams.engine.model import Entry

RecordIdentity = Callable[[Entry], str]
"""Tells records of the same commit order apart, such as table and primary key."""
NOWHERE: tuple[int, int, list[str]] = (-1, -1, [])


class SourceProgress:
    """How far a topic has come: the order reached, and the identities of its records at that order.

    One WAL record can hold many rows (COPY), all at one order; only their identities tell a repeat from a
    neighbour. They are worked out when they are asked for, which for most orders is never.
    """

    __slots__ = ("identities", "newest", "order")

    def __init__(self, commit_lsn: int, lsn: int, identities: list[str]) -> None:
        self.order = (commit_lsn, lsn)
        self.identities: list[str] | None = identities
        self.newest: Entry | None = None

    def known(self, identity: RecordIdentity) -> list[str]:
        """Identities at the order reached."""
        if self.identities is None:
            assert self.newest is not None  # noqa: S101 - set together with the order
            self.identities = [identity(self.newest)]
        return self.identities

    def holds(self, entry: Entry, identity: RecordIdentity) -> bool:
        """Whether an entry at the order reached is there already; afterwards it is."""
        known, own = self.known(identity), identity(entry)
        if own in known:
            return True
        self.identities = [*known, own]
        return False
