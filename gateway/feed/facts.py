"""The facts about the gateway and the feed that sessions answer clients with. Reads memory only, changes nothing."""

from common.version import __version__
from gateway.feed.hub import Hub
from gateway.views.tenant_limits import TenantLimitsView


class GatewayFacts:
    """The facts of one gateway; the `Facts` of `gateway.session.replies`.

    Args:
        hub: where the feed stands, and who is connected.
        tenant_limits: events per second of each tenant.
        heartbeat_interval_s: how often a heartbeat is sent.
        started_at: seconds since 1970.
    """

    def __init__(self, hub: Hub, tenant_limits: TenantLimitsView, heartbeat_interval_s: int, started_at: float) -> None:
        self.server_version = __version__
        self.heartbeat_interval_s = heartbeat_interval_s
        self._hub = hub
        self._tenant_limits = tenant_limits
        self._started_at = started_at

    @property
    def epoch(self) -> str:
        """The identity of the feed's log."""
        return self._hub.epoch

    def max_events_per_second(self, tenant_id: int) -> int:
        """The tenant's own limit of scored events, or the default."""
        return self._tenant_limits.of(tenant_id)

    def position(self, tenant_id: int) -> int:
        """The seq of the tenant's last message."""
        return self._hub.position(tenant_id)

    def events_processed(self, tenant_id: int) -> int:
        """Source events of the tenant since this process started."""
        return self._hub.events_processed(tenant_id)

    def connections(self, tenant_id: int) -> int:
        """Connections of the tenant at this process."""
        return self._hub.connections(tenant_id)

    def uptime_s(self, now: float) -> float:
        """Seconds since the process started."""
        return max(0.0, now - self._started_at)
