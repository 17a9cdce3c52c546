"""Whether one more connection or message is accepted: how fast clients may connect and send, how many may be connected.

Pure: values in, values out, the clock is the caller's. Counts for this process only. Never decides who somebody is.
"""

import math
from array import array
from collections import Counter, OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from common.settings.gateway import ConnectionSettings, HandshakeSettings
from contracts.messages import ADVICE, CloseCode
from gateway.access.client_address import rate_key
from watchfloor_client.addresses import is_loopback

K = TypeVar("K")

_SPREAD_S_MAX = 60.0
"""Over how long clients who came too fast are spread."""
FULL_RETRY_AFTER_S = 2
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a connection is not accepted."""

    kind: str
    """For the metric."""
    sentence: str
    retry_after_s: int | None = None
    """When to try again; None where that is of no use."""
    status: HTTPStatus = HTTPStatus.SERVICE_UNAVAILABLE
    """What a handshake is answered with."""

    @property
    def closing(self) -> str:
        """As the reason of a close frame."""
        return f"retry_after_s={self.retry_after_s}; {self.sentence}"


class TokenBucket:
    """A token bucket that also gives those it refuses a time to come back, each another one.

    Args:
        per_s: how fast it refills.
        burst: how much it holds.
        now: seconds.
    """

    __slots__ = ("_burst", "_level", "_per_s", "_refused_until", "_seen_at")

    def __init__(self, per_s: float, burst: int, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._level = float(burst)
        self._seen_at = now
        self._refused_until = now

    def take(self, now: float) -> int:
        """Take one.

        Args:
            now: seconds; a clock that goes back refills nothing.

        Returns:
            0 where there was one, otherwise in how many seconds to come back, at least one.
        """
        self._refill(now)
        if self._level >= 1:
            self._level -= 1
            return 0
        # With the same answer all who are refused now would come back at the same time, and be refused again.
        self._refused_until = max(self._refused_until, self._seen_at) + 1 / self._per_s
        self._refused_until = min(self._refused_until, self._seen_at + _SPREAD_S_MAX)
        return max(1, math.ceil(self._refused_until - self._seen_at))

    def is_full(self, now: float) -> bool:
        """Whether nothing would be lost by making it anew."""
        self._refill(now)
        return self._level >= self._burst and self._refused_until <= self._seen_at

    def _refill(self, now: float) -> None:
        if now > self._seen_at:
            self._level = min(self._burst, self._level + (now - self._seen_at) * self._per_s)
            self._seen_at = now


class SlidingMinute:
    """How many messages one connection may send (R5.6): remembers when those of the last minute came.

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


class ConnectRates:
    """How fast handshakes come: from each address, and altogether.

    An address on loopback has no limit of its own: it is a program of this machine, or a proxy that nobody named.
    Memory: one bucket for each address that came lately, at most `addresses_max`.

    Args:
        now: seconds.
    """

    def __init__(self, limits: HandshakeSettings, now: float) -> None:
        self._limits = limits
        self._all = TokenBucket(limits.per_s_max, limits.burst_max, now)
        self._addresses: OrderedDict[str, TokenBucket] = OrderedDict()
        """Those that came longest ago first."""

    def __len__(self) -> int:
        return len(self._addresses)

    def take(self, address: str, now: float) -> Refusal | None:
        """A handshake from an address; why it is not accepted, where it came too fast."""
        # The address's own rate first: clients that are refused for that take nothing from the others.
        if not is_loopback(address):
            wait_s = self._bucket(rate_key(address), now).take(now)
            if wait_s:
                return Refusal("address_rate", "too many connections from this address in a short time", wait_s)
        wait_s = self._all.take(now)
        return Refusal("rate", "too many clients connect at once", wait_s) if wait_s else None

    def _bucket(self, key: str, now: float) -> TokenBucket:
        bucket = self._addresses.pop(key, None)
        if bucket is None:
            self._forget(now)
            bucket = TokenBucket(self._limits.per_address_per_s_max, self._limits.per_address_burst_max, now)
        self._addresses[key] = bucket
        return bucket

    def _forget(self, now: float) -> None:
        """Let go of full buckets, oldest first, and of the oldest where there are too many."""
        while self._addresses:
            oldest = next(iter(self._addresses.values()))
            if not oldest.is_full(now) and len(self._addresses) < self._limits.addresses_max:
                return
            self._addresses.popitem(last=False)


class ConnectionCounts:
    """How many signed-in connections each user and each tenant has here, and all together.

    Memory: one number for each user and tenant with a connection.
    """

    def __init__(self, limits: ConnectionSettings) -> None:
        self._total_max = limits.total_max
        self._per_user_max = limits.per_user_max
        self._per_tenant_max = limits.per_tenant_max
        self._users: Counter[tuple[int, str]] = Counter()
        self._tenants: Counter[int] = Counter()
        self._total = 0

    def __len__(self) -> int:
        return len(self._users) + len(self._tenants)

    def take(self, tenant_id: int, subject: str) -> Refusal | None:
        """Count one more connection; why there can be none, where the limit is reached."""
        retry_after_s = ADVICE[CloseCode.TRY_AGAIN_LATER].delay_s_min
        if self._total >= self._total_max:
            return Refusal("full", "this gateway has all the connections it can take", retry_after_s)
        if self._users[tenant_id, subject] >= self._per_user_max:
            return Refusal("user_full", f"a user has at most {self._per_user_max} connections here", retry_after_s)
        if self._tenants[tenant_id] >= self._per_tenant_max:
            return Refusal(
                "tenant_full", f"a tenant has at most {self._per_tenant_max} connections here", retry_after_s
            )
        self._users[tenant_id, subject] += 1
        self._tenants[tenant_id] += 1
        self._total += 1
        return None

    def release(self, tenant_id: int, subject: str) -> None:
        """A connection that was counted was closed."""
        _decrement(self._users, (tenant_id, subject))
        _decrement(self._tenants, tenant_id)
        self._total -= 1


def _decrement(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
