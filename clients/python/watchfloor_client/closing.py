"""What a client does after a close, and how long it waits. Sans I/O.

The advice for each close code is the contract's. The delays grow until a connection has lasted for a while:
a gateway that accepts connections and drops them at once is not flooded with new ones.
The same rules in TypeScript are clients/typescript/src/closing.ts.
"""

import re
from collections.abc import Callable

from watchfloor_client.contract import ADVICE, Advice, CloseCode, Reconnect

UNKNOWN = Advice(Reconnect.YES, 1, "the connection broke")
"""For a connection that ended without a close code of the contract."""
_RETRY_AFTER = re.compile(r"retry_after_s=(\d{1,9})\b[;\s]*")
_RETRY_AFTER_S_MAX = 3_600
_DOUBLINGS_MAX = 16


def advice_for(code: int | None) -> Advice:
    """The contract's advice for a close code; None and unknown codes mean a broken connection."""
    return ADVICE[CloseCode(code)] if code in {int(known) for known in CloseCode} else UNKNOWN


def retry_after_s(reason: str) -> tuple[int, str]:
    """The delay that a close reason asks for, in seconds, 0 where it asks for none, and the rest of the reason.

    >>> retry_after_s("retry_after_s=20; the queue is full"), retry_after_s("the token has expired")
    ((20, 'the queue is full'), (0, 'the token has expired'))
    """
    asked = _RETRY_AFTER.match(reason)
    return (min(int(asked[1]), _RETRY_AFTER_S_MAX), reason[asked.end() :]) if asked else (0, reason)


class Backoff:
    """The delays between the connections of one client.

    Args:
        delay_s: the first delay, unless the advice asks for a longer one.
        delay_s_max: how far the delays grow.
        stable_after_s: a connection that was signed in for this long resets the growth.
        chance: random numbers in 0..1 for the jitter.
    """

    def __init__(
        self, *, delay_s: float, delay_s_max: float, stable_after_s: float, chance: Callable[[], float]
    ) -> None:
        self._delay_s = delay_s
        self._delay_s_max = delay_s_max
        self._stable_after_s = stable_after_s
        self._chance = chance
        self._attempt = 0

    def next_delay_s(self, advice: Advice, *, signed_in_s: float, asked_s: float = 0) -> float:
        """How long to wait before the next connection.

        Args:
            advice: for the close code; its delay is the shortest first one.
            signed_in_s: how long the connection that ended was signed in.
            asked_s: the delay that the server asked for; the result is never shorter.
        """
        if signed_in_s >= self._stable_after_s:
            self._attempt = 0
        first = max(self._delay_s, advice.delay_s_min)
        ceiling = min(first * 2.0 ** min(self._attempt, _DOUBLINGS_MAX), max(self._delay_s_max, advice.delay_s_min))
        self._attempt += 1
        # Half of the delay is left to chance; what the server asked for is only ever exceeded.
        chance = self._chance()
        return round(max(ceiling * (0.5 + chance / 2), asked_s * (1 + chance / 2)), 3)
