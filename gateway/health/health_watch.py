"""Watches the chain in the background, reports how it is, and notifies clients when the feed is not live.

Reads: the other components' probes, each with a time limit; never in a request. Writes: notices. On failure: a
component that does not answer is unhealthy; nothing else follows from it.
"""

import asyncio
import time
from collections.abc import Callable

import httpx
import msgspec
import structlog

from common.credentials import connect_sign_in
from common.settings.load import Settings
from common.version import __version__
from connect.problems import Effect
from contracts.messages import FeedStatus
from gateway.feed.hub import Hub
from gateway.health.feed_watch import FeedWatch, Symptoms
from gateway.health.probes import ask_connect, ask_database, ask_workers
from gateway.health.report import (
    Component,
    ConnectReading,
    DatabaseReading,
    FeedReading,
    Health,
    State,
    WorkerReading,
    connect_component,
    database_component,
    encode_health,
    gateway_component,
    kafka_component,
    overall,
    worker_component,
)
from gateway.kafka.publisher import Publisher
from gateway.metrics import GatewayMetrics
from gateway.session.replies import iso

_TICK_S = 1.0

_log = structlog.get_logger(__name__)


class HealthWatch:
    """The health of the chain as one gateway sees it.

    Args:
        feed: what the gateway knows by reading the feed, now.
        depths: queues of this gateway, by name.
        notify: writes a notice to all subscribers.
    """

    def __init__(
        self,
        settings: Settings,
        gateway: str,
        metrics: GatewayMetrics,
        *,
        feed: Callable[[], FeedReading],
        depths: Callable[[], dict[str, int]],
        notify: Callable[[FeedStatus], None],
    ) -> None:
        self._settings = settings
        self._limits = settings.gateway
        self._gateway = gateway
        self._metrics = metrics
        self._feed = feed
        self._depths = depths
        self._notify = notify
        self._watch = FeedWatch(
            behind_s=self._limits.feed_status.behind_s,
            hold_s=self._limits.feed_status.hold_s,
            repeat_s=self._limits.feed_status.interval_s,
        )
        self._workers: WorkerReading | None = None
        self._connect: ConnectReading | None = None
        self._database: DatabaseReading | None = None
        self._losing_since: str | None = None
        self._connect_restarts = 0
        self._checked_at: float | None = None

    def notice(self) -> FeedStatus | None:
        """What a client that connects now is sent: nothing while the feed is live."""
        return None if self._watch.live else self._watch.status(time.time())

    def reply(self) -> tuple[bool, bytes]:
        """Whether the chain is well enough to serve, and the JSON of `/api/noc/health/`."""
        health = self.health()
        return health.status is not State.UNHEALTHY, encode_health(health)

    def health(self) -> Health:
        """How the chain is; reads memory only."""
        now = time.time()
        feed, workers, database = self._feed(), self._workers, self._database
        components = self._components(feed, now)
        return Health(
            status=overall(components),
            time=iso(now),
            gateway=self._gateway,
            version=__version__,
            checked_age_s=None if self._checked_at is None else round(now - self._checked_at, 3),
            feed=_plain(self._watch.status(now)),
            components=components,
            queue_depths=self._depths(),
            backlog={
                "capture_bytes": None if database is None else database.backlog_bytes,
                "worker_records": None if workers is None else workers.lag_records,
                "worker_seconds": None if workers is None else round(workers.lag_seconds, 3),
                "gateway_records": feed.lag_records,
                "gateway_seconds": round(feed.lag_seconds, 3),
            },
            tasks=dict(workers.counters) if workers is not None else {},
        )

    async def run(self) -> None:
        """Probe and announce until cancelled."""
        # The components are near by: proxies of the environment are not for them.
        async with (
            httpx.AsyncClient(timeout=self._limits.health.timeout_s, trust_env=False) as client,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._probe_regularly(client))
            tasks.create_task(self._check_regularly())

    async def _probe_regularly(self, client: httpx.AsyncClient) -> None:
        while True:
            await self._probe(client)
            # One failure may be a short one: what is not well is probed again soon, before anybody is notified.
            states = {component.state for component in self._components(self._feed(), time.time()).values()}
            well = not states & {State.UNHEALTHY, State.DEGRADED}
            await asyncio.sleep(
                self._limits.health.interval_s if well else min(_TICK_S, self._limits.health.interval_s)
            )

    async def _probe(self, client: httpx.AsyncClient) -> None:
        limits, source, timeout_s = self._limits, self._settings.source, self._limits.health.timeout_s

        async def workers() -> None:
            if limits.health.worker_urls:
                self._workers = await ask_workers(client, limits.health.worker_urls, timeout_s)

        async def connect() -> None:
            if limits.health.connect_url:
                name, sign_in = self._settings.connect.connector, connect_sign_in(self._settings.connect)
                before, url = self._connect, limits.health.connect_url
                reading = await ask_connect(client, url, name, timeout_s, sign_in)
                self._connect_restarts += before is not None and not before.running and reading.running
                self._connect = reading

        async def database() -> None:
            if source.password.get_secret_value():
                self._database = await ask_database(source, timeout_s)
                if not self._database.answers or self._database.loses is None:
                    return  # not known is not over
                began = iso(time.time()) if self._database.loses else None
                self._losing_since = began and (self._losing_since or began)

        await asyncio.gather(workers(), connect(), database())
        self._checked_at = time.time()

    async def _check_regularly(self) -> None:
        while True:
            self.check(time.time())
            await asyncio.sleep(_TICK_S)

    def check(self, now: float) -> None:
        """Look at what is known, and notify everybody where something is new."""
        feed = self._feed()
        for name, component in self._components(feed, now).items():
            for state in State:
                self._metrics.component.labels(name, state).set(component.state is state)
        if self._database is not None and self._database.capture is not None:
            for effect in Effect:
                self._metrics.capture.labels(effect).set(effect in self._database.capture)
        status = self._watch.observe(self._symptoms(feed), now)
        if status is not None:
            log = _log.info if self._watch.live else _log.warning
            log(
                "clients are told how the feed is",
                state=status.state,
                component=status.component,
                behind_seconds=status.behind_seconds,
            )
            self._notify(status)
        self._metrics.feed_behind.set(self._watch.status(now).behind_seconds or 0.0)

    def _components(self, feed: FeedReading, now: float) -> dict[str, Component]:
        return {
            "database": database_component(self._database, self._losing_since),
            "kafka": kafka_component(feed),
            "connect": connect_component(self._connect, self._database, self._connect_restarts),
            "worker": worker_component(
                self._workers, feed, self._settings.kafka.partitions, self._limits.feed_status.behind_s, now
            ),
            "gateway": gateway_component(feed, now),
        }

    def _symptoms(self, feed: FeedReading) -> Symptoms:
        workers, connect, database = self._workers, self._connect, self._database
        return Symptoms(
            kafka_answers=feed.answering or not feed.positions_known,
            gateway_reads=feed.positions_known,
            gateway_lag_records=feed.lag_records,
            gateway_lag_seconds=feed.lag_seconds,
            worker_serves=None if workers is None else workers.partitions >= self._settings.kafka.partitions,
            worker_lag_records=None if workers is None else workers.lag_records,
            worker_lag_seconds=None if workers is None else workers.lag_seconds,
            connect_runs=None if connect is None else connect.running,
            database_answers=None if database is None else database.answers,
            database_captured=None if database is None or database.loses is None else not database.loses,
        )


def queue_depths(hub: Hub, publisher: Publisher) -> dict[str, int]:
    """The queues of this gateway, by name."""
    return {
        "connections_behind": len(hub.waiting()),
        "connection_bytes_max": hub.queued_bytes_max(),
        **publisher.waiting,
    }


def _plain(status: FeedStatus) -> dict[str, object]:
    content: dict[str, object] = msgspec.to_builtins(status)
    return {name: value for name, value in content.items() if name not in {"type", "timestamp"}}
