"""Waiting for something to become true, with a limit, and giving up when the start is called off."""

import time
from collections.abc import Callable

from common.errors import WatchfloorError


class StartCalledOff(Exception):  # noqa: N818 - the user's wish, not an error
    """The user, or another component's failure, ended the start; nothing to report."""


def wait_until(
    check: Callable[[], bool],
    *,
    what: str,
    timeout_s: float,
    called_off: Callable[[], bool],
    alive: Callable[[], None] = lambda: None,
    poll_s: float = 0.05,
) -> None:
    """Call `check` until it returns true.

    Args:
        check: the condition; must answer quickly.
        what: names what is waited for, as in "Kafka did not answer within 60 s".
        timeout_s: the limit.
        called_off: ends the wait when it returns true.
        alive: raises when waiting has become useless, such as for a process that ended.
        poll_s: the pause between two checks.

    Raises:
        StartCalledOff: `called_off` returned true.
        WatchfloorError: the time is over, or what `alive` raises.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        if called_off():
            raise StartCalledOff
        if check():
            return
        alive()
        if time.monotonic() > deadline:
            raise WatchfloorError(
                f"{what} did not get ready within {timeout_s:.0f} s",
                "see its log in the state directory, or allow more time with --start-timeout",
            )
        time.sleep(poll_s)
