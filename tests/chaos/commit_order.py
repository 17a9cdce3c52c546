"""How many rows batches took after a later one: whether a worker's count of late records is honest."""

from chaos.plain_fold import Source


class CommitOrder:
    """The order of the commits so far, over all tables of a partition. Repeats of known rows do not count."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int, str, int]] = set()
        self._last = (0, 0)

    def late_in(self, sources: list[Source]) -> int:
        """The late ones among these, the records of the next batch: each comes after a later commit."""
        late = 0
        for source in sorted(sources, key=lambda each: each.place):
            if source.body is None:
                continue
            row, place = source.body["after"] or source.body["before"], source.place[:2]
            identity = (*place, source.table, row["id"])
            if identity in self._seen:
                continue
            self._seen.add(identity)
            late += place < self._last
            self._last = max(self._last, place)
        return late
