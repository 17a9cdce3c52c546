"""The worker's tables: what is kept per tenant, site and person, and how it is encoded in the changelog.

Keys start with the tenant, by which the engine bounds the tables; values are MessagePack arrays. The tables
hold names only where a message needs them, and nothing that a detector does not read.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from detectors.facts import Shift
from detectors.geo import Area
from streams.engine.tables import PartitionState, Table, TableSpec
from streams.memory import OWN_PREFIX, SHARED_PREFIX, EntityKey, Memory, families
from streams.places import Place
from streams.rate_limit import RateState
from streams.timers import Timer, Timers
from streams.waiting_line import TABLE as WAITING
from streams.waiting_line import Line, WaitingEvent
from watchfloor.settings import WorkerSettings

TenantKey = int


class TenantState(msgspec.Struct, array_like=True):
    """One tenant: the number of its last message, its limit and its rate window."""

    seq: int = 0
    events_per_second_max: int | None = None
    """From `tenant.max_events_per_second`; None: the default of the settings."""
    rate: RateState = RateState()
    timezone: str | None = None
    """From `tenant.timezone`, for sites without their own."""


class SiteState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A site's row, as far as messages and detectors need it."""

    name: str | None
    client_id: int | None
    latitude: float | None = None
    longitude: float | None = None
    geofence_radius_m: float | None = None
    geofence: str | None = None
    timezone: str | None = None


class PersonState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What messages say of a person."""

    name: str | None


class PolicyState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One policy row: some fields of a detector's policy, for a tenant, a client or a site."""

    client_id: int | None
    site_id: int | None
    detector: str
    settings: str
    """JSON object, checked when the row was learnt."""


_DAY_S = 86_400


def table_specs(worker: WorkerSettings) -> tuple[TableSpec, ...]:
    """The tables with their bounds.

    Tenants have none: they are few, and a tenant that came back without its last number would repeat numbers
    that its readers have seen. The others hold reference data, which an operator misses when it is gone: a
    site without its name, a check-in without its shift. Their bounds are there for what nobody meant. The tables
    of all detectors are there whichever of them run, so that one which is switched off and on again still knows.
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
        entities("policy", PolicyState),
        TableSpec(WAITING, EntityKey, WaitingEvent),  # tenant and number; the room bounds it
        msgspec.structs.replace(
            entities("missed", int),  # tenant, reference and its id, to when it was told, Unix milliseconds
            key_type=tuple[int, str, int],
            expire_after_s=2 * worker.missing_told_interval_s,
        ),
        *(entities(family.name, family.memory_type) for family in families() if family.remembers),
        *(entities(OWN_PREFIX + each.name, each.own_type) for family in families() for each in family.baselines),
        *(entities(SHARED_PREFIX + each.name, each.shared_type) for family in families() for each in family.baselines),
    )


class TenantTables:
    """Typed access to the tables of one partition, and what is derived from them and needs no changelog."""

    __slots__ = (
        "areas",
        "baselines",
        "bursting",
        "lines",
        "log_time",
        "memories",
        "missed",
        "persons",
        "places",
        "policies",
        "policy_rows",
        "shared",
        "shifts",
        "sites",
        "tenants",
        "timers",
        "waiting",
    )

    def __init__(self, state: PartitionState) -> None:
        self.log_time = state.log_time
        self.tenants: Table[TenantKey, TenantState] = state["tenant"]
        self.sites: Table[EntityKey, SiteState] = state["site"]
        self.persons: Table[EntityKey, PersonState] = state["person"]
        self.shifts: Table[EntityKey, list[Shift]] = state["shift"]
        self.policies: Table[EntityKey, PolicyState] = state["policy"]
        self.waiting: Table[EntityKey, WaitingEvent] = state[WAITING]
        self.missed: Table[tuple[int, str, int], int] = state["missed"]
        self.memories: dict[str, Table[EntityKey, Memory]] = {
            family.name: state[family.name] for family in families() if family.remembers
        }
        self.baselines: dict[str, Table[EntityKey, Any]] = {}
        """What each baseline detector has learned of an entity, by the detector's name."""
        self.shared: dict[str, Table[EntityKey, Any]] = {}
        """And of a site's or, under `WHOLE_TENANT`, of a tenant's entities together."""
        for family in families():
            for each in family.baselines:
                self.baselines[each.name] = state[OWN_PREFIX + each.name]
                self.shared[each.name] = state[SHARED_PREFIX + each.name]
        self.bursting: set[TenantKey] = {tenant for tenant, stored in self.tenants.data.items() if stored.rate.dropped}
        """Tenants with an unreported burst."""
        self.policy_rows: dict[TenantKey, dict[int, PolicyState]] = {}
        """Each tenant's policy rows by their id."""
        for (tenant_id, row_id), policy in self.policies.data.items():
            self.policy_rows.setdefault(tenant_id, {})[row_id] = policy
        self.places: dict[tuple[TenantKey, int | None], Place] = {}
        """What holds at a site, by tenant and site; None: where no site is known. See `streams.places`."""
        self.lines: dict[TenantKey, Line] = _lines(self.waiting.data)
        """What waits for its references, by tenant; only of tenants of whom something does."""
        self.areas: dict[tuple[TenantKey, int], tuple[tuple[int, float], Area | None]] = {}
        """Each site's area, and the limits by which it was built. See `streams.places`."""
        self.timers = Timers(self._holds, self._armed())
        """What is due without a row."""

    def _holds(self, tenant_id: int, timer: Timer) -> bool:
        if timer.table == WAITING:
            event = self.waiting.data.get((tenant_id, timer.entity_id))
            return event is not None and event.due_ms == timer.due_ms
        memory = self.memories[timer.table].data.get((tenant_id, timer.entity_id))
        return memory is not None and memory.due_ms == timer.due_ms

    def _armed(self) -> Iterator[tuple[int, Timer]]:
        for name, table in self.memories.items():
            for (tenant_id, entity_id), memory in table.data.items():
                if memory.due_ms is not None:
                    yield tenant_id, Timer(memory.due_ms, name, entity_id)
        for (tenant_id, number), event in self.waiting.data.items():
            yield tenant_id, Timer(event.due_ms, WAITING, number)


def _lines(waiting: Mapping[EntityKey, WaitingEvent]) -> dict[TenantKey, Line]:
    events: dict[TenantKey, list[tuple[int, WaitingEvent]]] = {}
    for (tenant_id, number), event in waiting.items():
        events.setdefault(tenant_id, []).append((number, event))
    return {tenant_id: Line(its) for tenant_id, its in events.items()}
