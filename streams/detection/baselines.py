"""Gives baseline detectors what they have learned when their timer fires, and stores what they learn then.

There is one table by entity, such as the device, and one that the entities of a site or tenant share.
"""

from typing import Any

from detectors.interface import BaselineDetector, FindingDrafts, Learned, SpanEnd
from streams.engine.state.partition_state import Table
from streams.state.detector_state import WHOLE_TENANT, EntityKey, pack
from streams.state.site_context import SiteContext
from streams.state.tables import TenantTables


def conclude(
    tables: TenantTables,
    key: EntityKey,
    detector: BaselineDetector,
    state: Any,
    at_ms: int,
    context: SiteContext,
    policy: Any,
) -> tuple[Any, FindingDrafts]:
    """Let a baseline detector conclude from what it has learned, and store what it has learned now."""
    own, shared = tables.baselines[detector.name], tables.shared[detector.name]
    tenant_id, site = key[0], context.facts
    held: list[tuple[Table[EntityKey, Any], EntityKey] | None] = [
        (own, key),
        None if site is None else (shared, (tenant_id, site.site_id)),
        (shared, (tenant_id, WHOLE_TENANT)),
    ]
    learned = Learned(*(None if each is None else each[0].get(each[1]) for each in held))
    state, after, drafts = detector.conclude(state, learned, SpanEnd(key[1], at_ms, site), policy)
    pack(after)  # raises for what cannot be stored, before anything is
    for each, old, new in zip(held, learned, after, strict=True):
        if each is not None and new is not old:
            each[0].put(each[1], new)
    return state, drafts
