"""How many events a second each tenant may have scored, for `connection_established`.

Reads: the captured `tenant` topic. Guarantee: once read, a tenant's limit is that of its newest change in the log. The
worker limits by its own state; nobody is limited here.
"""

from typing import Any

import msgspec
import structlog

from common.settings.load import Settings
from contracts.envelope import ChangeDecoder
from contracts.rows import Tenant
from contracts.topics import TopicNames
from gateway.kafka.topic_view import TopicView
from gateway.metrics import GatewayMetrics

_TABLE = "tenant"

_log = structlog.get_logger(__name__)


class TenantLimitsView(TopicView[dict[int, int]]):
    """The tenants' limits by the log: events per second by tenant, of those that have one of their own."""

    def __init__(self, settings: Settings, metrics: GatewayMetrics) -> None:
        super().__init__(TopicNames(settings.kafka.topic_prefix).captured(_TABLE), {})
        self._decoder = ChangeDecoder({name: table.columns for name, table in settings.source.tables.items()})
        self._default = settings.worker.rate_limit.max_events_per_second
        self._metrics = metrics

    def of(self, tenant_id: int) -> int:
        """Events per second that are scored of a tenant."""
        return self.current.get(tenant_id, self._default)

    def new_fold(self) -> dict[int, int]:
        """What is known: read again, the topic may have lost a change, since it is kept for a while only."""
        return dict(self.current)

    def fold(self, fold: dict[int, int], record: Any) -> None:
        """A change of a tenant.

        The log's order and not the database's decides: what a restarted connector repeats is followed by all that
        came after it, and another database behind the topics begins again with low positions.
        """
        try:
            change = self._decoder.decode(_TABLE, record.value)
        except (msgspec.DecodeError, ValueError, LookupError) as error:
            # The worker makes a dead letter of it; a sign-in must not fail for it.
            self._metrics.tenants_unreadable.inc()
            _log.warning("a tenant's change cannot be read", error=str(error))
            return
        if change is None or not isinstance(change.row, Tenant):
            return
        own = None if change.op == "d" else change.row.max_events_per_second
        if own is None:
            fold.pop(change.row.tenant_id, None)
        else:
            fold[change.row.tenant_id] = max(0, own)
