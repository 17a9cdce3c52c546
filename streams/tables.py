"""The worker's tables: what is kept per tenant, site and person, and how it is encoded in the changelog.

Keys start with the tenant, values are MessagePack arrays. The tables hold names only where a message
needs them, and nothing that a detector does not read.
"""

import msgspec

from detectors.attendance import Shift
from streams.engine.tables import PartitionState, Table, TableSpec
from streams.rate_limit import RateState

TenantKey = int
EntityKey = tuple[int, int]
"""(tenant id, entity id)."""


class TenantState(msgspec.Struct, array_like=True):
    """One tenant: the number of its last message, its limit and its rate window."""

    seq: int = 0
    events_per_second_max: int | None = None
    """From `tenant.max_events_per_second`; None: the default of the settings."""
    rate: RateState = RateState()


class SiteState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What messages say of a site."""

    name: str | None
    client_id: int | None


class PersonState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What messages say of a person."""

    name: str | None


TENANTS = TableSpec("tenant", TenantKey, TenantState)
SITES = TableSpec("site", EntityKey, SiteState)
PERSONS = TableSpec("person", EntityKey, PersonState)
SHIFTS = TableSpec("shift", EntityKey, list[Shift])
"""A person's shifts, by start."""

ALL_TABLES = (TENANTS, SITES, PERSONS, SHIFTS)


class TenantTables:
    """Typed access to the tables of one partition."""

    __slots__ = ("bursting", "persons", "shifts", "sites", "tenants")

    def __init__(self, state: PartitionState) -> None:
        self.tenants: Table[TenantKey, TenantState] = state["tenant"]
        self.sites: Table[EntityKey, SiteState] = state["site"]
        self.persons: Table[EntityKey, PersonState] = state["person"]
        self.shifts: Table[EntityKey, list[Shift]] = state["shift"]
        self.bursting: set[TenantKey] = {tenant for tenant, stored in self.tenants.data.items() if stored.rate.dropped}
        """Tenants with an unreported burst; derived from the tables, so it needs no changelog."""
