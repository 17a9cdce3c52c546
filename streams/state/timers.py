"""When something is due that no row may tell: an index over what the tables hold, rebuilt from them.

Owns the order of what is due, nothing else: whether an entry still holds is for its owner to say, who looks at
the table. Entries that no longer hold are dropped when they come to the top.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Timer(NamedTuple):
    """One thing that may be due; sorts by time, then by table and entity, so that all replays agree."""

    due_ms: int
    table: str
    entity_id: int


class Timers:
    """The timers of one partition, by tenant.

    Args:
        holds: whether a tenant's timer is still what its table says.
        timers: (tenant id, timer) to begin with.
    """

    def __init__(self, holds: Callable[[int, Timer], bool], timers: Iterable[tuple[int, Timer]] = ()) -> None:
        self._holds = holds
        self._by_tenant: dict[int, list[Timer]] = {}
        self._tops: list[tuple[int, int]] = []
        """A heap of (due_ms, tenant id); an entry holds while the tenant's first timer is due then."""
        for tenant_id, timer in timers:
            self.add(tenant_id, timer)

    def add(self, tenant_id: int, timer: Timer) -> None:
        """Wait for a timer; one that is there already does no harm."""
        heap = self._by_tenant.setdefault(tenant_id, [])
        heapq.heappush(heap, timer)
        if heap[0] is timer:
            heapq.heappush(self._tops, (timer.due_ms, tenant_id))

    def next_of(self, tenant_id: int) -> Timer | None:
        """The tenant's first timer that still holds."""
        heap = self._by_tenant.get(tenant_id)
        while heap:
            if self._holds(tenant_id, heap[0]):
                return heap[0]
            self._pop(tenant_id, heap)
        return None

    def due_by(self, tenant_id: int, until_ms: int) -> bool:
        """Whether the tenant may have something due by then: cheap, for every row; `next_of` is exact."""
        heap = self._by_tenant.get(tenant_id)
        return bool(heap) and heap[0].due_ms <= until_ms  # type: ignore[index]  # not empty

    def take(self, tenant_id: int) -> None:
        """Drop the tenant's first timer."""
        self._pop(tenant_id, self._by_tenant[tenant_id])

    def next_ms(self) -> int | None:
        """When the first timer of any tenant is due; None while there is none."""
        while self._tops:
            due_ms, tenant_id = self._tops[0]
            first = self.next_of(tenant_id)
            if first is not None and first.due_ms == due_ms:
                return due_ms
            heapq.heappop(self._tops)
        return None

    def tenants_due(self, until_ms: int) -> list[int]:
        """Tenants that may have something due by then, ascending."""
        return sorted(tenant for tenant in self._by_tenant if self.due_by(tenant, until_ms))

    def _pop(self, tenant_id: int, heap: list[Timer]) -> None:
        heapq.heappop(heap)
        while heap and not self._holds(tenant_id, heap[0]):
            heapq.heappop(heap)
        if heap:
            heapq.heappush(self._tops, (heap[0].due_ms, tenant_id))
        else:
            del self._by_tenant[tenant_id]
