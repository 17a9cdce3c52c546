"""The recent past of the feed, per tenant, in memory: what a returning client can be given again.

Owns the bounds: messages per tenant and bytes of all. Holds record values as they were read, not decoded
and not rendered, so that the past of a viewer is masked and filtered like the present.

No process fills it yet: a gateway cannot resume a client, and must not hold what nobody can ask for.
"""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Past:
    """A record of the feed as it was read."""

    seq: int
    prev_seq: int
    timestamp_ms: int
    value: bytes


class History:
    """The newest records of each tenant.

    Args:
        messages_max: kept per tenant.
        bytes_max: of all values together; the oldest record of all goes first.
    """

    def __init__(self, messages_max: int, bytes_max: int) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._of: dict[int, deque[Past]] = {}
        # In order of arrival; entries whose record has gone already are passed over.
        self._arrivals: deque[tuple[int, int]] = deque()
        self.bytes = 0
        self.messages = 0

    def add(self, tenant_id: int, past: Past) -> None:
        """Remember a record; its seq is above the tenant's last.

        A record that does not follow the one before it comes after a hole in the log: nobody can be given the
        whole gap from before the hole, so what is older goes.
        """
        while (before := self._of.get(tenant_id)) and before[-1].seq != past.prev_seq:
            self._forget_first(tenant_id, before)
        records = self._of.setdefault(tenant_id, deque())
        records.append(past)
        self._arrivals.append((tenant_id, past.seq))
        self.bytes += len(past.value)
        self.messages += 1
        if len(records) > self._messages_max:
            self._forget_first(tenant_id, records)
        while self.bytes > self._bytes_max and self._arrivals:
            self._forget_oldest()
        if len(self._arrivals) > 2 * self.messages + 1:
            self._arrivals = deque(arrival for arrival in self._arrivals if self._remembers(*arrival))

    def since(self, tenant_id: int, seq: int) -> list[Past] | None:
        """All records of a tenant after `seq`, or None where the past does not reach back that far."""
        records = self._of.get(tenant_id)
        if not records or records[-1].seq <= seq:
            return []
        if records[0].prev_seq > seq:
            return None
        return [past for past in records if past.seq > seq]

    def clear(self) -> None:
        """Forget everything: the log is another one."""
        self._of.clear()
        self._arrivals.clear()
        self.bytes = 0
        self.messages = 0

    def _forget_oldest(self) -> None:
        tenant_id, seq = self._arrivals.popleft()
        records = self._of.get(tenant_id)
        if records and records[0].seq == seq:
            self._forget_first(tenant_id, records)

    def _remembers(self, tenant_id: int, seq: int) -> bool:
        records = self._of.get(tenant_id)
        return records is not None and records[0].seq <= seq

    def _forget_first(self, tenant_id: int, records: deque[Past]) -> None:
        self.bytes -= len(records.popleft().value)
        self.messages -= 1
        if not records:
            del self._of[tenant_id]
