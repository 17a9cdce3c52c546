"""What is going to happen: actions in the order of their times.

Owns nothing but the order. Pure: an action is called with the time at which it is taken.
"""

import heapq
from collections.abc import Callable
from datetime import datetime

from simulation.live.operations import Transaction

Action = Callable[[datetime], Transaction | None]
"""What happens at a time; None where by then there is nothing to do any more."""


class Agenda:
    """Actions that wait for their time; of one time the one that was entered first comes first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[datetime, int, Action]] = []
        self._entered = 0

    def at(self, when: datetime, action: Action) -> None:
        """Enter an action."""
        self._entered += 1
        heapq.heappush(self._waiting, (when, self._entered, action))

    def take(self, now: datetime) -> Transaction | None:
        """What the first action that is due does; those that have nothing to do any more are passed over."""
        while self._waiting and self._waiting[0][0] <= now:
            _, _, action = heapq.heappop(self._waiting)
            transaction = action(now)
            if transaction is not None:
                return transaction
        return None
