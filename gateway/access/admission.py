"""Whether there is room for one more: how fast clients may come, how many may be there, and for each user and tenant.

Pure: values in, values out, the clock is the caller's. Counts for this process only. Never says who somebody is.
"""

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from common.settings.gateway import ConnectionSettings, HandshakeSettings
from contracts.messages import ADVICE, CloseCode
from gateway.access.client_address import rate_key
from watchfloor_client.addresses import is_loopback

K = TypeVar("K")

_PLACES_S_MAX = 60.0
"""How far ahead clients who came too fast are spread."""
FULL_RETRY_AFTER_S = 2


@dataclass(frozen=True, slots=True)
class Denial:
    """Why somebody is sent away for now."""

    kind: str
    """For the metric."""
    sentence: str
    retry_after_s: int

    @property
    def closing(self) -> str:
        """As the reason of a close frame."""
        return f"retry_after_s={self.retry_after_s}; {self.sentence}"


class Rate:
    """A token bucket that also tells those it refuses when to come: each its own place, one after the other.

    Args:
        per_s: how fast it refills.
        burst: how much it holds.
        now: seconds.
    """

    __slots__ = ("_burst", "_level", "_per_s", "_places_until", "_seen_at")

    def __init__(self, per_s: float, burst: int, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._level = float(burst)
        self._seen_at = now
        self._places_until = now

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
        # All who are refused in this moment would come back in the same one, and be refused again.
        self._places_until = max(self._places_until, self._seen_at) + 1 / self._per_s
        self._places_until = min(self._places_until, self._seen_at + _PLACES_S_MAX)
        return max(1, math.ceil(self._places_until - self._seen_at))

    def is_full(self, now: float) -> bool:
        """Whether nothing would be lost by making it anew."""
        self._refill(now)
        return self._level >= self._burst and self._places_until <= self._seen_at

    def _refill(self, now: float) -> None:
        if now > self._seen_at:
            self._level = min(self._burst, self._level + (now - self._seen_at) * self._per_s)
            self._seen_at = now


class Arrivals:
    """How fast handshakes come: from each address, and altogether.

    An address on loopback has no limit of its own: it is a program of this machine, or a proxy that nobody named.
    Memory: one bucket for each address that came lately, at most `addresses_max`.

    Args:
        limits: of handshakes.
        now: seconds.
    """

    def __init__(self, limits: HandshakeSettings, now: float) -> None:
        self._limits = limits
        self._all = Rate(limits.per_s_max, limits.burst_max, now)
        self._addresses: OrderedDict[str, Rate] = OrderedDict()
        """Those that came longest ago first."""

    def __len__(self) -> int:
        return len(self._addresses)

    def arrive(self, address: str, now: float) -> Denial | None:
        """A handshake from an address; the refusal, where it came too fast."""
        # First its own: who is refused for that takes no place from the others.
        if not is_loopback(address):
            wait_s = self._bucket(rate_key(address), now).take(now)
            if wait_s:
                return Denial("address_rate", "too many connections from this address in a short time", wait_s)
        wait_s = self._all.take(now)
        return Denial("rate", "too many clients connect at once", wait_s) if wait_s else None

    def _bucket(self, key: str, now: float) -> Rate:
        bucket = self._addresses.pop(key, None)
        if bucket is None:
            self._forget(now)
            bucket = Rate(self._limits.per_address_per_s_max, self._limits.per_address_burst_max, now)
        self._addresses[key] = bucket
        return bucket

    def _forget(self, now: float) -> None:
        """Let go of full buckets, oldest first, and of the oldest where there are too many."""
        while self._addresses:
            oldest = next(iter(self._addresses.values()))
            if not oldest.is_full(now) and len(self._addresses) < self._limits.addresses_max:
                return
            self._addresses.popitem(last=False)


class Occupancy:
    """How many connections each user and each tenant has here.

    Memory: one number for each user and tenant with a connection.

    Args:
        limits: of connections.
    """

    def __init__(self, limits: ConnectionSettings) -> None:
        self._per_user_max = limits.per_user_max
        self._per_tenant_max = limits.per_tenant_max
        self._users: Counter[tuple[int, str]] = Counter()
        self._tenants: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._users) + len(self._tenants)

    def take(self, tenant_id: int, subject: str) -> Denial | None:
        """Take a seat, or tell why there is none."""
        retry_after_s = ADVICE[CloseCode.TRY_AGAIN_LATER].delay_s_min
        if self._users[tenant_id, subject] >= self._per_user_max:
            return Denial("user_full", f"a user has at most {self._per_user_max} connections here", retry_after_s)
        if self._tenants[tenant_id] >= self._per_tenant_max:
            return Denial("tenant_full", f"a tenant has at most {self._per_tenant_max} connections here", retry_after_s)
        self._users[tenant_id, subject] += 1
        self._tenants[tenant_id] += 1
        return None

    def release(self, tenant_id: int, subject: str) -> None:
        """Give a seat back that was taken."""
        _less(self._users, (tenant_id, subject))
        _less(self._tenants, tenant_id)


def _less(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
