"""The feed's newest records in memory: what a returning client is given again, and a slow one reads on from.

Owns the bounds: messages per tenant and bytes of all. Holds record values as they were read, not decoded and not
rendered, so that what is read later is masked and filtered by what the subscriber may see then.
"""

from collections import deque

import msgspec


class StoredRecord(msgspec.Struct, frozen=True, gc=False):
    """A record of the feed as it was read. Not tracked by the garbage collector: there are many, and none has cycles."""

    seq: int
    prev_seq: int
    """One less than `seq`, or 0 where it is the first of its tenant that this gateway met."""
    offset: int
    """In the tenant's partition."""
    timestamp_ms: int
    """When it was appended, milliseconds since 1970."""
    value: bytes


class History:
    """The newest records of each tenant.

    Args:
        messages_max: kept per tenant.
        bytes_max: of all values together; the oldest record of all is dropped first.
    """

    def __init__(self, messages_max: int, bytes_max: int) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._records: dict[int, deque[StoredRecord]] = {}
        # In the order in which they came; entries whose record was dropped already are passed over.
        self._order: deque[tuple[int, int]] = deque()
        self.bytes = 0
        self.messages = 0

    def add(self, tenant_id: int, stored: StoredRecord) -> None:
        """Keep a record; its seq is above the tenant's last.

        A record that does not follow the one before it comes after a hole in the log: nobody can be given the
        whole gap from before the hole, so what is older is dropped.
        """
        while (before := self._records.get(tenant_id)) and before[-1].seq != stored.seq - 1:
            self._forget_first(tenant_id, before)
        records = self._records.setdefault(tenant_id, deque())
        records.append(stored)
        self._order.append((tenant_id, stored.seq))
        self.bytes += len(stored.value)
        self.messages += 1
        if len(records) > self._messages_max:
            self._forget_first(tenant_id, records)
        while self.bytes > self._bytes_max and self._order:
            self._forget_oldest()
        if len(self._order) > 2 * self.messages + 1:
            self._order = deque(each for each in self._order if self._has(*each))

    def reaches(self, tenant_id: int, seq: int) -> bool:
        """Whether every record after `seq` is here; also where there is none after it."""
        records = self._records.get(tenant_id)
        return records is not None and records[0].seq <= seq + 1

    def newest(self, tenant_id: int) -> StoredRecord | None:
        """The last record of a tenant that is here."""
        records = self._records.get(tenant_id)
        return records[-1] if records else None

    def after(self, tenant_id: int, seq: int, messages_max: int) -> list[StoredRecord] | None:
        """The next records of a tenant after `seq`, or None where the history does not reach back that far."""
        records = self._records.get(tenant_id)
        if not records or not self.reaches(tenant_id, seq):
            return None
        # The numbers are dense, so the index of a record is known from its number.
        first = seq + 1 - records[0].seq
        # A deque finds an index near either end quickly, and most readers are near the newest end.
        return [records[index] for index in range(first, min(first + messages_max, len(records)))]

    def clear(self) -> None:
        """Forget everything: the log is another one."""
        self._records.clear()
        self._order.clear()
        self.bytes = 0
        self.messages = 0

    def _forget_oldest(self) -> None:
        tenant_id, seq = self._order.popleft()
        records = self._records.get(tenant_id)
        if records and records[0].seq == seq:
            self._forget_first(tenant_id, records)

    def _has(self, tenant_id: int, seq: int) -> bool:
        records = self._records.get(tenant_id)
        return records is not None and records[0].seq <= seq

    def _forget_first(self, tenant_id: int, records: deque[StoredRecord]) -> None:
        self.bytes -= len(records.popleft().value)
        self.messages -= 1
        if not records:
            del self._records[tenant_id]
