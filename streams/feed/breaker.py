"""The circuit breaker of the dead letters. Pure.

A bad record becomes a dead letter, but a bad deployment must not turn whole topics into dead letters. The worker stops
where the records of most active tenants fail: that is our fault, while the rows of one tenant, or of a few, are theirs.
Nothing is lost: the records stay in their topics, and the micro-batch that opened the breaker is not written.

Records are counted only while any fail: a worker without dead letters pays nothing.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Self, TypeAlias

TenantKey: TypeAlias = bytes | None
"""The key of a source record, which names its tenant."""


class BreakerOpenError(Exception):
    """The records of too many tenants failed; the message says how many."""


class DeadLetterBreaker:
    """Counts the failures of one worker.

    Args:
        share_max: the share of failures among a tenant's latest records that is tolerated, 0 to 1.
        window_records: the number of latest records, of all tenants, that are judged; not before there are this many.
        tenants_min: this many tenants must fail, and they must be more than half of the active ones.
        tenant_failures_min: a tenant with fewer failures is not one that fails. Tenants with fewer records than this are
            counted together, as one tenant for each such number of records.
    """

    def __init__(self, *, share_max: float, window_records: int, tenants_min: int, tenant_failures_min: int) -> None:
        self._share_max = share_max
        self._window_records = window_records
        self._tenants_min = tenants_min
        self._tenant_failures_min = tenant_failures_min
        self._records: Counter[TenantKey] = Counter()
        self._failures: Counter[TenantKey] = Counter()
        self._before: tuple[Counter[TenantKey], Counter[TenantKey]] = (Counter(), Counter())
        """Records and failures of the window before this one, of which both are judged together."""

    @classmethod
    def never(cls) -> Self:
        """A breaker that never opens."""
        return cls(share_max=1.0, window_records=sys.maxsize, tenants_min=sys.maxsize, tenant_failures_min=1)

    def note(self, tenants: Iterable[TenantKey], failed: Iterable[TenantKey]) -> None:
        """Count one micro-batch.

        Args:
            tenants: the keys of its records; not looked at while no records fail.
            failed: the keys of its failed records.

        Raises:
            BreakerOpenError: the records of most tenants failed.
        """
        failures = Counter(failed)
        if self._tenants_min == sys.maxsize or not (failures or self._failures or self._before[1]):
            return
        self._records.update(tenants)
        self._failures.update(failures)
        if failures:
            self._judge()
        if self._records.total() >= self._window_records:
            self._before = (self._records, self._failures)
            self._records, self._failures = Counter(), Counter()

    def _judge(self) -> None:
        records, failures = self._records + self._before[0], self._failures + self._before[1]
        if records.total() < self._window_records:
            return
        least = self._tenant_failures_min
        active = failing = small_records = small_failures = 0
        for tenant, count in records.items():
            if count < least:
                small_records += count
                small_failures += failures[tenant]
            else:
                active += 1
                failing += failures[tenant] >= least and failures[tenant] > self._share_max * count
        active += small_records // least
        if small_failures > self._share_max * small_records:
            failing += small_failures // least
        if failing >= self._tenants_min and failing * 2 > active:
            raise BreakerOpenError(
                f"{failures.total()} of the latest {records.total()} records failed, of {len(failures)} tenants; more than "
                f"{self._share_max:.0%} of their own records failed for most active tenants"
            )
