"""Whether batches took their rows in the order of the commits."""

from chaos.plain_fold import Source


class CommitOrder:
    """Where nothing came late, the journal's order must be the order of the commits (but for repeats)."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int, str, int]] = set()
        self._last = (0, 0)

    def broken_by(self, sources: list[Source]) -> str | None:
        """What is wrong with these, the next batch; None where nothing is."""
        for source in sorted(sources, key=lambda each: each.place):
            if source.body is None:
                continue
            row = source.body["after"] or source.body["before"]
            identity = (*source.place[:2], source.table, row["id"])
            if identity in self._seen:
                continue
            self._seen.add(identity)
            if source.place[:2] < self._last:
                return f"takes {identity} after {self._last}, but counts nothing as late"
            self._last = source.place[:2]
        return None
