"""Writes a company's row changes to the captured topics at a stated rate, as one connector would.

Owns the producer and its pace. Every now and then it repeats its last records, as a restarted connector
does, and floods one tenant over its limit.
"""

import random
import threading
import time
from collections import deque
from datetime import UTC, datetime

from chaos.random_company import Company, Message
from confluent_kafka import KafkaError, Producer

_STEP_S = 0.02
_REPEATS_PER_S = 0.15
_REPEATED_MAX = 300
_BURSTS_PER_S = 0.5
_BURST_ROWS = 250
FLUSH_S_MAX = 60.0


class Load:
    """A paced producer in a thread of its own.

    Args:
        address: of the broker.
        prefix: of the captured topics.
        company: what to say.
        seed: of pace, repeats and bursts.
    """

    def __init__(self, address: str, prefix: str, company: Company, seed: int) -> None:
        self._prefix = prefix
        self._company = company
        self._random = random.Random(seed)
        self._latest: deque[Message] = deque(maxlen=_REPEATED_MAX)
        self.sent = 0
        """Records handed to the producer."""
        self.failure: BaseException | None = None
        self._undelivered: list[KafkaError] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": address,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 2,
                "partitioner": "murmur2_random",
                "message.timeout.ms": 300_000,
                "queue.buffering.max.messages": 1_000_000,
                "log_level": 0,
            }
        )

    def found(self) -> None:
        """Write the reference data and wait until the broker has it."""
        for message in self._company.founding(datetime.now(UTC)):
            self._send(message)
        self.flush()

    def more_persons(self, count: int) -> None:
        """Write persons that nobody talks of, and wait until the broker has them; the thread must not run."""
        for message in self._company.more_persons(count, datetime.now(UTC)):
            self._send(message, remember=False)
            self._producer.poll(0)
        self.flush()

    def start(self, rate: float) -> None:
        """Write about `rate` row changes a second until `stop`."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=(rate,), name="load", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write no more; everything written so far is acknowledged when this returns."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self.failure is not None:
            raise self.failure
        self.flush()

    def abandon(self) -> None:
        """Write no more, whatever became of what was written; for a run that has failed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._producer.purge()

    def burst(self, rows: int) -> None:
        """Write some rows of every tenant at once; the thread must not run."""
        now = datetime.now(UTC)
        for tenant in self._company.tenants:
            for message in self._company.rows(rows, now, tenant):
                self._send(message)
        self.flush()

    def flush(self) -> None:
        """Wait for the broker's acknowledgements."""
        left = self._producer.flush(FLUSH_S_MAX)
        assert not left, f"the broker did not take {left} records within {FLUSH_S_MAX:g} s"
        assert not self._undelivered, f"records were not delivered: {self._undelivered[0]}"

    def _run(self, rate: float) -> None:
        try:
            due = time.monotonic()
            owed = 0.0
            while not self._stop.is_set():
                now = datetime.now(UTC)
                owed += rate * _STEP_S
                for message in self._company.rows(int(owed), now):
                    self._send(message)
                owed -= int(owed)
                self._disturb(now)
                self._producer.poll(0)
                due = max(due + _STEP_S, time.monotonic() - 1)  # after a stall at most a second is made up
                self._stop.wait(max(0.0, due - time.monotonic()))
        except BaseException as error:  # noqa: BLE001 - the boundary of the thread: `stop` raises it
            self.failure = error

    def _disturb(self, now: datetime) -> None:
        if self._random.random() < _BURSTS_PER_S * _STEP_S:
            tenant = self._random.choice(self._company.tenants)
            for message in self._company.rows(self._random.randrange(50, _BURST_ROWS), now, tenant):
                self._send(message)
        if self._random.random() < _REPEATS_PER_S * _STEP_S:
            latest = list(self._latest)
            for message in latest[-self._random.randrange(1, _REPEATED_MAX) :]:
                self._send(message, remember=False)

    def _send(self, message: Message, *, remember: bool = True) -> None:
        if remember:
            self._latest.append(message)
        self.sent += 1
        self._producer.produce(
            f"{self._prefix}.public.{message.table}",
            message.value,
            b'{"tenant_id":%d}' % message.tenant,
            on_delivery=self._delivered,
        )

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._undelivered.append(error)
