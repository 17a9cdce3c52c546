"""A worker whose broker does not answer says so, and is ready again when it does."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from hostile.fairness.neighbours import SILENCE_S_MAX
from support.stack import RunningStack
from support.waiting import stays, until


@contextmanager
def stopped(stack: RunningStack) -> Iterator[None]:
    """The broker's process is there and does nothing."""
    pid = stack.pid("kafka")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def lag_s(stack: RunningStack) -> float:
    return max(stack.worker_metric(f'watchfloor_worker_lag_seconds{{partition="{number}"}}') for number in range(4))


@pytest.mark.timeout(180)
def test_a_worker_without_answers_is_not_ready_and_its_lag_grows(flooded: RunningStack) -> None:
    until(lambda: flooded.is_ready("worker") and lag_s(flooded) == 0, "the worker is ready")
    stays(lambda: flooded.is_ready("worker"), "ready while there is nothing to do", for_s=SILENCE_S_MAX + 2)
    with stopped(flooded):
        until(lambda: not flooded.is_ready("worker"), "not ready", within_s=SILENCE_S_MAX + 5)
        until(lambda: lag_s(flooded) > SILENCE_S_MAX, "the lag shows", within_s=5)
        before_s = lag_s(flooded)
        until(lambda: lag_s(flooded) > before_s + 2, "the lag grows", within_s=10)
        assert flooded.worker_metric("watchfloor_worker_ready") == 0
        base = flooded.endpoints["metrics"]["worker"].removesuffix("/metrics")
        assert httpx.get(f"{base}/healthz", timeout=5, trust_env=False).is_success, "it need not be restarted"
    until(lambda: flooded.is_ready("worker") and lag_s(flooded) == 0, "the worker is ready again", within_s=60)


@pytest.mark.timeout(180)
def test_a_worker_whose_broker_was_killed_is_ready_again(flooded: RunningStack) -> None:
    until(lambda: flooded.is_ready("worker"), "the worker is ready", within_s=60)
    before = flooded.pid("kafka")
    os.kill(before, signal.SIGKILL)
    until(lambda: flooded.pid("kafka") != before, "the broker is started again", within_s=60)
    until(lambda: flooded.is_ready("worker") and lag_s(flooded) == 0, "the worker is ready again", within_s=90)
