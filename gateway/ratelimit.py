"""How many messages one connection may send (R5.6): a token bucket on the caller's clock."""

from dataclasses import dataclass

_MINUTE_S = 60.0


@dataclass(slots=True)
class TokenBucket:
    """Holds a minute's allowance and refills evenly.

    Args:
        per_minute_max: messages in any minute that starts with a full bucket.
        refilled_at: seconds; the clock of the first `take`.
    """

    per_minute_max: int
    refilled_at: float
    _left: float = -1.0

    def __post_init__(self) -> None:
        self._left = float(self.per_minute_max)

    def take(self, now: float) -> bool:
        """Take one; False where the bucket is empty. A clock that goes back refills nothing."""
        passed = max(0.0, now - self.refilled_at)
        self._left = min(float(self.per_minute_max), self._left + passed * self.per_minute_max / _MINUTE_S)
        self.refilled_at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
