"""The parts of one gateway process, put together: what the sockets need, without the sockets.

Owns the lifetime of the readers and of the heartbeat, readiness, and the facts that sessions
answer with.
"""

import asyncio
import time
import uuid

import structlog

from common.settings.load import Settings
from common.version import __version__
from gateway.access.admission import Occupancy
from gateway.access.jwks import JwksKeys
from gateway.access.revocation import RevocationReader
from gateway.access.signed_in import SignedIn
from gateway.access.tokens import TokenVerifier
from gateway.delivery.audit import Actor
from gateway.delivery.delivery_records import DeliveryRecords
from gateway.feed.backfill import Backfill
from gateway.feed.catchup import CatchUp
from gateway.feed.feed_decoder import FeedDecoder
from gateway.feed.feed_reader import FeedReader
from gateway.feed.history import History
from gateway.feed.hub import Hub
from gateway.feed.rendering import Endpoint, Frame
from gateway.feed.resume import Resumer
from gateway.gc_tuning import GcTuning
from gateway.health.report import FeedReading, State, encode_health
from gateway.health.watch import HealthWatch
from gateway.metrics import GatewayMetrics
from gateway.session.protocol import Session
from gateway.sockets.connection_shell import ConnectionShell, Services, Wire
from gateway.sockets.http_routes import HttpRoutes, Readiness
from gateway.views.tenant_limits import LimitsReader

_DELAY_PROBE_S = 0.25
_SWEEP_S = 1.0

_log = structlog.get_logger(__name__)


