"""Starts the children of one launcher, stops them in order, and has them stopped if the launcher is killed.

Owns the list of children, their record file and the orphan stopper. Knows nothing about the components.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable

from common.errors import WatchfloorError
from deploy.embedded.child import Child, ChildSpec
from deploy.embedded.diagnosis import ended_while_starting
from deploy.embedded.options import StackOptions
from deploy.embedded.processes import RecordFile
from deploy.embedded.progress import Reporter
from deploy.embedded.state import StateDir
from deploy.embedded.waiting import wait_until

_ORPHAN_STOPPER_TIMEOUT_S = 10


class Launcher:
    """Starts and stops children.

    Args:
        state: the directory of the logs and records.
        options: the limits.
        reporter: receives the last lines of a child that ended during the start.
        called_off: set when the start or the stack should end.
    """

    def __init__(self, state: StateDir, options: StackOptions, reporter: Reporter, called_off: threading.Event) -> None:
        self.state = state
        self.options = options
        self.reporter = reporter
        self.called_off = called_off
        self.records = RecordFile(state.run / f"launcher-{os.getpid()}.json")
        self._children: list[Child] = []
        self._lock = threading.Lock()
        self._orphan_stopper: subprocess.Popen[bytes] | None = None

    @property
    def children(self) -> list[Child]:
        """The children that have been started."""
        with self._lock:
            return list(self._children)

    def start_orphan_stopper(self) -> None:
        """Start the process that stops the children if this one is killed."""
        self._orphan_stopper = subprocess.Popen(  # noqa: S603 - our own command, no shell
            [
                sys.executable,
                "-m",
                "deploy.embedded.orphan_stopper",
                str(self.records.path),
                str(self.state.endpoints_file),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def start(self, spec: ChildSpec) -> Child:
        """Start a child; raises WatchfloorError when its program cannot be executed."""
        child = Child(spec, self.records)
        with self._lock:
            if self.called_off.is_set():
                return child
            self._children.append(child)
        child.start()
        return child

    def launch(self, spec: ChildSpec, ready: Callable[[], bool]) -> Child:
        """Start a child and wait until `ready`; raises as `wait` does."""
        child = self.start(spec)
        self.wait(spec.name, ready, child)
        return child

    def wait(self, what: str, ready: Callable[[], bool], child: Child | None = None) -> None:
        """Wait until `ready` returns true.

        Raises:
            WatchfloorError: the child ended, or the time for a start is over.
            StartCalledOff: the start was called off.
        """

        def alive() -> None:
            if child is not None and not child.running() and not self.called_off.is_set():
                lines = child.last_words(self.options.shown_log_lines)
                self.reporter.event(f"the last lines of {child.spec.log}:", lines)
                raise ended_while_starting(child, lines)

        wait_until(
            ready, what=what, timeout_s=self.options.start_timeout_s, called_off=self.called_off.is_set, alive=alive
        )

    def first_death(self) -> WatchfloorError | None:
        """The error of the ended child on which most others depend: the likely cause if several have ended."""
        for child in sorted(self.children, key=lambda child: -child.spec.stop_rank):
            if child.exit_code() is not None:
                return ended_while_starting(child, child.last_words(self.options.shown_log_lines))
        return None

    def stop_all(self) -> None:
        """Stop every child, lower ranks first and equal ranks at the same time, then the orphan stopper."""
        children = self.children
        for rank in sorted({child.spec.stop_rank for child in children}):
            group = [child for child in children if child.spec.stop_rank == rank]
            stops = [threading.Thread(target=child.stop, name=f"stop-{child.spec.name}") for child in group]
            for one in stops:
                one.start()
            for one in stops:
                one.join()
        self.records.delete()
        if self._orphan_stopper is not None and self._orphan_stopper.stdin is not None:
            self._orphan_stopper.stdin.close()
            try:
                self._orphan_stopper.wait(_ORPHAN_STOPPER_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._orphan_stopper.kill()
            self._orphan_stopper = None

    def kill_all(self) -> None:
        """Kill every child at once; may be called while `stop_all` runs, and from a signal handler."""
        # Does not take the lock, because the signal may have interrupted the thread that holds it.
        for child in self._children.copy():
            child.kill()
