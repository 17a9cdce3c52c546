"""Waits for a condition, with a timeout, and gives up if the start is called off."""

import time
from collections.abc import Callable

import httpx

from common.errors import WatchfloorError


class StartCalledOff(Exception):  # noqa: N818 - requested by the user, not an error
    """The user or the failure of another component ended the start; there is nothing to report."""


def wait_until(
    check: Callable[[], bool],
    *,
    what: str,
    timeout_s: float,
    called_off: Callable[[], bool] = lambda: False,
    alive: Callable[[], None] = lambda: None,
    poll_s: float = 0.05,
) -> None:
    """Call `check` until it returns true.

    Args:
        check: the condition; must return quickly.
        what: what is waited for, for the error message, as in "Kafka was not ready within 60 s".
        timeout_s: the timeout.
        called_off: ends the wait when it returns true.
        alive: raises if waiting has become useless, for example because a process ended.
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
                f"{what} was not ready within {timeout_s:.0f} s",
                "read its log in the state directory, or allow more time with --start-timeout",
            )
        time.sleep(poll_s)


def answers_ok(url: str, *, auth: tuple[str, str] | None = None) -> bool:
    """Whether a server on this machine answers with 200; `auth` are a user and a password."""
    try:
        # Ignores the environment, because a proxy for the internet cannot reach this machine's loopback.
        return httpx.get(url, auth=auth, timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
