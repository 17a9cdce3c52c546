"""The steps of a start and their dependencies, on one page.

PostgreSQL starts while the archives are downloaded and Kafka starts; worker and gateway do not wait for Connect.
Owns the steps. `steps` runs them concurrently; each component has its own module.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psycopg

from common.errors import WatchfloorError
from common.settings.load import Settings
from deploy.embedded.addresses import Addresses
from deploy.embedded.aot_cache import is_trained, train
from deploy.embedded.broker import Broker, accepts_connections_at
from deploy.embedded.broker_user import FirstUser
from deploy.embedded.components import gateway_spec, worker_spec
from deploy.embedded.connect_worker import ConnectWorker
from deploy.embedded.feed_log import check_feed_log, refuse_strays, remember_feed_log
from deploy.embedded.jars import JarCache
from deploy.embedded.java import Java
from deploy.embedded.launcher import Launcher
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.postgres import Postgres
from deploy.embedded.steps import Step
from deploy.embedded.waiting import StartCalledOff, answers_ok

_SLOT_QUERY = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND active"


@dataclass(slots=True)
class Startup:
    """One start. `postgres`, `broker` and `connect` are None if the user provides that server."""

    launcher: Launcher
    settings: Settings
    addresses: Addresses
    jars: JarCache
    java: Java
    postgres: Postgres | None
    broker: Broker | None
    connect: ConnectWorker | None

    def steps(self) -> dict[str, Step]:
        """The steps by name, with their dependencies."""
        steps: dict[str, Step] = {}

        def add(name: str, run: Callable[[], None], *needs: str, begin: str = "starting", end: str = "ready") -> None:
            def reported() -> None:
                self.launcher.reporter.step(name, begin)
                run()
                self.launcher.reporter.done(name, end)

            steps[name] = Step(reported, needs)

        if self.broker or self.connect:
            steps["archives"] = Step(self._fetch_archives)
        if self.postgres:
            add("postgres", partial(self._start_postgres, self.postgres))
        if self.broker:
            add("kafka", partial(self._start_kafka, self.broker), "archives")
        if self.connect:
            add("connect", partial(self._start_connect, self.connect), "archives", *(("kafka",) if self.broker else ()))
        add("schema", self._apply_schema, *(("postgres",) if self.postgres else ()), begin="applying", end="checked")
        add("topics", self._ensure_topics, *(("kafka",) if self.broker else ()), begin="checking", end="checked")
        needs = ("schema", "topics", *(("connect",) if self.connect else ()))
        add("connector", self._apply_connector, *needs, begin="registering")
        add("worker", self._start_workers, "topics")
        add("gateway", self._start_gateway, "topics")
        return steps

    def remember(self) -> None:
        """After the steps, store what the next start compares with; raises WatchfloorError."""
        if self.broker:
            state = self.launcher.state
            remember_feed_log(state.saved, self.settings.kafka)
            state.remember()

    def _fetch_archives(self) -> None:
        reporter, called_off = self.launcher.reporter, self.launcher.called_off
        missing = self.jars.missing()
        if missing:
            total = sum(pin.size_bytes for pin in missing)
            arrived = 0

            def advance(count: int) -> None:
                nonlocal arrived
                if called_off.is_set():
                    raise StartCalledOff
                arrived += count
                reporter.download("archives", arrived, total)

            reporter.download("archives", 0, total)
            self.jars.ensure(advance)
        if not is_trained(self.java):
            reporter.step("java", "preparing faster starts, once")
            try:
                train(self.java, self.jars, self.launcher.records, called_off.is_set)
            except (WatchfloorError, OSError) as failure:
                reporter.event(f"starts are slower than they could be: {failure}")
            reporter.done("java", "prepared")

    def _start_postgres(self, postgres: Postgres) -> None:
        postgres.prepare(self.launcher.called_off.is_set)
        log = self.launcher.state.log("postgres")
        self.launcher.launch(postgres.spec(log, self.launcher.options), postgres.answers)
        postgres.ensure_database()

    def _start_kafka(self, broker: Broker) -> None:
        options, state = self.launcher.options, self.launcher.state
        refuse_strays(state.kafka)
        new = broker.prepare(cluster_id(state.saved.identity), self.launcher.called_off.is_set)
        first_user = None if new or state.saved.kafka_has_user else FirstUser(broker, self.settings.kafka)
        self.launcher.launch(broker.spec(state.log("kafka"), options), broker.answers)
        if first_user is not None:
            first_user.make(timeout_s=options.start_timeout_s)
        state.saved.kafka_has_user = True
        # Checked now, because the next steps create the topics that are missing.
        check_feed_log(state.kafka, state.saved, self.settings.kafka, timeout_s=options.start_timeout_s)

    def _start_connect(self, connect: ConnectWorker) -> None:
        connect.prepare(self.settings, self.jars.plugin_path())
        self.launcher.launch(connect.spec(self.launcher.state.log("connect"), self.launcher.options), connect.healthy)

    def _apply_schema(self) -> None:
        from connect.check import SignInError, check_source
        from connect.schema import apply_schema

        try:
            apply_schema(self.settings.source)
        except SignInError as failure:
            if self.postgres:
                raise
            named_by = self.launcher.options.postgres_named_by
            raise WatchfloorError(failure.problem, f"start the server, or correct {named_by}") from failure
        check_source(self.settings.source)

    def _ensure_topics(self) -> None:
        from common.kafka import unreachable
        from streams.topics import ensure_topics

        # Checked first, because a client would report every failed attempt on standard error.
        if not any(map(accepts_connections_at, self.settings.kafka.bootstrap_servers.split(","))):
            raise unreachable(self.settings.kafka)
        ensure_topics(self.settings.kafka)

    def _apply_connector(self) -> None:
        from connect.apply import apply_connector

        apply_connector(self.settings, on_wait=partial(self.launcher.reporter.step, "connector"))
        self.launcher.wait("the connector's replication slot", self._slot_is_active)

    def _slot_is_active(self) -> bool:
        admin = self.settings.source.admin_dsn
        try:
            with psycopg.connect(admin.get_secret_value() if admin else "", connect_timeout=5) as session:
                return session.execute(_SLOT_QUERY, (self.settings.source.slot,)).fetchone() is not None
        except psycopg.OperationalError:
            return False

    def _start_workers(self) -> None:
        launcher, ports = self.launcher, self.addresses.metrics
        specs = [worker_spec(n, port, launcher.state, launcher.options) for n, port in enumerate(ports, start=1)]
        # All at once, so that the group needs only one rebalance.
        children = [launcher.start(spec) for spec in specs]
        for child, port in zip(children, ports, strict=True):
            launcher.wait(child.spec.name, partial(_is_ready, port), child)

    def _start_gateway(self) -> None:
        spec = gateway_spec(self.launcher.state, self.launcher.options)
        self.launcher.launch(spec, partial(_is_ready, self.addresses.gateway))


def _is_ready(port: int) -> bool:
    return answers_ok(f"http://{LOOPBACK}:{port}/readyz")


def cluster_id(identity: str) -> str:
    """The Kafka cluster id of a state directory: 16 bytes in URL-safe base64, as Kafka's format requires.

    >>> cluster_id("00ff")
    'FokJzeL0EahOhuejnIo5Fg'
    """
    # Kafka's tools would read a leading "-" as an option.
    digest = b"\x16" + hashlib.sha256(identity.encode()).digest()[:15]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
