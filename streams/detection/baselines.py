"""What baseline detectors have learned: handed to them when their time has come, and kept.

The tables are a device's, or whatever the entity is, and those that it shares with its site and its tenant.
"""

from typing import Any

from detectors.interface import BaselineDetector, FindingDrafts, Learned, SpanEnd
from streams.engine.state.partition_state import Table
from streams.state.detector_state import WHOLE_TENANT, EntityKey
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
    """Hand a baseline detector what it has learned, and keep what it has learned then."""
    own, shared = tables.baselines[detector.name], tables.shared[detector.name]
    tenant_id, site = key[0], context.facts
    held: list[tuple[Table[EntityKey, Any], EntityKey] | None] = [
        (own, key),
        None if site is None else (shared, (tenant_id, site.site_id)),
        (shared, (tenant_id, WHOLE_TENANT)),
    ]
    learned = Learned(*(None if each is None else each[0].get(each[1]) for each in held))
    state, after, judgements = detector.conclude(state, learned, SpanEnd(key[1], at_ms, site), policy)
    for each, old, new in zip(held, learned, after, strict=True):
        if each is not None and new is not old:
            each[0].put(each[1], new)
    return state, judgements
