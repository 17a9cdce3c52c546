"""The order in which timers are due: an index over the tables, which is rebuilt from them.

Owns only the order. Whether an entry is still valid is decided by its owner, who reads the table. Entries that are no
longer valid are dropped when they come to the top.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Timer(NamedTuple):
    """A timer that may be valid; sorts by time, then by table and entity, so that all replays have the same order."""

    due_ms: int
    table: str
    entity_id: int


class Timers:
    """The timers of one partition, by tenant.

    Args:
        holds: whether a tenant's timer is still valid according to its table.
        timers: the initial timers as (tenant id, timer).
    """

    def __init__(self, holds: Callable[[int, Timer], bool], timers: Iterable[tuple[int, Timer]] = ()) -> None:
        self._holds = holds
        self._by_tenant: dict[int, list[Timer]] = {}
        self._tops: list[tuple[int, int]] = []
        """A heap of (due_ms, tenant id); an entry is valid while the tenant's first timer is due then."""
        for tenant_id, timer in timers:
            self.add(tenant_id, timer)

    def add(self, tenant_id: int, timer: Timer) -> None:
        """Add a timer; it may already be there."""
        heap = self._by_tenant.setdefault(tenant_id, [])
        heapq.heappush(heap, timer)
        if heap[0] is timer:
            heapq.heappush(self._tops, (timer.due_ms, tenant_id))

    def next_of(self, tenant_id: int) -> Timer | None:
        """The tenant's first valid timer."""
        heap = self._by_tenant.get(tenant_id)
        while heap:
            if self._holds(tenant_id, heap[0]):
                return heap[0]
            self._pop(tenant_id, heap)
        return None

    def due_by(self, tenant_id: int, until_ms: int) -> bool:
        """Whether the tenant may have a timer due by then: cheap, for every row; `next_of` is exact."""
        heap = self._by_tenant.get(tenant_id)
        return bool(heap) and heap[0].due_ms <= until_ms  # type: ignore[index]  # not empty

    def take(self, tenant_id: int) -> None:
        """Drop the tenant's first timer."""
        self._pop(tenant_id, self._by_tenant[tenant_id])

    def next_ms(self) -> int | None:
        """When the first timer of any tenant is due; None if there is none."""
        while self._tops:
            due_ms, tenant_id = self._tops[0]
            first = self.next_of(tenant_id)
            if first is not None and first.due_ms == due_ms:
                return due_ms
            heapq.heappop(self._tops)
        return None

    def tenants_due(self, until_ms: int) -> list[int]:
        """The tenants that may have a timer due by then, ascending."""
        due: set[int] = set()
        while self._tops and self._tops[0][0] <= until_ms:
            tenant_id = heapq.heappop(self._tops)[1]
            if self.due_by(tenant_id, until_ms):
                due.add(tenant_id)
        for tenant_id in due:
            heapq.heappush(self._tops, (self._by_tenant[tenant_id][0].due_ms, tenant_id))
        return sorted(due)

    def _pop(self, tenant_id: int, heap: list[Timer]) -> None:
        heapq.heappop(heap)
        while heap and not self._holds(tenant_id, heap[0]):
            heapq.heappop(heap)
        if heap:
            heapq.heappush(self._tops, (heap[0].due_ms, tenant_id))
        else:
            del self._by_tenant[tenant_id]
