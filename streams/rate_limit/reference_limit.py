"""The limits of the reference rows of each tenant: beyond them, rows are stored, and expensive work is left out."""

from streams.state.quota import Quota, count_in
from streams.state.tables import TenantTables

_MINUTE_MS = 60_000


class ReferenceLimit:
    """Decides which reference rows get all their work.

    Args:
        rows_per_second_max: the limit of each tenant.
        geofence_characters_max: how long the geofences of a tenant may be together, and also those of its rows in a
            minute: the area of each has to be built.
    """

    def __init__(self, rows_per_second_max: int, geofence_characters_max: int) -> None:
        self._rows_max = rows_per_second_max
        self._characters_max = geofence_characters_max

    def admit(self, tables: TenantTables, tenant_id: int, commit_ms: int) -> bool:
        """Count a row; return whether it is within the limit of rows."""
        quota = tables.quotas.get(tenant_id) or Quota()
        used = quota.reference_window, quota.reference_rows
        quota.reference_window, quota.reference_rows = count_in(commit_ms // 1000, *used)
        if quota.reference_rows >= self._rows_max:
            return False
        quota.reference_rows += 1
        tables.quotas.put(tenant_id, quota)
        return True

    def admit_geofence(self, tables: TenantTables, key: tuple[int, int], commit_ms: int, length: int) -> bool:
        """Count the geofence of a site's row; return whether it is within the limits."""
        tenant_id, held = key[0], tables.sites.data.get(key)
        quota = tables.quotas.get(tenant_id) or Quota()
        used = quota.geofence_window, quota.geofence_characters
        quota.geofence_window, quota.geofence_characters = count_in(commit_ms // _MINUTE_MS, *used)
        others = tables.geofence_characters[tenant_id] - len((held and held.geofence) or "")
        if max(quota.geofence_characters, others) + length > self._characters_max:
            return False
        quota.geofence_characters += length
        tables.quotas.put(tenant_id, quota)
        return True
