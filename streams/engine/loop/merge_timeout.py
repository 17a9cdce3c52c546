"""How long the merge waits for a topic that lags and returns nothing. Pure; the caller's clock."""

from collections.abc import Sequence, Sized

ROUNDS_MIN = 20
"""At least so many fetches must have returned nothing, too: a worker that takes a second per fetch has not waited long
for the broker. Under load a fetch has room for some of the topics only, and within so many each has had its turn."""


class MergeTimeout:
    """Knows which topics starve: they lag and their buffer is empty, so nothing can be processed in commit order.

    Args:
        limit_s: how long a topic may starve before the others go on without it.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._starving: dict[int, dict[int, tuple[float, int]]] = {}
        """Partition to the index of a starving topic to since when and for how many rounds."""

    def may_wait(self, partition: int, buffers: Sequence[Sized], lagging: Sequence[bool], now_s: float) -> bool:
        """Whether to go on waiting in this partition; to be called once per round.

        By topic: `buffers` are what was fetched and not yet taken, `lagging` is whether the broker has more.
        """
        if not any(lagging) or not any(buffers):
            self._starving.pop(partition, None)
            return True
        before = self._starving.get(partition, {})
        starving: dict[int, tuple[float, int]] = {}
        for index, lags in enumerate(lagging):
            if lags and not buffers[index]:
                since_s, rounds = before.get(index, (now_s, 0))
                if now_s - since_s >= self._limit_s and rounds >= ROUNDS_MIN:
                    self._starving.pop(partition, None)
                    return False
                starving[index] = since_s, rounds + 1
        self._starving[partition] = starving
        return True
