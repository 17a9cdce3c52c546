"""The feed's newest records in memory: what a returning client is given again, and a slow one reads on from.

Owns the bounds: messages and bytes of a tenant, and bytes of all. Holds record values as they were read, not decoded and
not rendered, so that what is read later is masked and filtered by what the subscriber may see then.
"""

from array import array
from collections import deque
from dataclasses import dataclass, field

import msgspec

RECORD_BYTES = 200
"""What a record takes beside its value."""
_KEPT_SIXTEENTHS = 15
"""Of `bytes_max`, when it is exceeded: so that the tenants are compared once in many records."""


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


@dataclass(slots=True)
class _Tenant:
    records: deque[StoredRecord] = field(default_factory=deque)
    bytes: int = 0


class History:
    """The newest records of each tenant.

    Where there are too many bytes, the tenants with the most give up their oldest records until all of them have the
    same. So a tenant that has at most fifteen sixteenths of `bytes_max`, divided by the number of tenants, loses
    nothing, however much the others write.

    Args:
        messages_max: kept per tenant.
        tenant_bytes_max: kept per tenant.
        bytes_max: of all tenants together.
    """

    def __init__(self, messages_max: int, tenant_bytes_max: int, bytes_max: int) -> None:
        self._messages_max = messages_max
        self._tenant_bytes_max = tenant_bytes_max
        self._bytes_max = bytes_max
        self._tenants: dict[int, _Tenant] = {}
        self.bytes = 0

    def add(self, tenant_id: int, stored: StoredRecord) -> None:
        """Keep a record; its seq is above the tenant's last.

        A record that does not follow the one before it comes after a hole in the log: nobody can be given the
        whole gap from before the hole, so what is older is dropped.
        """
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            tenant = self._tenants[tenant_id] = _Tenant()
        records = tenant.records
        while records and records[-1].seq != stored.seq - 1:
            self._forget_first(tenant)
        records.append(stored)
        size = len(stored.value) + RECORD_BYTES
        tenant.bytes += size
        self.bytes += size
        while len(records) > self._messages_max or tenant.bytes > self._tenant_bytes_max:
            self._forget_first(tenant)
        if self.bytes > self._bytes_max:
            self._make_room()
        elif not records:
            del self._tenants[tenant_id]

    def reaches(self, tenant_id: int, seq: int) -> bool:
        """Whether every record after `seq` is here; also where there is none after it."""
        oldest = self.oldest(tenant_id)
        return oldest is not None and oldest.seq <= seq + 1

    def oldest(self, tenant_id: int) -> StoredRecord | None:
        """The first record of a tenant that is here."""
        tenant = self._tenants.get(tenant_id)
        return tenant.records[0] if tenant else None

    def offsets(self, tenant_id: int) -> "array[int]":
        """Where in the log the records of a tenant are that are here."""
        tenant = self._tenants.get(tenant_id)
        return array("q", (stored.offset for stored in tenant.records) if tenant else ())

    def record_bytes(self, tenant_id: int) -> int:
        """The average size of a tenant's records; 0 where none is here."""
        tenant = self._tenants.get(tenant_id)
        return tenant.bytes // len(tenant.records) if tenant else 0

    def after(self, tenant_id: int, seq: int, messages_max: int, bytes_max: int) -> list[StoredRecord] | None:
        """The next records of a tenant after `seq`, or None where the history does not reach back that far.

        They are at most `messages_max`, of at most `bytes_max` together, but at least one.
        """
        if not self.reaches(tenant_id, seq):
            return None
        records = self._tenants[tenant_id].records
        # The numbers are dense, so the index of a record is known from its number. A deque finds an index near either
        # end quickly, and most readers are near the newest end.
        found: list[StoredRecord] = []
        first, size = seq + 1 - records[0].seq, 0
        for index in range(first, min(first + messages_max, len(records))):
            stored = records[index]
            size += len(stored.value)
            if found and size > bytes_max:
                break
            found.append(stored)
        return found

    def clear(self) -> None:
        """Forget everything: the log is another one."""
        self._tenants.clear()
        self.bytes = 0

    def _make_room(self) -> None:
        left = self._bytes_max * _KEPT_SIXTEENTHS // 16
        ascending = sorted(self._tenants.values(), key=lambda tenant: tenant.bytes)
        for index, tenant in enumerate(ascending):
            share = left // (len(ascending) - index)
            while tenant.bytes > share:
                self._forget_first(tenant)
            left -= tenant.bytes
        self._tenants = {number: tenant for number, tenant in self._tenants.items() if tenant.records}

    def _forget_first(self, tenant: _Tenant) -> None:
        size = len(tenant.records.popleft().value) + RECORD_BYTES
        tenant.bytes -= size
        self.bytes -= size
