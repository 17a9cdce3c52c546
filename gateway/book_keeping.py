"""Keeps the tasks running that only record and measure: receipts, the audit trail, health and metrics.

An error in one of them is logged and counted, and the task begins again: no book-keeping ends a process that serves.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gateway.metrics import GatewayMetrics

PAUSE_S = 1.0

_log = structlog.get_logger(__name__)


async def keep_books(name: str, run: Callable[[], Awaitable[None]], metrics: GatewayMetrics) -> None:
    """Run a task until cancelled, however often it fails.

    Args:
        name: in the log and the metric.
        run: the task, which does not end by itself.
        metrics: count failures.
    """
    while True:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - the boundary of book-keeping: what it is about goes on without it
            metrics.book_keeping_failures.labels(name).inc()
            _log.error("book-keeping failed and begins again", task=name, error=type(error).__name__)
        await asyncio.sleep(PAUSE_S)
