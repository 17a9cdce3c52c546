"""What a tenant's flood does to its neighbours: tenants that commit a few rows each second and listen.

Each neighbour has one session of the database and one connection of the anomaly stream. The latency of a row is the
time from the return of its commit to the arrival of its message.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from support.operator import STREAM, fresh_id, insert
from support.stack import RunningStack
from support.waiting import happens, let_pass
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from contracts.topics import partition_of

SILENCE_S_MAX = 3
"""For how long the brokers may be silent in these tests before the worker is not ready."""
_PER_SECOND = 5
_EVENTS = ("event_processed", "anomaly_detected")


def tenant_in(partition: int, partitions: int) -> int:
    """A tenant that no other test uses, in this partition."""
    return next(tenant for tenant in iter(fresh_id, 0) if partition_of(tenant, partitions) == partition)


def found(session: "psycopg.Connection[Any]", tenant: int) -> None:
    """The rows that events of a tenant refer to, so that none of them has to wait for one."""
    insert(session, "site", id=tenant, tenant_id=tenant)
    insert(session, "person", id=tenant, tenant_id=tenant)
    session.execute(
        "INSERT INTO assignment (id, tenant_id, person_id, site_id, shift_start, shift_end) "
        "VALUES (%s, %s, %s, %s, now() - interval '4 hours', now() + interval '8 hours')",
        [tenant] * 4,
    )


class Neighbour:
    """Commits rows at a steady pace in one thread and notes in another when their messages come.

    Args:
        stack: the running chain.
        tenant: its tenant.
    """

    def __init__(self, stack: RunningStack, tenant: int) -> None:
        self.tenant = tenant
        self._stack = stack
        self.committed_s: dict[str, float] = {}
        self.heard_s: dict[str, float] = {}
        self._stop = threading.Event()
        self._open = ExitStack()
        self._socket = self._open.enter_context(connect(stack.endpoints["websocket"] + STREAM, compression=None))
        self._socket.send(json.dumps({"type": "authenticate", "token": stack.make_token(tenant)}))
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._write, self._listen)]

    def start(self) -> None:
        """Begin to write and to listen."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Commit nothing more, and disconnect."""
        self._stop.set()
        self._threads[0].join()
        self._open.close()
        self._threads[1].join()

    def _write(self) -> None:
        with self._stack.connection() as session:
            while not self._stop.wait(1 / _PER_SECOND):
                row = insert(
                    session,
                    "location",
                    tenant_id=self.tenant,
                    site_id=self.tenant,
                    person_id=self.tenant,
                    recorded_at=datetime.now(UTC),
                    latitude=1.3,
                    longitude=103.8,
                    accuracy_m=5,
                )
                self.committed_s[f"location:{row}"] = time.monotonic()

    def _listen(self) -> None:
        try:
            for frame in self._socket:
                message = json.loads(frame)
                if message["type"] in _EVENTS:
                    self.heard_s.setdefault(message["event_id"].rpartition(":")[0], time.monotonic())
        except ConnectionClosed:
            return

    def heard_all_until(self, moment_s: float) -> bool:
        """Whether every row that was committed before has had its message."""
        return all(row in self.heard_s for row, at_s in list(self.committed_s.items()) if at_s < moment_s)

    def latencies_s(self, begin_s: float, end_s: float) -> list[float]:
        """Of the rows committed in between; a message that has not come counts as infinitely late."""
        return [
            self.heard_s.get(row, float("inf")) - at_s
            for row, at_s in list(self.committed_s.items())
            if begin_s <= at_s < end_s
        ]


@contextmanager
def neighbours(stack: RunningStack, *tenants: int) -> Iterator[list[Neighbour]]:
    """Tenants that write and listen, once the first message of each has come."""
    with ExitStack() as open_, stack.connection() as session:
        made = []
        for tenant in tenants:
            with stack.processing(site=1, person=1, assignment=1):
                found(session, tenant)
            each = Neighbour(stack, tenant)
            each.start()
            open_.callback(each.stop)
            made.append(each)
        for each in made:
            assert happens(lambda each=each: each.heard_s, within_s=30), f"tenant {each.tenant} hears nothing"
        yield made


def worst(latencies: list[float]) -> tuple[float, float]:
    """The median and the largest of some latencies."""
    ordered = sorted(latencies)
    return ordered[len(ordered) // 2], ordered[-1]


def during(
    others: list[Neighbour], attack: Callable[[], None], *, calm_s: float, settle_s: float, within_s: float
) -> tuple[list[list[float]], list[list[float]]]:
    """The neighbours' latencies in a calm time, and from the beginning of an attack until all of it has passed.

    Args:
        others: neighbours that write and listen.
        attack: returns when its last row is committed.
        calm_s: how long the calm is measured.
        settle_s: how long rows count after the attack's last commit.
        within_s: how long messages are waited for at the end.
    """
    begin_s = time.monotonic()
    let_pass(calm_s)
    attack_s = time.monotonic()
    attack()
    let_pass(settle_s)
    end_s = time.monotonic()
    happens(lambda: all(each.heard_all_until(end_s) for each in others), within_s=within_s)
    return [each.latencies_s(begin_s, attack_s) for each in others], [
        each.latencies_s(attack_s, end_s) for each in others
    ]
