"""Spreads what is done for every connection once an interval over all its seconds. Pure.

So no second has to do it for thousands.
"""

from typing import Generic, TypeVar

T = TypeVar("T")


class StaggeredSchedule(Generic[T]):
    """Members that each take their turn once in an interval.

    Args:
        interval_s: `tick` is called once a second.
    """

    def __init__(self, interval_s: int) -> None:
        self._turns: list[set[T]] = [set() for _ in range(interval_s)]
        self._turn_of: dict[T, int] = {}
        self._next = 0
        self._fill = 0

    def __len__(self) -> int:
        return len(self._turn_of)

    def add(self, member: T) -> None:
        """Give a member a turn, the one after the last newcomer's."""
        self._turn_of[member] = self._fill
        self._turns[self._fill].add(member)
        self._fill = (self._fill + 1) % len(self._turns)

    def discard(self, member: T) -> None:
        """Forget a member; a second time does nothing."""
        turn = self._turn_of.pop(member, None)
        if turn is not None:
            self._turns[turn].discard(member)

    def members(self) -> list[T]:
        """All of them."""
        return list(self._turn_of)

    def tick(self) -> list[T]:
        """Those whose turn it is."""
        due = list(self._turns[self._next])
        self._next = (self._next + 1) % len(self._turns)
        return due
