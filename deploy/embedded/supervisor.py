"""Keeps started children running: reports those that end and restarts them after a growing delay.

Owns one thread that watches all children. It also rotates long logs and checks the free disk space.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from common.errors import WatchfloorError
from deploy.embedded.child import Child, describe_exit
from deploy.embedded.logfiles import cut_log
from deploy.embedded.options import StackOptions
from deploy.embedded.progress import Reporter
from deploy.embedded.state import NO_SPACE

_POLL_S = 0.25
_HOUSEKEEPING_EVERY = 40


@dataclass(slots=True)
class _Watched:
    child: Child
    delay_s: float = 0.0
    restart_at_s: float | None = None


class Supervisor:
    """Watches children from `start` to `stop`.

    Args:
        options: delays and limits.
        reporter: receives every end and restart of a child.
        on_restart: called after a child was restarted, so that its new process id becomes known.
        on_fatal: called with the error if the stack cannot go on, for example because the disk is full.
        housekeeping: called every ten seconds; a WatchfloorError that it raises is fatal.
    """

    def __init__(
        self,
        options: StackOptions,
        reporter: Reporter,
        *,
        on_restart: Callable[[], None],
        on_fatal: Callable[[WatchfloorError], None],
        housekeeping: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options
        self._reporter = reporter
        self._on_restart = on_restart
        self._on_fatal = on_fatal
        self._housekeeping = housekeeping
        self._watched: list[_Watched] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self, children: list[Child]) -> None:
        """Start watching these children."""
        self._watched = [_Watched(child) for child in children]
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; return when no restart is in progress."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        turn = 0
        while not self._stop.wait(_POLL_S):
            turn += 1
            try:
                for watched in self._watched:
                    self._look_at(watched)
                if turn % _HOUSEKEEPING_EVERY == 0:
                    self._keep_house()
            except WatchfloorError as failure:
                self._on_fatal(failure)
                return

    def _look_at(self, watched: _Watched) -> None:
        now = time.monotonic()
        child = watched.child
        if watched.restart_at_s is not None:
            if now >= watched.restart_at_s:
                watched.restart_at_s = None
                child.start()
                self._on_restart()
            return
        code = child.exit_code()
        if code is None:
            return
        watched.delay_s = self._next_delay(watched, now - child.started_monotonic_s)
        watched.restart_at_s = now + watched.delay_s
        lines = child.last_words(self._options.shown_log_lines)
        if any(NO_SPACE in line for line in lines):
            raise WatchfloorError(
                f"the disk is full: {child.spec.name} {describe_exit(code)}",
                "free space on the state directory's disk, then start again",
            )
        self._reporter.event(
            f"{child.spec.name} {describe_exit(code)}; it will be restarted in {watched.delay_s:g} s"
            f" (log: {child.spec.log})",
            lines,
        )

    def _next_delay(self, watched: _Watched, ran_s: float) -> float:
        options = self._options
        if ran_s >= options.healthy_after_s or not watched.delay_s:
            return options.restart_delay_s_min
        return min(watched.delay_s * 2, options.restart_delay_s_max)

    def _keep_house(self) -> None:
        for watched in self._watched:
            cut_log(watched.child.spec.log, watched.child.spec.log_bytes_max)
        self._housekeeping()
