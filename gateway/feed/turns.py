"""Whose turn it is: tenants take turns, within a tenant its users, and what a user waits for comes in order. Pure.

So neither a tenant with thousands of connections nor a user with a hundred makes another wait for more than one turn of
each tenant that is waiting.
"""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairTurns(Generic[T]):
    """What waits for its turn, by tenant and user."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[int, OrderedDict[str, deque[T]]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._tenants)

    def add(self, tenant_id: int, user: str, waiting: T) -> None:
        """Let something wait, behind what the same user waits for already."""
        self._tenants.setdefault(tenant_id, OrderedDict()).setdefault(user, deque()).append(waiting)

    def take(self) -> T:
        """What is next; there is something. Its tenant and its user are the last ones from now on."""
        tenant_id, users = self._tenants.popitem(last=False)
        user, line = users.popitem(last=False)
        waiting = line.popleft()
        if line:
            users[user] = line
        if users:
            self._tenants[tenant_id] = users
        return waiting
