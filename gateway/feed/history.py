"""The feed's recent past in memory: what a returning client is given again, and a slow one reads on from.

Owns the bounds: messages per tenant and bytes of all. Holds record values as they were read, not decoded
and not rendered, so that the past of a viewer is masked and filtered like the present.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice

import msgspec


class StoredRecord(msgspec.Struct, frozen=True, gc=False):
    """A record of the feed as it was read. Outside the garbage collector's care: there are many, and none has cycles."""

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
        bytes_max: of all values together; the oldest record of all goes first.
    """

    def __init__(self, messages_max: int, bytes_max: int) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._of: dict[int, deque[StoredRecord]] = {}
        # In order of arrival; entries whose record has gone already are passed over.
        self._arrivals: deque[tuple[int, int]] = deque()
        self.bytes = 0
        self.messages = 0

    def add(self, tenant_id: int, past: StoredRecord) -> None:
        """Remember a record; its seq is above the tenant's last.

        A record that does not follow the one before it comes after a hole in the log: nobody can be given the
        whole gap from before the hole, so what is older goes.
        """
        while (before := self._of.get(tenant_id)) and before[-1].seq != past.seq - 1:
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

    def reaches(self, tenant_id: int, seq: int) -> bool:
        """Whether every record after `seq` is here; also where there is none after it."""
        records = self._of.get(tenant_id)
        return records is not None and records[0].seq <= seq + 1

    def newest(self, tenant_id: int) -> StoredRecord | None:
        """The last record of a tenant that is here."""
        records = self._of.get(tenant_id)
        return records[-1] if records else None

    def after(self, tenant_id: int, seq: int, messages_max: int) -> list[StoredRecord] | None:
        """The next records of a tenant after `seq`, or None where the past does not reach back that far.

        Args:
            tenant_id: whose.
            seq: of the last record that is not wanted.
            messages_max: how many at most.
        """
        records = self._of.get(tenant_id)
        if not records or not self.reaches(tenant_id, seq):
            return None
        # The numbers are dense, so the place of a record is known from its number.
        first = seq + 1 - records[0].seq
        return list(islice(_from(records, first), messages_max))

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

    def _forget_first(self, tenant_id: int, records: deque[StoredRecord]) -> None:
        self.bytes -= len(records.popleft().value)
        self.messages -= 1
        if not records:
            del self._of[tenant_id]


def _from(records: deque[StoredRecord], first: int) -> Iterator[StoredRecord]:
    # A deque finds a place near either end quickly, and most who read on are near the newest end.
    return (records[place] for place in range(first, len(records)))
