"""How many rows batches took after a later one: whether a worker's count of late records is honest."""

from chaos.plain_fold import Source


class CommitOrder:
    """The order of the commits so far, over all tables of a partition. Repeats of known rows do not count."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int, str, int]] = set()
        self._last = (0, 0)

    def late_in(self, sources: list[Source], fired_ms: int) -> int:
        """How much is late in the next batch: rows after a later commit, and rows after a timer of a later time.

        Args:
            sources: its records.
            fired_ms: the latest time of a timer that a tick of an earlier batch has fired.
        """
        late = 0
        for source in sorted(sources, key=lambda each: each.place):
            if source.body is None:
                continue
            row, place = source.body["after"] or source.body["before"], source.place[:2]
            identity = (*place, source.table, row["id"])
            if identity in self._seen:
                continue
            self._seen.add(identity)
            late += (place < self._last) + (source.body["source"]["ts_us"] < fired_ms * 1000)
            self._last = max(self._last, place)
        return late
