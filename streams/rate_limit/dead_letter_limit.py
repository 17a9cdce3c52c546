"""The limit of dead letters for each tenant: beyond it, failed records are added up and reported together.

A tenant whose rows all fail must not fill the topic and the log. Nothing is lost: the report says where the records are.
Windows are of the time at which Kafka stored the failed records, because some of them have no other time.
"""

from typing import Final

import msgspec

from streams.outcomes import RecordsLeftOut
from streams.state.quota import QUOTA, Quota, count_in
from streams.state.tables import TenantTables
from streams.state.timers import Timer

_RANGES_MAX: Final = 1_000
"""Ranges of offsets in one report, about 20 KB; it is written at once then."""


class _Key(msgspec.Struct):
    tenant_id: int


_decode_key = msgspec.json.Decoder(_Key).decode


def tenant_of(key: bytes | None) -> int:
    """The tenant that a record's key names; 0 if it names none.

    >>> tenant_of(b'{"tenant_id":3}'), tenant_of(b"x"), tenant_of(None)
    (3, 0, 0)
    """
    try:
        return _decode_key(key or b"").tenant_id
    except (msgspec.MsgspecError, ValueError):
        return 0


class DeadLetterLimit:
    """Decides which failed records get a dead letter of their own.

    Args:
        letters_max: the number of dead letters of a tenant in each interval.
        interval_ms: its length.
    """

    def __init__(self, letters_max: int, interval_ms: int) -> None:
        self._letters_max = letters_max
        self._interval_ms = interval_ms

    def admit(self, tables: TenantTables, tenant_id: int, at_ms: int) -> bool:
        """Count a failed record; return whether it gets a dead letter of its own."""
        quota = tables.quotas.get(tenant_id) or Quota()
        window = max(0, at_ms) // self._interval_ms
        quota.letters_window, quota.letters = count_in(window, quota.letters_window, quota.letters)
        if quota.letters >= self._letters_max:
            return False
        quota.letters += 1
        tables.quotas.put(tenant_id, quota)
        return True

    def leave_out(self, tables: TenantTables, tenant_id: int, source_index: int, offset: int) -> RecordsLeftOut | None:
        """Note where a failed record without a dead letter is; return the report if it has become large."""
        quota = tables.quotas.get(tenant_id) or Quota()
        quota.left_out += 1
        ranges = quota.offsets.setdefault(source_index, [])
        if ranges and ranges[-1][1] == offset - 1:
            ranges[-1] = (ranges[-1][0], offset)
        else:
            ranges.append((offset, offset))
        tables.quotas.put(tenant_id, quota)
        if sum(map(len, quota.offsets.values())) >= _RANGES_MAX:
            return self.report(tables, tenant_id)
        if quota.due_ms is None:
            quota.due_ms = (quota.letters_window + 1) * self._interval_ms
            tables.timers.add(tenant_id, Timer(quota.due_ms, QUOTA, 0))
        return None

    def report(self, tables: TenantTables, tenant_id: int) -> RecordsLeftOut:
        """The report of what was left out so far; it counts as written then."""
        quota = tables.quotas.data[tenant_id]
        made = RecordsLeftOut(tenant_id, quota.left_out, quota.offsets)
        quota.left_out, quota.offsets, quota.due_ms = 0, {}, None
        tables.quotas.put(tenant_id, quota)
        return made
