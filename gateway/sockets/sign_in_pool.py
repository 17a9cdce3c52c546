"""The sockets on which nobody has signed in yet: a pool of bounded size, apart from the signed-in connections. Pure.

Whoever opens sockets and does not sign in takes places from itself: where the pool is full, the address with the most
sockets in it gives up its oldest one.
"""

from collections import defaultdict
from typing import Generic, TypeVar

T = TypeVar("T")


class SignInPool(Generic[T]):
    """Sockets by the address of their client.

    Args:
        sockets_max: how many at once.
    """

    def __init__(self, sockets_max: int) -> None:
        self._sockets_max = sockets_max
        self._address: dict[T, str] = {}
        self._sockets: dict[str, dict[T, None]] = {}
        """Address to its sockets, the oldest first."""
        self._by_count: defaultdict[int, dict[str, None]] = defaultdict(dict)
        """Number of sockets to the addresses that have so many, those that have had them for longest first."""
        self._most = 0

    def __len__(self) -> int:
        return len(self._address)

    def __contains__(self, socket: T) -> bool:
        return socket in self._address

    def add(self, socket: T, address: str) -> list[T]:
        """A socket was opened, or its client is known to be another one.

        Returns:
            the sockets that are out of the pool for it, to be closed.
        """
        self.discard(socket)
        out: list[T] = []
        while len(self._address) >= self._sockets_max:
            crowded = next(iter(self._by_count[self._most]))
            out.append(next(iter(self._sockets[crowded])))
            self.discard(out[-1])
        self._address[socket] = address
        sockets = self._sockets.setdefault(address, {})
        sockets[socket] = None
        self._count(address, len(sockets) - 1, len(sockets))
        return out

    def discard(self, socket: T) -> None:
        """Somebody has signed in on a socket, or it was closed; a second time does nothing."""
        address = self._address.pop(socket, None)
        if address is None:
            return
        sockets = self._sockets[address]
        del sockets[socket]
        self._count(address, len(sockets) + 1, len(sockets))
        if not sockets:
            del self._sockets[address]

    def _count(self, address: str, before: int, now: int) -> None:
        self._by_count[before].pop(address, None)
        if not self._by_count[before]:
            del self._by_count[before]
        if now:
            self._by_count[now][address] = None
        # It changes by one at a time.
        self._most = max(self._most, now)
        if self._most not in self._by_count:
            self._most -= 1
