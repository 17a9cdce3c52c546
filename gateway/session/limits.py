"""What one connection may send (R5.6): the limits, and a sliding minute of messages on the caller's clock. Pure."""

from array import array
from dataclasses import dataclass

_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Of one connection."""

    authenticate_timeout_s: float
    message_bytes_max: int
    messages_per_minute_max: int
    filters_max: int


class SlidingMinute:
    """Remembers when the messages of the last minute came.

    So no stretch of 60 seconds, wherever it begins, holds more than the limit; an allowance that refills evenly
    would let nearly twice as many through in its first minute. Memory: eight bytes a message of the last minute, at
    most the limit; a connection that has sent nothing has none, and thousands send nothing.

    Args:
        per_minute_max: messages in any 60 seconds, both ends included.
    """

    __slots__ = ("_per_minute_max", "_taken")

    def __init__(self, per_minute_max: int) -> None:
        self._per_minute_max = per_minute_max
        self._taken: array[float] | None = None
        """Seconds, ascending."""

    def take(self, now: float) -> bool:
        """Take one; False where the minute is full. A clock that goes back forgets nothing."""
        taken = self._taken
        if taken is None:
            taken = self._taken = array("d")
        if taken:
            now = max(now, taken[-1])
            over = 0
            while over < len(taken) and now - taken[over] > _MINUTE_S:
                over += 1
            del taken[:over]
        if len(taken) >= self._per_minute_max:
            return False
        taken.append(now)
        return True
