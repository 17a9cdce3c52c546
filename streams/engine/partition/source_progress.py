"""How far each topic has come in commit order; tells repeats and late records by it. Pure."""

from collections.abc import Sequence

from streams.engine.formats import PartitionPosition
from streams.engine.model import Entry
from streams.engine.partition.merge import CommitOrder
from streams.engine.spec import RecordIdentity

_NOT_BEGUN: CommitOrder = (-1, -1)


class SourceProgress:
    """How far a topic has come: the order reached, and the identities of its records at that order.

    One WAL record can hold many rows (COPY), all at one order; only their identities tell a repeat from another row.
    They are worked out when they are needed, which for most orders is never.
    """

    __slots__ = ("identities", "newest", "order")

    def __init__(self, order: CommitOrder, identities: list[str]) -> None:
        self.order = order
        self.identities: list[str] | None = identities
        self.newest: Entry | None = None

    def known(self, identity: RecordIdentity) -> list[str]:
        """Identities at the order reached."""
        if self.identities is None:
            assert self.newest is not None  # noqa: S101 - set together with the order
            self.identities = [identity(self.newest)]
        return self.identities

    def holds(self, entry: Entry, identity: RecordIdentity) -> bool:
        """Whether an entry at the order reached was there before; afterwards it counts as there."""
        known, own = self.known(identity), identity(entry)
        if own in known:
            return True
        self.identities = [*known, own]
        return False


class CommitProgress:
    """How far a partition has come in commit order, topic by topic.

    Args:
        topics: source topics by index.
    """

    def __init__(self, topics: Sequence[str], identity: RecordIdentity) -> None:
        self.last_order: CommitOrder = (0, 0)
        """Of the latest processed record."""
        self.by_topic: dict[str, tuple[int, int, list[str]]] = {}
        """Topic to the order of its latest record and the identities at that order."""
        self._topics = topics
        self._identity = identity

    def resume_at(self, position: PartitionPosition) -> None:
        """Go on from a recovered position."""
        self.last_order = position.last_order
        self.by_topic = dict(position.progress)

    def screen(self, entries: list[Entry]) -> tuple[list[Entry], int, int, bool]:
        """Drop what a restarted connector sent again, count what came late, note the commit order reached.

        Entries with LSN 0 (unreadable records, rows of a snapshot) are never repeats.

        Returns:
            The entries that are left, the numbers of repeats and of late ones, and whether there is a new history.
        """
        kept: list[Entry] = []
        append = kept.append
        repeats = late = 0
        new_history = False
        sources = [self._progress_of(topic) for topic in self._topics]
        last = self.last_order
        for entry in entries:
            lsn = entry.lsn
            if lsn:
                order = (entry.commit_lsn, lsn)
                reached = sources[entry.source_index]
                if order > reached.order:
                    reached.order, reached.newest, reached.identities = order, entry, None
                elif order < reached.order or reached.holds(entry, self._identity):
                    repeats += 1
                    continue
                if order < last:
                    late += 1
                else:
                    last = order
            elif entry.snapshot_lsn:
                if entry.snapshot_lsn < last[0]:
                    # Within one database a snapshot is never older than what was streamed before it. Everything
                    # of the new database would look like a repeat of the old one.
                    new_history = True
                    late += 1
                    self.by_topic.clear()
                    sources = [self._progress_of(topic) for topic in self._topics]
                    last = _NOT_BEGUN
                last = max(last, (entry.snapshot_lsn, 0))
            append(entry)
        self.last_order = last
        for topic, reached in zip(self._topics, sources, strict=True):
            if reached.order != _NOT_BEGUN:
                self.by_topic[topic] = (*reached.order, reached.known(self._identity))
        return kept, repeats, late, new_history

    def _progress_of(self, topic: str) -> SourceProgress:
        commit_lsn, lsn, identities = self.by_topic.get(topic, (*_NOT_BEGUN, []))
        return SourceProgress((commit_lsn, lsn), identities)
