"""Waits for a condition with a deadline, in the one place where tests sleep.

until(server.ready, "the server is ready", within_s=30)      it becomes true, or the test fails
stays(lambda: not calls, "nobody calls", for_s=0.2)           it is true and nothing changes that
let_pass(2.5)                                                 time itself is part of what is tested
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

_PAUSE_S_MIN, _PAUSE_S_MAX = 0.002, 0.1


def until(condition: Callable[[], T | None], what: str, *, within_s: float = 30.0) -> T:
    """Call `condition` until it returns something true, and return that.

    Raises:
        AssertionError: it did not within `within_s`.
    """
    for pause_s in _pauses(within_s):
        if found := condition():
            return found
        time.sleep(pause_s)
    raise AssertionError(f"not within {within_s:g} s: {what}")


async def until_async(condition: Callable[[], T | None], what: str, *, within_s: float = 10.0) -> T:
    """As `until`, while the event loop goes on."""
    for pause_s in _pauses(within_s, asyncio.get_running_loop().time):
        if found := condition():
            return found
        await asyncio.sleep(pause_s)
    raise AssertionError(f"not within {within_s:g} s: {what}")


def happens(condition: Callable[[], object], *, within_s: float) -> bool:
    """Whether `condition` becomes true in time, for a test that has an answer to both."""
    for pause_s in _pauses(within_s):
        if condition():
            return True
        time.sleep(pause_s)
    return False


def stays(condition: Callable[[], object], what: str, *, for_s: float) -> None:
    """Look again and again for `for_s`: nothing that happens in that time makes `condition` untrue.

    Raises:
        AssertionError: it became untrue.
    """
    for pause_s in _pauses(for_s):
        assert condition(), f"no longer: {what}"
        time.sleep(pause_s)
    assert condition(), f"no longer after {for_s:g} s: {what}"


async def stays_async(condition: Callable[[], object], what: str, *, for_s: float) -> None:
    """As `stays`, while the event loop goes on."""
    for pause_s in _pauses(for_s, asyncio.get_running_loop().time):
        assert condition(), f"no longer: {what}"
        await asyncio.sleep(pause_s)
    assert condition(), f"no longer after {for_s:g} s: {what}"


def let_pass(seconds: float) -> None:
    """Do nothing for a time that is part of what is tested: the pace of a load, a pause, a moment drawn at random."""
    time.sleep(seconds)


async def let_pass_async(seconds: float) -> None:
    """As `let_pass`, while the event loop goes on."""
    await asyncio.sleep(seconds)


async def loop_turns(count: int) -> None:
    """Let every task that is ready run so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


def _pauses(seconds: float, clock_s: Callable[[], float] = time.monotonic) -> Iterator[float]:
    """Pauses between looks, longer the longer it takes; they end once `seconds` have passed since the first."""
    began = clock_s()
    passed_s = 0.0
    while passed_s <= seconds:
        yield min(_PAUSE_S_MAX, _PAUSE_S_MIN + passed_s / 10)
        passed_s = clock_s() - began
