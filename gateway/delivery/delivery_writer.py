"""When receipts, audit records and notices about unseen messages are made, and the order in which they stop.

What is in them is decided by `gateway.delivery.receipts`, `audit` and `seen_findings`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import chain

from contracts.receipts import ReceiptBatch
from gateway.delivery.audit import AuditTrail
from gateway.delivery.receipts import Receipts
from gateway.delivery.seen_findings import SeenFindings
from gateway.kafka.publisher import Publisher

_POSITIONS_S = 1.0


class DeliveryWriter:
    """Writes what one gateway records.

    Args:
        interval_s: how often receipts are written.
    """

    def __init__(
        self,
        receipts: Receipts,
        findings: SeenFindings,
        audit: AuditTrail,
        publisher: Publisher,
        publish: Callable[[ReceiptBatch], None],
        interval_s: float,
    ) -> None:
        self._receipts = receipts
        self._findings = findings
        self._audit = audit
        self._publisher = publisher
        self._publish = publish
        self._interval_s = interval_s
        self._due: Iterator[ReceiptBatch] = iter(())
        """What is being written: a stop in between writes the rest."""

    @property
    def tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What writes until it is cancelled, by name."""
        return {"publisher": self._publisher.run, "receipts": self._write, "positions": self._note_positions}

    async def close(self) -> None:
        """Write what is left; in bounded time."""
        self._receipts.note_positions(everybody=True)
        for batch in chain(self._due, self._receipts.flush()):
            self._publish(batch)
        self._audit.close()
        await self._publisher.close()

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            self._due = self._receipts.flush()
            for batch in self._due:
                self._publish(batch)
                await asyncio.sleep(0)  # the sockets' turn
            now = time.time()
            self._findings.notify_unseen(now)
            self._audit.sweep(now)

    async def _note_positions(self) -> None:
        while True:
            await asyncio.sleep(_POSITIONS_S)
            self._receipts.note_positions()