class GatewayParts:
    """One gateway; also the `Facts` of its sessions.

    Args:
        settings: of the process.
        frame: makes a text frame of a payload.

    Raises:
        SettingsError: there is no way to verify tokens.
    """

    def __init__(self, settings: Settings, frame: Frame) -> None:
        limits = settings.gateway
        self.server_version = __version__
        self.heartbeat_interval_s = limits.session.heartbeat_interval_s
        self.metrics = GatewayMetrics()
        self.garbage = GcTuning()
        self.draining = False
        self._started_at = time.time()
        auth = settings.auth
        keys = JwksKeys(auth.jwks_url, auth.jwks_cache_s) if auth.jwks_url else None
        self._limits = limits.session
        history = History(limits.history.messages_max, limits.history.bytes_max)
        self.books = DeliveryRecords(settings, self.metrics, lambda: self.feed.epoch)
        self.hub = Hub(frame, history, self.books.receipts, self.metrics, time.time)
        self.books.receipts.reached = self.hub.reached
        self.books.receipts.sightings.notify = lambda notice: self.hub.notify(
            notice.tenant_id, notice.message, notice.shows
        )
        self.catch_up = CatchUp(self.hub, limits, self.metrics)
        self.feed = FeedReader(settings.kafka, limits.reader, self.hub, FeedDecoder(self.metrics), self.metrics)
        log = Backfill(settings.kafka, limits)
        resumer = Resumer(
            self.hub, self.catch_up, log, epoch=lambda: self.feed.epoch, limits=limits.resume, metrics=self.metrics
        )
        self.revocations = RevocationReader(settings, self.metrics)
        self._bearers = SignedIn(Occupancy(limits.connections), self.revocations.refuses, self.metrics)
        self.revocations.on_change = self._bearers.end_revoked
        self.tenant_limits = LimitsReader(settings, self.metrics)
        self.health = HealthWatch(
            settings,
            self.books.gateway,
            self.metrics,
            feed=self._feed_reading,
            depths=self._queue_depths,
            tell=lambda status: self.hub.notify(None, status),
        )
        self._house = Services(
            self.hub,
            self.catch_up,
            resumer,
            TokenVerifier(auth, keys),
            self._bearers,
            self.metrics,
            self.books.receipts,
            self.books.audit,
            lambda: self.health.greeting,
        )
        self.web = HttpRoutes(self.readiness, self._metrics_text, self._health, open_metrics=limits.admin.port is None)

    @property
    def epoch(self) -> str:
        """The identity of the feed's log."""
        return self.feed.epoch

    @property
    def admits(self) -> bool:
        """Whether a new connection can be told what it has to know. A silent broker does not keep it out."""
        views_known = self.tenant_limits.known and self.revocations.known
        return not self.draining and self.feed.positions_known and views_known

    def max_events_per_second(self, tenant_id: int) -> int:
        """The tenant's own limit of scored events, or the default."""
        return self.tenant_limits.of(tenant_id)

    def position(self, tenant_id: int) -> int:
        """The seq of the tenant's last message."""
        return self.hub.position(tenant_id)

    def events_processed(self, tenant_id: int) -> int:
        """Source events of the tenant that this process was told of."""
        return self.hub.events_processed(tenant_id)

    def connections(self, tenant_id: int) -> int:
        """Connections of the tenant at this process."""
        return self.hub.connections(tenant_id)

    def uptime_s(self, now: float) -> float:
        """Seconds since the process started."""
        return max(0.0, now - self._started_at)

    def readiness(self) -> Readiness:
        """Whether traffic may be sent here."""
        if self.draining:
            return Readiness(ready=False, reason="stopping")
        if not self.feed.positions_known:
            return Readiness(ready=False, reason="reading the feed's past")
        if not self.tenant_limits.known:
            return Readiness(ready=False, reason="reading the tenants' limits")
        if not self.revocations.known:
            return Readiness(ready=False, reason="reading the revocations")
        if not self.feed.ready:
            return Readiness(ready=False, reason="the Kafka broker does not answer")
        return Readiness(ready=True, reason="caught up")

    def handshake_refused(self, reason: str, peer: str | None) -> None:
        """A handshake was refused; into the audit trail."""
        self.books.audit.handshake_refused(reason, Actor(peer=peer), time.time())

    def visitor(self, wire: Wire, endpoint: Endpoint) -> ConnectionShell:
        """A new connection on an endpoint."""
        session = Session(self._limits, self, new_id=_new_id, now=time.time())
        return ConnectionShell(self._house, session, wire, endpoint)

    async def run(self) -> None:
        """Read the feed and keep the hearts beating until cancelled.

        Raises:
            WatchfloorError: the feed cannot be read at the start.
        """
        try:
            await self.feed.open()
            _log.info("caught up with the feed", epoch=self.feed.epoch)
            self.garbage.settle()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.feed.run())
                tasks.create_task(self.tenant_limits.run())
                tasks.create_task(self.revocations.run())
                tasks.create_task(self.catch_up.run())
                tasks.create_task(self.books.run())
                tasks.create_task(self.health.run())
                tasks.create_task(self._sweep())
                tasks.create_task(self._probe_delay())
        finally:
            await self.feed.close()
            await self.books.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self.catch_up.close_stuck()
            self.metrics.queue_bytes.set(self.hub.queued_bytes_max())

    async def _probe_delay(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _DELAY_PROBE_S
            await asyncio.sleep(_DELAY_PROBE_S)
            self.metrics.loop_delay.observe(max(0.0, loop.time() - due))

    def _feed_reading(self) -> FeedReading:
        feed = self.feed
        return FeedReading(
            positions_known=feed.positions_known,
            answering=feed.ready,
            lag_records=feed.lag_records,
            lag_seconds=feed.lag_seconds,
            last_record_at=feed.last_record_at,
            last_output_at=feed.last_output_at,
            admits=self.admits,
            reason=self.readiness().reason,
        )

    def _queue_depths(self) -> dict[str, int]:
        return {
            "connections_behind": len(self.hub.waiting()),
            "connection_bytes_max": self.hub.queued_bytes_max(),
            "receipts": self.books.publisher.waiting["receipts"],
            "audit": self.books.publisher.waiting["audit"],
        }

    def _health(self) -> tuple[bool, bytes]:
        health = self.health.health()
        return health.status is not State.UNHEALTHY, encode_health(health)

    def _metrics_text(self) -> bytes:
        self.metrics.ready.set(self.readiness().ready)
        return self.metrics.text()


def _new_id() -> str:
    return uuid.uuid4().hex
