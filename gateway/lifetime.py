"""What runs in a gateway process beside its sockets: the readers, the writers, and what is done once a second.

Owns the order of starting and stopping. Puts nothing together: that is `gateway.wiring`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from gateway.book_keeping import keep_books
from gateway.gc_tuning import GcTuning
from gateway.wiring import GatewayParts

_DELAY_PROBE_S = 0.25
_SWEEP_S = 1.0

_log = structlog.get_logger(__name__)


async def run_parts(parts: GatewayParts, gc_tuning: GcTuning) -> None:
    """Read the feed and keep everything running until cancelled.

    Raises:
        WatchfloorError: the feed cannot be read at the start.
    """
    try:
        await parts.feed_reader.open()
        _log.info("caught up with the feed", epoch=parts.services.hub.epoch)
        gc_tuning.settle()
        async with asyncio.TaskGroup() as tasks:
            for reader in (parts.feed_reader, *parts.view_readers):
                tasks.create_task(reader.run())
            tasks.create_task(parts.services.catch_up.run())
            books: dict[str, Callable[[], Awaitable[None]]] = {
                **parts.deliveries.tasks,
                "health": parts.health.run,
                "sweep": partial(_sweep, parts),
                "delay": partial(_probe_delay, parts),
            }
            for name, run in books.items():
                tasks.create_task(keep_books(name, run, parts.metrics))
    finally:
        await parts.feed_reader.close()
        await parts.deliveries.close()


async def _sweep(parts: GatewayParts) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        parts.services.catch_up.close_stuck()
        parts.metrics.queue_bytes.set(parts.services.hub.queued_bytes_max())


async def _probe_delay(parts: GatewayParts) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _DELAY_PROBE_S
        await asyncio.sleep(_DELAY_PROBE_S)
        parts.metrics.loop_delay.observe(max(0.0, loop.time() - due))
