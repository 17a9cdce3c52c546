"""How many events a second each tenant may have scored: what `connection_established` says of it.

Reads: the captured `tenant` topic, every partition from its start, no consumer group. Writes: nothing.
Guarantee: once read, a tenant's limit is that of its newest change in the log. On failure: what was known
stays, and the topic is read again from its start. The worker limits by its own state; nobody is limited here.
"""

from typing import Any

import msgspec
import structlog

from common.settings.load import Settings
from contracts.envelope import ChangeDecoder
from contracts.rows import Tenant
from contracts.topics import TopicNames
from gateway.kafka.topic_view import follow
from gateway.metrics import GatewayMetrics

_TABLE = "tenant"

_log = structlog.get_logger(__name__)


class TenantLimits:
    """The tenants that have a limit of their own.

    Args:
        decoder: knows the customer's column names.
        default: for the others, events per second.
        metrics: counts what cannot be read.
    """

    def __init__(self, decoder: ChangeDecoder, default: int, metrics: GatewayMetrics) -> None:
        self._decoder = decoder
        self._default = default
        self._metrics = metrics
        self._own: dict[int, int] = {}

    def copy(self) -> "TenantLimits":
        """The same limits, to fold further without a change to these."""
        other = TenantLimits(self._decoder, self._default, self._metrics)
        other._own = dict(self._own)
        return other

    def of(self, tenant_id: int) -> int:
        """Events per second that are scored of a tenant."""
        return self._own.get(tenant_id, self._default)

    def take(self, value: bytes | None) -> None:
        """A record of the topic, in the log's order.

        That order and not the database's decides: what a restarted connector repeats is followed by all that
        came after it, and another database behind the topics begins again with low positions.
        """
        try:
            change = self._decoder.decode(_TABLE, value)
        except (msgspec.DecodeError, ValueError, LookupError) as error:
            # The worker makes a dead letter of it; a sign-in must not fail for it.
            self._metrics.tenants_unreadable.inc()
            _log.warning("a tenant's change cannot be read", error=str(error))
            return
        if change is None or not isinstance(change.row, Tenant):
            return
        own = None if change.op == "d" else change.row.max_events_per_second
        if own is None:
            self._own.pop(change.row.tenant_id, None)
        else:
            self._own[change.row.tenant_id] = max(0, own)


class LimitsReader:
    """Keeps the tenants' limits as the log says; a `View` of `gateway.kafka.topic_view`.

    Args:
        settings: of the process.
        metrics: counts what cannot be read.
    """

    def __init__(self, settings: Settings, metrics: GatewayMetrics) -> None:
        self._settings = settings
        self._topic = TopicNames(settings.kafka.topic_prefix).captured(_TABLE)
        decoder = ChangeDecoder({name: table.columns for name, table in settings.source.tables.items()})
        self._current = TenantLimits(decoder, settings.worker.rate_limit.max_events_per_second, metrics)
        self._fresh = self._current
        self.known = False
        """Whether the topic was read to its end once, or found missing."""

    def of(self, tenant_id: int) -> int:
        """Events per second that are scored of a tenant."""
        return self._current.of(tenant_id)

    async def run(self) -> None:
        """Read until cancelled; never fails for want of a broker."""
        await follow(self._settings, self._topic, self)

    def begin(self) -> None:
        """Fold anew: read again, the topic begins with old values, and nobody is told them."""
        # And it may have lost a change that was known here, since it is kept for a while only.
        self._fresh = self._current.copy()

    def take(self, record: Any) -> None:
        """A record of the topic."""
        self._fresh.take(record.value)

    def caught_up(self) -> None:
        """What was folded counts from here on."""
        self._current, self.known = self._fresh, True

    def missing(self) -> None:
        """Without the topic everybody has the default."""
        self.known = True
