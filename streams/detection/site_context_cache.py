"""Creates the site contexts, which hold the facts of a site and the policies of the detectors there, and caches them.

A site context is derived only from the tables. It is created when an event first names the site, and dropped when the
site, its tenant or one of the tenant's policies changes.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from detectors.interface import Detector
from detectors.policy import Policy, PolicyError, overridden
from detectors.registry import DETECTORS
from detectors.row_quality.data_quality import DataQuality, DataQualityPolicy
from detectors.shared.facts import SiteFacts
from detectors.shared.geo import Area, AreaError, circle
from detectors.shared.geofence import REACH_M_MAX, Built, build, within
from streams.state.detector_state import DetectorGroup
from streams.state.entities import SiteState
from streams.state.policy_rows import PolicyRows
from streams.state.site_context import Plans, SiteContext, Step
from streams.state.tables import TenantTables

_PLANS_MAX = 1_000
"""The number of different sets of policies that are cached."""
_AREA_COSTS_MAX = 40_000_000
"""Characters of the geofences of one tenant whose areas are cached; an area takes about twice its text."""
_AREA_CHARACTERS = 100
"""What a circle counts."""


class SiteContextCache:
    """Creates site contexts, and caches them in the tables until something about them changes.

    Args:
        defaults: for each detector fields of its policy, from the settings.

    Raises:
        PolicyError: a default does not fit its detector.
    """

    def __init__(self, groups: Sequence[DetectorGroup], defaults: Mapping[str, Mapping[str, Any]]) -> None:
        self._groups = tuple(groups)
        self._made: dict[tuple[Policy, ...], Plans] = {}
        running = [detector for group in groups for detector in group.detectors]
        self._known: dict[str, Policy] = {detector.name: detector.policy for detector in (*DETECTORS, *running)}
        """The policies of all detectors, including those that do not run."""
        for name, fields in defaults.items():
            try:
                self._known[name] = overridden(self._policy_of(name), [fields])
            except PolicyError as error:
                raise PolicyError(f"the policy of {name}: {error}") from None
        self._defaults = {detector.name: self._known[detector.name] for detector in running}

    def check(self, detector: str, settings: Mapping[str, Any]) -> None:
        """Check that these fields fit the detector's policy.

        Raises:
            PolicyError: they do not fit, or no detector has this name.
        """
        overridden(self._policy_of(detector), [settings])

    def _policy_of(self, detector: str) -> Policy:
        policy = self._known.get(detector)
        if policy is None:
            raise PolicyError(f"no detector `{detector}`: there are {', '.join(sorted(self._known))}")
        return policy

    def at(self, tables: TenantTables, tenant_id: int, site_id: int | None) -> SiteContext:
        """The context of a site; an unknown site has the same one as no site."""
        key: Any = (tenant_id, site_id)
        if site_id is not None and tables.sites.get(key) is None:  # this read also counts as a use of the site
            tables.site_contexts.pop(key, None)
            key = (tenant_id, None)
        context = tables.site_contexts.get(key)
        if context is None:
            context = tables.site_contexts[key] = self._make(tables, *key)
            tables.cached_sites.setdefault(tenant_id, set()).add(key[1])
        return context

    def _make(self, tables: TenantTables, tenant_id: int, site_id: int | None) -> SiteContext:
        site = None if site_id is None else tables.sites.get((tenant_id, site_id))
        tenant = tables.tenants.get(tenant_id)
        client_id = site.client_id if site else None
        policies = self._policies(tables.policy_rows.get(tenant_id), client_id, site_id)
        quality: Any = policies.get(DataQuality.name)
        facts = None
        if site is not None and site_id is not None:
            facts = SiteFacts(
                site_id=site_id,
                client_id=client_id,
                latitude=site.latitude,
                longitude=site.longitude,
                geofence_radius_m=site.geofence_radius_m,
                area=_area(tables, (tenant_id, site_id), site, quality or DataQuality.policy),
                timezone=site.timezone or (tenant and tenant.timezone) or "UTC",
            )
        name = site.name if site else None
        quality = quality if quality and quality.enabled else None
        return SiteContext(facts, name, client_id, self._plans(policies), policies, quality)

    def _plans(self, policies: dict[str, Policy]) -> Plans:
        """The steps to run under these policies; the same object for all sites with equal policies.

        Events of other sites then use steps that are already in the CPU cache, which was measured to save a few per cent.
        """
        key = tuple(policies.values())
        plans = self._made.get(key)
        if plans is None:
            made: dict[str, list[tuple[DetectorGroup, Sequence[Step]]]] = {}
            for group in self._groups:
                steps = tuple(_step(detector, policies[detector.name], group.timed) for detector in group.detectors)
                steps = tuple(step for step in steps if step[2].enabled)
                if steps:
                    for table in group.tables:
                        made.setdefault(table, []).append((group, steps))
            if len(self._made) >= _PLANS_MAX:
                self._made.clear()
            plans = self._made[key] = made
        return plans

    def _policies(self, rows: PolicyRows | None, client_id: int | None, site_id: int | None) -> dict[str, Policy]:
        """Each detector's policy: the defaults, overridden by the tenant's rows, then the client's, then the site's.

        A row that an earlier release accepted and whose values are now out of bounds has no effect.
        """
        made = dict(self._defaults)
        for detector, layers in ({} if rows is None else rows.at(client_id, site_id)).items():
            if detector not in made:
                continue
            try:
                made[detector] = overridden(made[detector], layers)
            except PolicyError:
                for layer in layers:
                    with suppress(PolicyError):
                        made[detector] = overridden(made[detector], [layer])
        return made


def _step(detector: Detector, policy: Policy, timed: str) -> Step:
    due_ms = getattr(detector, "due_ms", None) if detector.name == timed else None
    return (detector.name, detector.judge, policy, detector.state_type is not None, due_ms)


def _area(tables: TenantTables, key: tuple[int, int], site: SiteState, limits: DataQualityPolicy) -> Area | None:
    """The site's area, if it is within these limits; it is built again only if the site changes."""
    areas = tables.areas.setdefault(key[0], {})
    if key[1] not in areas:
        cost = _AREA_CHARACTERS + len(site.geofence or "")
        if tables.area_costs[key[0]] + cost > _AREA_COSTS_MAX:  # of one tenant; what is needed again is built again
            forget_site_contexts(tables, key[0])
            areas.clear()
            del tables.area_costs[key[0]]
        tables.area_costs[key[0]] += cost
        areas[key[1]] = _build_area(site)
    built = areas[key[1]]
    try:
        reach_m_max = limits.site_reach_m_max
        return built and within(built, points_max=limits.geofence_points_max, reach_m_max=reach_m_max)
    except AreaError:  # reported when the site's row arrived
        return None


def _build_area(site: SiteState) -> Built | None:
    with suppress(AreaError):  # reported when the site's row arrived
        if site.geofence is not None:
            return build(site.geofence)
        if (
            site.latitude is not None
            and site.longitude is not None
            and (radius_m := site.geofence_radius_m) is not None
        ):
            return Built(circle(site.latitude, site.longitude, radius_m, reach_m_max=REACH_M_MAX), 0, radius_m)
    return None


def forget_site_contexts(tables: TenantTables, tenant_id: int, site_id: int | None = None) -> None:
    """Drop the contexts of a tenant, or of one of its sites; they are created again when they are next needed."""
    if site_id is not None:
        tables.site_contexts.pop((tenant_id, site_id), None)
        tables.areas.get(tenant_id, {}).pop(site_id, None)
        return
    for cached in tables.cached_sites.pop(tenant_id, ()):
        tables.site_contexts.pop((tenant_id, cached), None)
