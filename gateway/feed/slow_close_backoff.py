"""When a client that was too slow may come back: later each time. Pure; the clock is the caller's."""

from collections import OrderedDict
from typing import NamedTuple

_BEARERS_MAX = 10_000
_FORGIVEN_AFTER = 10
"""Times the longest delay: without a slow close for so long, the next one is the first again."""


class _Record(NamedTuple):
    at: float
    retry_after_s: int


class SlowCloseBackoff:
    """The slow closes of each bearer. Memory: one small entry for each of the last ten thousand.

    Args:
        first_s: the delay after the first slow close.
        longest_s: the delay is doubled up to this.
    """

    def __init__(self, first_s: int, longest_s: int) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._of: OrderedDict[tuple[int, str], _Record] = OrderedDict()

    def closed(self, bearer: tuple[int, str], now: float) -> int:
        """Note a slow close.

        Args:
            bearer: tenant and subject.
            now: seconds.

        Returns:
            seconds until the bearer may come back.
        """
        last = self._of.pop(bearer, None)
        if last is None or now - last.at > self._longest_s * _FORGIVEN_AFTER:
            retry_after_s = self._first_s
        else:
            retry_after_s = min(2 * last.retry_after_s, self._longest_s)
        self._of[bearer] = _Record(now, retry_after_s)
        if len(self._of) > _BEARERS_MAX:
            self._of.popitem(last=False)
        return retry_after_s
