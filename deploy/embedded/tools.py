"""Runs a program such as `initdb` to its end, and kills it if the start is called off."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from common.errors import WatchfloorError
from deploy.embedded.child import Account
from deploy.embedded.waiting import StartCalledOff

_POLL_S = 0.1
_SHOWN_MAX = 200


def run_tool(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    called_off: Callable[[], bool],
    timeout_s: float,
    cwd: Path | None = None,
    account: Account | None = None,
) -> tuple[int, str]:
    """Run a program and return its exit code and its output, both streams together.

    Raises:
        StartCalledOff: `called_off` returned true; the program was killed.
        WatchfloorError: it took longer than `timeout_s`; it was killed.
    """
    deadline = time.monotonic() + timeout_s
    with subprocess.Popen(  # noqa: S603 - our own command, no shell
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(env),
        cwd=cwd,
        text=True,
        errors="replace",
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        umask=0o077,
    ) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                if called_off():
                    process.kill()
                    raise StartCalledOff from None
                if time.monotonic() > deadline:
                    process.kill()
                    raise WatchfloorError(
                        f"{Path(argv[0]).name} did not end within {timeout_s:.0f} s",
                        "check whether the machine is overloaded or its disk hangs, then start again",
                    ) from None
            else:
                return process.returncode, output


def last_line(output: str) -> str:
    """The last non-empty line of a program's output, shortened."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:_SHOWN_MAX] if lines else "no reason given"
