"""When Python looks for reference cycles: never in the middle of the fan-out.

A full collection stops the process for 100 ms with a thousand connections and for more with more. By default one
comes every ten seconds or so under load, which by itself makes the slowest hundredth of all deliveries. What the
process loads at its start is taken out of it, what the feed leaves behind is young and has no cycles, and what a
connection leaves behind is collected when enough of them have gone.
"""

import gc

_YOUNG, _MIDDLE, _FULL = 10_000, 50, 100
"""Python's thresholds. The last one is a fallback: with these, a full collection every quarter of an hour at most."""
_GONE_MIN = 500


class GcTuning:
    """The collector's times in one process that serves connections."""

    def __init__(self) -> None:
        self._gone = 0

    def settle(self) -> None:
        """Everything that lives as long as the process is loaded: do not look at it again."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG, _MIDDLE, _FULL)

    def connection_gone(self, left: int) -> None:
        """A connection has ended; its objects refer to each other and stay until a full collection.

        Args:
            left: connections that are still there. The dead are never many more than the living.
        """
        self._gone += 1
        if self._gone >= max(_GONE_MIN, left):
            self._gone = 0
            gc.collect()
