"""The embedded stack: starts all components in order, keeps them running, stops them in order.

    with a terminal:   Stack(options, settings).run_until_signal(on_ready)
    in a program:      stack = Stack(options, settings); stack.start(); …; stack.stop()

Owns the life cycle of a stack. The steps of a start are in `startup`, what the user sees in `progress`.
"""

import errno
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import psycopg

from common.errors import WatchfloorError
from common.settings.load import Settings, load_settings
from deploy.embedded.addresses import choose_addresses, settings_overrides
from deploy.embedded.broker import Broker
from deploy.embedded.components import endpoints_of
from deploy.embedded.config import keep_loopback_direct, merged
from deploy.embedded.connect_worker import ConnectWorker
from deploy.embedded.connector_watch import ConnectorWatch
from deploy.embedded.jars import JarCache, read_lock
from deploy.embedded.java import Java
from deploy.embedded.launcher import Launcher
from deploy.embedded.options import StackOptions
from deploy.embedded.own_servers import check_own_servers
from deploy.embedded.postgres import Postgres
from deploy.embedded.processes import stop_leftovers
from deploy.embedded.progress import Reporter, reporter_for_stderr
from deploy.embedded.startup import Startup
from deploy.embedded.state import StateDir, disk_full
from deploy.embedded.steps import Steps
from deploy.embedded.supervisor import Supervisor
from deploy.embedded.waiting import StartCalledOff

_WAIT_POLL_S = 0.5


class Stack:
    """One embedded stack in one state directory; started and stopped once.

    Args:
        options: the options and limits of the launcher.
        base: the user's settings; the launcher's addresses and secrets override them.
        reporter: shows progress and events; on standard error if None.
    """

    def __init__(self, options: StackOptions, base: Settings | None = None, reporter: Reporter | None = None) -> None:
        self.options = options
        self.state = StateDir(options.state_dir)
        self._base = base if base is not None else load_settings()
        self._reporter = reporter or reporter_for_stderr()
        self._over = threading.Event()
        self._launcher = Launcher(self.state, options, self._reporter, self._over)
        self._settings: Settings | None = None
        self._failure: WatchfloorError | None = None
        self._supervisor: Supervisor | None = None
        self._connector_watch: ConnectorWatch | None = None

    @property
    def settings(self) -> Settings:
        """The settings of the running stack, as in its `watchfloor.toml`; available after `start`."""
        if self._settings is None:
            raise RuntimeError("the stack was not started")
        return self._settings

    @property
    def endpoints(self) -> dict[str, Any]:
        """The content of `endpoints.json` with the current process ids; available after `start`."""
        return endpoints_of(self.settings, self._launcher.children)

    def start(self) -> None:
        """Start everything; return when a row committed in PostgreSQL reaches an operator.

        Raises:
            WatchfloorError: the start failed; everything that was started has been stopped.
            StartCalledOff: `request_stop` was called; everything that was started has been stopped.
        """
        check_own_servers(self.options)
        keep_loopback_direct()
        self.state.open()
        try:
            startup = self._prepare()
            Steps(startup.steps(), self._over).run()
            startup.remember()
            self._write_endpoints()
        except BaseException as failure:
            self._reporter.close()
            cause = self._cause(failure)
            self.stop()
            if cause is not None:
                raise cause from failure
            raise
        self._reporter.close()
        self._watch()

    def wait(self) -> None:
        """Wait until `request_stop` is called.

        Raises:
            WatchfloorError: the stack cannot go on, for example because the disk is full; call `stop` then.
        """
        # With a timeout, so that the main thread can run its signal handlers.
        while not self._over.wait(_WAIT_POLL_S):
            pass
        if self._failure is not None:
            raise self._failure

    def request_stop(self) -> None:
        """End `start` or `wait`; may be called from a signal handler and from any thread."""
        self._over.set()

    def stop(self) -> None:
        """Stop the gateway, workers, Connect, Kafka and PostgreSQL, in this order; a second call does nothing."""
        self._over.set()
        if self._connector_watch:
            self._connector_watch.stop()
        if self._supervisor:
            self._supervisor.stop()
        self.state.endpoints_file.unlink(missing_ok=True)  # nothing answers any more
        self._launcher.stop_all()
        self.state.close()

    def run_until_signal(self, on_ready: Callable[["Stack"], None]) -> None:
        """Start, call `on_ready`, wait for Ctrl-C, SIGTERM or SIGHUP, then stop. Call this in the main thread.

        A second signal kills the processes that have not stopped yet.

        Raises:
            WatchfloorError: the start failed, or the stack could not go on; everything has been stopped.
        """
        received = 0

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            nonlocal received
            received += 1
            self.request_stop()
            if received > 1:
                self._launcher.kill_all()

        handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, on_signal) for number in handled}
        try:
            self.start()
            try:
                on_ready(self)
                self.wait()
            finally:
                self._reporter.event("stopping")
                self.stop()
        except StartCalledOff:
            self._reporter.event("the start was interrupted; everything has been stopped")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _prepare(self) -> Startup:
        """Everything that needs no server: leftover processes, free disk space, ports, settings."""
        state, options = self.state, self.options
        for name in stop_leftovers(state.run):
            self._reporter.event(f"{name} was still running after its launcher was killed; it has been stopped")
        state.check_disk(options.free_disk_mib_min)
        addresses = choose_addresses(options, self._base, state.saved)
        state.remember()
        postgres = Postgres(state, addresses.postgres) if addresses.postgres else None
        overrides = settings_overrides(
            options,
            self._base,
            state.saved,
            addresses,
            embedded_postgres_url=postgres.url() if postgres else None,
            worker_dir=state.root / "worker",
        )
        settings = self._settings = merged(self._base, overrides, state.settings_file)
        self._launcher.start_orphan_stopper()
        jars = JarCache(options.cache_dir, read_lock())
        java = Java(jars)
        broker = connect = None
        if addresses.kafka and addresses.controller:
            file = state.config / "kafka.properties"
            password = state.saved.kafka_password
            broker = Broker(java, state.kafka, file, addresses.kafka, addresses.controller, password)
        if addresses.connect:
            file, password = state.config / "connect.properties", state.saved.connect_password
            connect = ConnectWorker(java, file, addresses.connect, password)
        return Startup(self._launcher, settings, addresses, jars, java, postgres, broker, connect)

    def _cause(self, failure: BaseException) -> WatchfloorError | None:
        """A better explanation of a failed start than the failure itself, if there is one."""
        if isinstance(failure, StartCalledOff | KeyboardInterrupt):
            return None
        if isinstance(failure, OSError) and failure.errno == errno.ENOSPC:
            return disk_full(self.state.root, "nothing can be written there")
        if isinstance(failure, psycopg.errors.DiskFull):
            return disk_full(self.state.root, "PostgreSQL cannot write")
        # The clients of a server that ended report only a refused connection.
        return self._launcher.first_death()

    def _watch(self) -> None:
        from connect.apply import restart_failed_tasks

        self._supervisor = Supervisor(
            self.options,
            self._reporter,
            on_restart=self._write_endpoints,
            on_fatal=self._fail,
            housekeeping=lambda: self.state.check_disk(self.options.free_disk_mib_stop),
        )
        self._supervisor.start(self._launcher.children)
        self._connector_watch = ConnectorWatch(
            self.options, self._reporter, lambda: restart_failed_tasks(self.settings)
        )
        self._connector_watch.start()

    def _write_endpoints(self) -> None:
        self.state.write_endpoints(self.endpoints)

    def _fail(self, failure: WatchfloorError) -> None:
        self._failure = failure
        self._over.set()
