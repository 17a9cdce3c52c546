"""The waits of the tests end in time, and say what did not happen."""

import asyncio
import time
from collections.abc import Callable

import pytest
from support.virtual_time import VirtualTimeLoop
from support.waiting import happens, let_pass, let_pass_async, stays, stays_async, until, until_async


def after(looks: int) -> Callable[[], int]:
    """True from so many looks on."""
    seen = 0

    def look() -> int:
        nonlocal seen
        seen += 1
        return seen if seen >= looks else 0

    return look


def test_what_becomes_true_is_returned() -> None:
    assert until(after(3), "three looks", within_s=5) == 3
    assert asyncio.run(until_async(after(3), "three looks", within_s=5)) == 3
    assert happens(after(3), within_s=5)


def test_what_does_not_become_true_is_named() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.02 s: the cow jumps"):
        until(lambda: False, "the cow jumps", within_s=0.02)
    with pytest.raises(AssertionError, match=r"not within 0\.02 s: the cow jumps"):
        asyncio.run(until_async(lambda: False, "the cow jumps", within_s=0.02))
    assert not happens(lambda: False, within_s=0.02)


def test_what_changes_meanwhile_did_not_stay() -> None:
    began = time.monotonic()
    stays(lambda: True, "nothing happens", for_s=0.05)
    assert time.monotonic() - began >= 0.05
    broken = after(3)
    with pytest.raises(AssertionError, match="no longer"):
        stays(lambda: not broken(), "nothing happens", for_s=5)
    broken = after(3)
    with pytest.raises(AssertionError, match="no longer"):
        asyncio.run(stays_async(lambda: not broken(), "nothing happens", for_s=5))


def test_virtual_time_passes_at_once_and_in_order() -> None:
    heard: list[str] = []

    async def say(word: str, later_s: float) -> None:
        await let_pass_async(later_s)
        heard.append(word)

    async def story() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(say("late", 3_600), say("early", 60), say("now", 0))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 7_200)
        return loop.time() - began

    began = time.monotonic()
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(story()) >= 10_800
    assert time.monotonic() - began < 5
    assert heard == ["now", "early", "late"]


def test_virtual_time_waits_for_another_thread() -> None:
    async def story() -> int:
        return await asyncio.wait_for(asyncio.to_thread(lambda: let_pass(0.05) or 7), None)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(story()) == 7
