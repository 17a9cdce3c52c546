"""An event loop whose clock jumps: what waits for a time waits for nothing, in the order in which it would have come.

For code on in-memory doubles only. Where a real socket is waited for, its answer would come hours late.
"""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class _JumpingSelector(selectors.BaseSelector):
    """Never waits: where nothing is ready, the time that it should have waited for has passed."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer at all: only another thread can end this
            return self._real.select(None)
        ready = self._real.select(0)
        if not ready:
            self.skipped_s += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its `time` is the real one and all that was skipped."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return super().time() + self._jumping.skipped_s


class VirtualTimePolicy(asyncio.DefaultEventLoopPolicy):
    """`asyncio.run` runs on such a loop."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return VirtualTimeLoop()
