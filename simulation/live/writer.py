"""The program that writes the simulated company's rows into PostgreSQL, at a steady pace.

Reads: nothing but where an earlier run stopped and what is open. Writes: the watched tables, one transaction a
step; at the end it ends what is open, so that a company that is switched off is not found missing.
On failure: a lost server is waited for and the transaction sent again; anything else ends the run and
is kept in `failure`. Never talks to Kafka: the rest of the chain learns of a row from the WAL alone.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from common.errors import WatchfloorError
from simulation.live import sql
from simulation.live.company import TENANT_IDS
from simulation.live.simulation import Plan, Simulation
from simulation.live.transactions import Transaction, rounds
from simulation.live.wind_down import endings

_CONNECT_TIMEOUT_S = 5
_RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_LAG_S_MAX = 0.5
"""Further behind than this (a slow commit, the computer slept) the lost time is skipped, not caught up: catching
up squeezes the simulation's seconds, and what is planted after a burst would fall into the burst's window."""
_ROUND_S = 1.1
"""Longer than a window of the rate limit."""
_CALM_S, _CALM_TRIES_MAX = 0.4, 30


@dataclass(slots=True)
class WriterProgress:
    """What was committed so far. Written by the writer's thread, read by whoever shows it."""

    rows: int = 0
    transactions: int = 0
    waiting: str | None = None
    """Why nothing is written just now, for a reader; None while all is well."""
    planted: Counter[str] = field(default_factory=Counter)


class CompanyWriter:
    """Writes a simulated company until it is stopped."""

    def __init__(
        self,
        dsn: str,
        plan: Plan,
        *,
        seconds: float | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            dsn: a PostgreSQL URL of a role that may write the source tables.
            plan: what the company is like, and its pace.
            seconds: write for so long, then stop; None for without end.
            on_end: called when the thread of `start` ends, also after a failure.
        """
        self.progress = WriterProgress()
        self.failure: WatchfloorError | None = None
        self._dsn = dsn
        self._plan = plan
        self._seconds = seconds
        self._on_end = on_end
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Write in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="company", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 20.0) -> None:
        """Finish the transaction at hand, end what is open, and end; safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        connection = self._connected()
        try:
            if connection is not None:
                self._write(connection)
        except psycopg.Error as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            self.failure = WatchfloorError(
                f"the simulated company cannot write to PostgreSQL ({reason})",
                "run watchfloor doctor, and look whether the source tables are those of this version",
            )
        finally:
            if connection is not None:
                connection.close()
            self._on_end()

    def _write(self, connection: psycopg.Connection) -> None:
        tenants = list(TENANT_IDS[: self._plan.tenants])
        # Of a run that was killed.
        connection = self._end_what_is_open(connection, tenants)
        with connection.transaction():
            resume = sql.read_resume_point(connection, tenants)
            sql.clear_people(connection, tenants)
        start_s, began = time.time(), time.monotonic()
        simulation = Simulation(self._plan, start_s, resume)
        connection = self._commit_rounds(connection, simulation.opening(), replace=True)
        opened_s = time.monotonic() - began
        skipped = due = 0.0
        while not self._stop.is_set() and (self._seconds is None or due + skipped < self._seconds):
            lag = time.monotonic() - began - opened_s - skipped - due
            if lag < 0:
                self._stop.wait(-lag)
                continue
            if lag > _LAG_S_MAX:
                skipped += lag
            transaction = simulation.step(start_s + opened_s + due + skipped)
            connection = self._commit(connection, transaction)
            due += 1 / self._plan.rows_per_s
        connection = self._finish(connection, simulation)
        # Where the server is gone there is nothing to end: the next run does it.
        with suppress(psycopg.OperationalError):
            self._end_what_is_open(connection, tenants)

    def _finish(self, connection: psycopg.Connection, simulation: Simulation) -> psycopg.Connection:
        """Wait until the rate limit's window is over and nothing that was planted is just coming due.

        Whether that would be found or be ended before nobody could say. What has its time meanwhile happens.
        """
        time.sleep(_ROUND_S)
        for _ in range(_CALM_TRIES_MAX):
            now_s = time.time()
            for transaction in simulation.finish(now_s):
                connection = self._commit(connection, transaction)
            self.progress.planted.update(simulation.due(now_s))
            first_s = simulation.first_due_s
            if first_s is None or first_s - now_s > _CALM_S:
                break
            time.sleep(_CALM_S)
        return connection

    def _end_what_is_open(self, connection: psycopg.Connection, tenants: Sequence[int]) -> psycopg.Connection:
        with connection.transaction():
            now_s = time.time()
            ends = endings(sql.read_open_rows(connection, tenants, now_s), now_s)
        return self._commit_rounds(connection, rounds(ends, self._plan.round_rows))

    def _commit_rounds(
        self, connection: psycopg.Connection, many: Iterable[Iterable[Transaction]], *, replace: bool = False
    ) -> psycopg.Connection:
        """Commit rounds, each in a window of the rate limit of its own; not to be hurried by a stop."""
        for one in many:
            for transaction in one:
                connection = self._commit(connection, transaction, replace=replace)
            time.sleep(_ROUND_S)
        return connection

    def _commit(
        self, connection: psycopg.Connection, transaction: Transaction, *, replace: bool = False
    ) -> psycopg.Connection:
        """Commit, over a new connection where the old one breaks; returns the connection in use."""
        while True:
            try:
                with connection.transaction():
                    for change in transaction.changes:
                        sql.execute(connection, change, replace=replace)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if not connection.closed and not connection.broken:
                    raise
                renewed = self._connected()
                if renewed is None:
                    return connection
                connection = renewed
                continue
            self.progress.rows += len(transaction.changes)
            self.progress.transactions += 1
            self.progress.planted.update(transaction.planted)
            return connection

    def _connected(self) -> psycopg.Connection | None:
        """A connection, however long the server takes to come; None once stopped."""
        attempt = 0
        while not self._stop.is_set():
            try:
                connection = psycopg.connect(
                    self._dsn, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S, application_name="watchfloor-demo"
                )
            except psycopg.OperationalError:
                self.progress.waiting = "PostgreSQL does not answer"
                self._stop.wait(_RETRY_DELAYS_S[min(attempt, len(_RETRY_DELAYS_S) - 1)])
                attempt += 1
                continue
            self.progress.waiting = None
            return connection
        return None
