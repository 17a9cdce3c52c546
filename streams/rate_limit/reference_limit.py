"""The limit of work for the reference rows of each tenant: beyond it, rows are stored and what can wait is left out."""

from streams.state.quota import Quota
from streams.state.tables import TenantTables

_TEXT_CHARACTERS = 1_000
"""This many characters of a geofence are as much work as a row."""


class ReferenceLimit:
    """Decides which reference rows get all their work.

    Args:
        rows_per_second_max: the limit of each tenant.
    """

    def __init__(self, rows_per_second_max: int) -> None:
        self._rows_max = rows_per_second_max

    def admit(self, tables: TenantTables, tenant_id: int, commit_ms: int, text: str | None) -> bool:
        """Count a row with this geofence; return whether it is within the limit."""
        quota = tables.quotas.get(tenant_id) or Quota()
        window = commit_ms // 1000
        if window > quota.reference_window:
            quota.reference_window, quota.reference_work = window, 0
        if quota.reference_work >= self._rows_max:
            return False
        quota.reference_work += 1 + len(text or "") // _TEXT_CHARACTERS
        tables.quotas.put(tenant_id, quota)
        return True
