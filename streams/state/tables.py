"""The worker's tables: what is stored for tenants, sites and persons, and how the changelog encodes it.

Keys start with the tenant, by which the engine bounds the tables; values are MessagePack arrays. The tables
contain only what messages and detectors need.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from common.settings.worker import WorkerSettings
from detectors.shared.facts import Shift
from detectors.shared.geofence import Built
from streams.engine.state.bounded_table import BoundedTable
from streams.engine.state.partition_state import PartitionState, Table, TableSpec
from streams.state.detector_state import OWN_PREFIX, SHARED_PREFIX, EntityKey, GroupState, detector_groups
from streams.state.entities import PersonState, PolicyState, SiteState, TenantState
from streams.state.policy_rows import PolicyRows
from streams.state.quota import QUOTA, Quota
from streams.state.rearm import REARM, Rearm
from streams.state.site_context import SiteContext
from streams.state.timers import Timer, Timers
from streams.state.wait_queue import TABLE as WAITING
from streams.state.wait_queue import WaitingEvent, WaitQueue

TenantKey = int


_DAY_S = 86_400


def table_specs(worker: WorkerSettings) -> tuple[TableSpec, ...]:
    """The tables with their bounds.

    Tenants have no bound: they are few, and a tenant that lost its last number would repeat numbers that its readers
    have seen. The others hold reference data, whose loss operators notice: a site without its name, a check-in
    without its shift. Their bounds only stop runaway growth. There are tables for all detectors, including those that
    do not run, so that a detector that is switched off and on again keeps its state.
    """

    def entities(name: str, value_type: Any) -> TableSpec:
        return TableSpec(
            name,
            EntityKey,
            value_type,
            keys_per_group_max=worker.state.entities_per_tenant_max,
            expire_after_s=worker.state.expire_after_days * _DAY_S,
            use_interval_s=worker.state.use_interval_s,
            group_name="tenant_id",
            advice="raise worker.state.entities_per_tenant_max, or find out what writes this many",
        )

    return (
        TableSpec("tenant", TenantKey, TenantState),
        entities("site", SiteState),
        entities("person", PersonState),
        entities("shift", list[Shift]),  # the shifts of a person
        entities("policy", PolicyState),
        TableSpec(REARM, TenantKey, Rearm),  # of tenants only, as the next one: few
        TableSpec(QUOTA, TenantKey, Quota),
        TableSpec(WAITING, EntityKey, WaitingEvent),  # tenant and number; the limit of waiting events bounds it
        msgspec.structs.replace(
            entities("missed", int),  # by tenant, reference and its id: when it was reported, Unix milliseconds
            key_type=tuple[int, str, int],
            expire_after_s=2 * worker.references.report_interval_s,
        ),
        *(entities(group.name, group.memory_type) for group in detector_groups() if group.remembers),
        *(entities(OWN_PREFIX + each.name, each.own_type) for group in detector_groups() for each in group.baselines),
        *(
            entities(SHARED_PREFIX + each.name, each.shared_type)
            for group in detector_groups()
            for each in group.baselines
        ),
    )


class TenantTables:
    """Typed access to the tables of a partition, and to what is derived from them without a changelog."""

    __slots__ = (
        "area_costs",
        "areas",
        "baselines",
        "bursting",
        "bursts",
        "cached_sites",
        "detector_states",
        "geofence_characters",
        "log_time",
        "missed",
        "persons",
        "policies",
        "policy_rows",
        "quotas",
        "rearm_keys",
        "rearms",
        "shared",
        "shifts",
        "site_contexts",
        "sites",
        "tenants",
        "timers",
        "wait_queues",
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
        self.quotas: Table[TenantKey, Quota] = state[QUOTA]
        self.rearms: Table[TenantKey, Rearm] = state[REARM]
        self.missed: Table[tuple[int, str, int], int] = state["missed"]
        self.detector_states: dict[str, Table[EntityKey, GroupState]] = {
            group.name: state[group.name] for group in detector_groups() if group.remembers
        }
        self.baselines: dict[str, Table[EntityKey, Any]] = {}
        """What each baseline detector has learned about an entity, by the detector's name."""
        self.shared: dict[str, Table[EntityKey, Any]] = {}
        """What each has learned about all entities of a site or, under `WHOLE_TENANT`, of a tenant."""
        for group in detector_groups():
            for each in group.baselines:
                self.baselines[each.name] = state[OWN_PREFIX + each.name]
                self.shared[each.name] = state[SHARED_PREFIX + each.name]
        self.bursting: set[TenantKey] = {tenant for tenant, stored in self.tenants.data.items() if stored.rate.dropped}
        """The tenants with an unreported burst."""
        self.bursts: list[tuple[int, TenantKey]] = [(0, tenant_id) for tenant_id in sorted(self.bursting)]
        """A heap: these tenants by a time before which their burst is not over, see `streams.rate_limit.limiter`."""
        self.policy_rows: dict[TenantKey, PolicyRows] = {}
        """The policy rows of each tenant by where they apply."""
        for (tenant_id, row_id), policy in self.policies.data.items():
            self.policy_rows.setdefault(tenant_id, PolicyRows()).put(row_id, policy)
        self.site_contexts: dict[tuple[TenantKey, int | None], SiteContext] = {}
        """The cached contexts by tenant and site (None: no known site), see `streams.detection.site_context_cache`."""
        self.cached_sites: dict[TenantKey, set[int | None]] = {}
        """The sites of each tenant that may have a context in the cache."""
        self.wait_queues: dict[TenantKey, WaitQueue] = _lines(self.waiting.data)
        """The events that wait for references, by tenant; only of tenants that have any."""
        self.geofence_characters: Counter[TenantKey] = Counter()
        """The length of the geofences of each tenant's sites."""
        for (tenant_id, _), site in self.sites.data.items():
            self.geofence_characters[tenant_id] += len(site.geofence or "")
        if isinstance(self.sites, BoundedTable):
            self.sites.on_removed = self._count_removed_site
        self.rearm_keys: dict[TenantKey, tuple[str, list[EntityKey]]] = {}
        """The table and the keys that a walk over a tenant's timers has yet to look at, the next one last."""
        self.area_costs: Counter[TenantKey] = Counter()
        """The size of each tenant's part of `areas`."""
        self.areas: dict[TenantKey, dict[int, Built | None]] = {}
        """By tenant each site's area, see `streams.detection.site_context_cache`."""
        self.timers = Timers(self._holds, self._armed())
        """The timers."""

    def put_site(self, key: EntityKey, site: SiteState) -> None:
        """Store a site and count its geofence."""
        held = self.sites.data.get(key)
        self.geofence_characters[key[0]] += len(site.geofence or "") - len((held and held.geofence) or "")
        self.sites.put(key, site)

    def _count_removed_site(self, key: EntityKey, site: SiteState) -> None:
        self.geofence_characters[key[0]] -= len(site.geofence or "")

    def _holds(self, tenant_id: int, timer: Timer) -> bool:
        if timer.table == REARM:
            rearm = self.rearms.data.get(tenant_id)
            return rearm is not None and rearm.due_ms == timer.due_ms
        if timer.table == QUOTA:
            quota = self.quotas.data.get(tenant_id)
            return quota is not None and quota.due_ms == timer.due_ms
        if timer.table == WAITING:
            event = self.waiting.data.get((tenant_id, timer.entity_id))
            return event is not None and event.due_ms == timer.due_ms
        states = self.detector_states[timer.table].data.get((tenant_id, timer.entity_id))
        return states is not None and states.due_ms == timer.due_ms

    def _armed(self) -> Iterator[tuple[int, Timer]]:
        for name, table in self.detector_states.items():
            for (tenant_id, entity_id), states in table.data.items():
                if states.due_ms is not None:
                    yield tenant_id, Timer(states.due_ms, name, entity_id)
        for (tenant_id, number), event in self.waiting.data.items():
            yield tenant_id, Timer(event.due_ms, WAITING, number)
        for tenant_id, quota in self.quotas.data.items():
            if quota.due_ms is not None:
                yield tenant_id, Timer(quota.due_ms, QUOTA, 0)
        for tenant_id, rearm in self.rearms.data.items():
            yield tenant_id, Timer(rearm.due_ms, REARM, 0)


def _lines(waiting: Mapping[EntityKey, WaitingEvent]) -> dict[TenantKey, WaitQueue]:
    events: dict[TenantKey, list[tuple[int, WaitingEvent]]] = {}
    for (tenant_id, number), event in waiting.items():
        events.setdefault(tenant_id, []).append((number, event))
    return {tenant_id: WaitQueue(its) for tenant_id, its in events.items()}
