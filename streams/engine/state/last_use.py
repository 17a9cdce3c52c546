"""The order in which the keys of one group of a bounded table were last used: a heap that is corrected lazily."""

import heapq
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_REBUILD_MIN = 64
"""A heap below this size is not searched for entries of keys that are gone."""


class LastUse(Generic[K]):
    """The keys of one group by last use.

    Args:
        used_us: gives the log time of a key's last use, which never decreases while the key is there; None: it is gone.
        entries: times and keys to begin with.
    """

    __slots__ = ("_heap", "_used_us", "count")

    def __init__(self, used_us: Callable[[K], int | None], entries: list[tuple[int, K]]) -> None:
        self._used_us = used_us
        self._heap: list[tuple[int, Any]] = entries
        heapq.heapify(self._heap)
        self.count = len(self._heap)
        """Keys that are there; the heap may hold entries of keys that are gone."""

    def add(self, key: K, now_us: int) -> None:
        """Count a new key."""
        self.count += 1
        heapq.heappush(self._heap, (now_us, key))
        if len(self._heap) > 2 * self.count + _REBUILD_MIN:  # a key that comes and goes leaves an entry each time
            keys = {key for _, key in self._heap}
            self._heap = [(used_us, key) for key in keys if (used_us := self._used_us(key)) is not None]
            heapq.heapify(self._heap)

    def settle(self) -> bool:
        """Look at the top entry; returns whether it is the least recently used key.

        Where it is not, its entry is corrected or dropped: call again. False also where no entry is left.
        """
        queued_us, key = self._heap[0]
        used_us = self._used_us(key)
        if used_us == queued_us:
            return True
        if used_us is None:
            heapq.heappop(self._heap)
        else:
            heapq.heapreplace(self._heap, (used_us, key))
        return False

    @property
    def top(self) -> tuple[int, K] | None:
        """The top entry: no key was last used before its time. Its own key may have been used later, see `settle`."""
        return self._heap[0] if self._heap else None

    def keys(self) -> list[K]:
        """The keys that are there, sorted."""
        return sorted({key for _, key in self._heap if self._used_us(key) is not None})

    def least_recent(self) -> K:
        """The least recently used key; of several the smallest. There must be one."""
        while not self.settle():
            pass
        return self._heap[0][1]  # type: ignore[no-any-return]
