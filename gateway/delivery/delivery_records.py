"""What a gateway writes down, put together: receipts, the audit trail, and the producer below both.

Owns when records are made and the order of stopping. What is in them is decided by `gateway.delivery.receipts` and
`gateway.delivery.audit`.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from itertools import chain

from common.settings.load import Settings
from contracts.receipts import ReceiptBatch
from gateway.delivery.audit import AuditTrail
from gateway.delivery.receipts import Receipts
from gateway.delivery.seen_reader import SeenReader
from gateway.delivery.unseen_critical import UnseenCritical
from gateway.kafka.publisher import Publisher
from gateway.metrics import GatewayMetrics

_LOOK_S = 1.0


class DeliveryRecords:
    """The records of one gateway.

    Args:
        settings: of the process.
        metrics: what is written, dropped and waits.
        epoch: of the feed's log now.
    """

    def __init__(self, settings: Settings, metrics: GatewayMetrics, epoch: Callable[[], str]) -> None:
        limits = settings.gateway
        self.gateway = f"{socket.gethostname()}-{os.getpid()}"
        """The name of this process in the records."""
        self._interval_s = limits.receipts.interval_ms / 1000
        self.publisher = Publisher(settings.kafka, limits, metrics)
        watch = UnseenCritical(limits.critical)
        self.receipts = Receipts(
            self.gateway,
            watch,
            metrics,
            give=self.publisher.receipts,
            epoch=epoch,
            clock=time.time,
            ranges_max=limits.receipts.ranges_max,
            ids_max=limits.receipts.seen_ids_max,
            positions_interval_s=limits.receipts.positions_interval_s,
        )
        self.audit = AuditTrail(
            self.gateway,
            self.publisher.audit,
            window_s=limits.audit.window_s,
            kinds_max=limits.audit.repeats_max,
        )
        self._due: Iterator[ReceiptBatch] = iter(())
        """What is being written: a stop in the middle goes on with it."""
        self._seen = SeenReader(settings.kafka, limits, self.gateway, self.receipts.heard)

    async def run(self) -> None:
        """Write down and read what others wrote, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.publisher.run())
            tasks.create_task(self._seen.run())
            tasks.create_task(self._write())
            tasks.create_task(self._look())

    async def close(self) -> None:
        """Write what is left; in bounded time."""
        self.receipts.look_at_positions(everybody=True)
        for batch in chain(self._due, self.receipts.flush()):
            self.publisher.receipts(batch)
        self.audit.close()
        await self.publisher.close()

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            self._due = self.receipts.flush()
            for batch in self._due:
                self.publisher.receipts(batch)
                await asyncio.sleep(0)  # the sockets' turn
            now = time.time()
            self.receipts.sightings.tell_unseen(now)
            self.audit.sweep(now)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            self.receipts.look_at_positions()
