"""The worker's tables: what is kept per tenant, site and person, and how it is encoded in the changelog.

Keys start with the tenant, by which the engine bounds the tables; values are MessagePack arrays. The tables
hold names only where a message needs them, and nothing that a detector does not read.
"""

from typing import Any

import msgspec

from detectors.attendance import Shift
from streams.engine.tables import PartitionState, Table, TableSpec
from streams.rate_limit import RateState
from watchfloor.settings import WorkerSettings

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


_DAY_S = 86_400


def table_specs(worker: WorkerSettings) -> tuple[TableSpec, ...]:
    """The tables with their bounds.

    Tenants have none: they are few, and a tenant that came back without its last number would repeat numbers
    that its readers have seen. The others hold reference data, which an operator misses when it is gone: a
    site without its name, a check-in without its shift. Their bounds are there for what nobody meant.
    """

    def entities(name: str, value_type: Any) -> TableSpec:
        return TableSpec(
            name,
            EntityKey,
            value_type,
            entities_per_tenant_max=worker.entities_per_tenant_max,
            expire_after_s=worker.entity_expire_after_days * _DAY_S,
            use_interval_s=worker.entity_use_interval_s,
        )

    return (
        TableSpec("tenant", TenantKey, TenantState),
        entities("site", SiteState),
        entities("person", PersonState),
        entities("shift", list[Shift]),  # a person's shifts
    )


class TenantTables:
    """Typed access to the tables of one partition."""

    __slots__ = ("bursting", "log_time", "persons", "shifts", "sites", "tenants")

    def __init__(self, state: PartitionState) -> None:
        self.log_time = state.log_time
        self.tenants: Table[TenantKey, TenantState] = state["tenant"]
        self.sites: Table[EntityKey, SiteState] = state["site"]
        self.persons: Table[EntityKey, PersonState] = state["person"]
        self.shifts: Table[EntityKey, list[Shift]] = state["shift"]
        self.bursting: set[TenantKey] = {tenant for tenant, stored in self.tenants.data.items() if stored.rate.dropped}
        """Tenants with an unreported burst; derived from the tables, so it needs no changelog."""
