"""What a client does after a close, and how long it waits. Sans I/O.

The advice per close code is the contract's (`contracts.messages.ADVICE`). The delays grow until a connection
has lived for a while: a gateway that takes connections and drops them at once is not hammered.
The same rules in TypeScript are clients/typescript/src/closing.ts.
"""

import re
from collections.abc import Callable

from contracts.messages import ADVICE, Advice, CloseCode, Reconnect

UNKNOWN = Advice(Reconnect.YES, 1, "the connection broke")
"""For a connection that ended without a code of the contract."""
_RETRY_AFTER = re.compile(r"retry_after_s=(\d{1,9})\b[;\s]*")
_RETRY_AFTER_S_MAX = 3_600
_DOUBLINGS_MAX = 16


def advice_for(code: int | None) -> Advice:
    """What the contract says of a close code; None and unknown codes are a broken connection."""
    return ADVICE[CloseCode(code)] if code in {int(known) for known in CloseCode} else UNKNOWN


def retry_after_s(reason: str) -> tuple[int, str]:
    """The seconds that a close reason asks for, 0 where it asks for none, and the rest of the reason.

    >>> retry_after_s("retry_after_s=20; the queue is full"), retry_after_s("the token has expired")
    ((20, 'the queue is full'), (0, 'the token has expired'))
    """
    asked = _RETRY_AFTER.match(reason)
    return (min(int(asked[1]), _RETRY_AFTER_S_MAX), reason[asked.end() :]) if asked else (0, reason)


class Backoff:
    """The delays between the connections of one client.

    Args:
        delay_s: the first one where the advice asks for less.
        delay_s_max: of the growing ones.
        stable_after_s: a connection that was signed in for so long starts the growth anew.
        chance: numbers in 0..1 for the jitter.
    """

    def __init__(
        self, *, delay_s: float, delay_s_max: float, stable_after_s: float, chance: Callable[[], float]
    ) -> None:
        self._delay_s = delay_s
        self._delay_s_max = delay_s_max
        self._stable_after_s = stable_after_s
        self._chance = chance
        self._attempt = 0

    def next_delay_s(self, advice: Advice, *, lived_s: float, asked_s: float = 0) -> float:
        """How long to wait before the next connection.

        Args:
            advice: for the close code; its delay is the first one.
            lived_s: how long the connection that ended was signed in.
            asked_s: what the server asked for; at least that is waited.
        """
        if lived_s >= self._stable_after_s:
            self._attempt = 0
        first = max(self._delay_s, advice.delay_s_min)
        ceiling = min(first * 2.0 ** min(self._attempt, _DOUBLINGS_MAX), max(self._delay_s_max, advice.delay_s_min))
        self._attempt += 1
        # Between half of it and all of it; above what the server asked for, never below.
        chance = self._chance()
        return round(max(ceiling * (0.5 + chance / 2), asked_s * (1 + chance / 2)), 3)
