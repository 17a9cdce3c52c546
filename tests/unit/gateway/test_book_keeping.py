"""Also of gateway/lifetime.py."""

import asyncio

import pytest
from support.virtual_time import VirtualTimeLoop

from gateway.book_keeping import keep_books
from gateway.metrics import GatewayMetrics


@pytest.mark.parametrize(
    "error", [ValueError("x"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogate"), RecursionError()]
)
def test_a_failing_task_is_counted_and_begins_again(error: Exception) -> None:
    metrics = GatewayMetrics()
    rounds = 0

    async def fails() -> None:
        nonlocal rounds
        rounds += 1
        raise error

    async def scene() -> None:
        task = asyncio.create_task(keep_books("receipts", fails, metrics))
        await asyncio.wait([task], timeout=10)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(scene())
    assert rounds >= 5
    assert b'book_keeping_failures_total{task="receipts"} %.1f' % rounds in metrics.text()
