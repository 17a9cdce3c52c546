"""Runs the steps of a start concurrently, each as soon as the steps that it needs are done.

Owns the threads of a start. The first failure cancels the other steps. A step that cannot be interrupted is not
waited for: its thread is a daemon, and the server that it talks to is being stopped.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deploy.embedded.waiting import StartCalledOff

_CALL_OFF_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a start."""

    run: Callable[[], None]
    needs: tuple[str, ...] = ()


class Steps:
    """One run of a graph of steps."""

    def __init__(self, steps: Mapping[str, Step], called_off: threading.Event) -> None:
        unknown = {need for step in steps.values() for need in step.needs} - steps.keys()
        if unknown:
            raise ValueError(f"steps need unknown steps: {sorted(unknown)}")
        self._steps = steps
        self._called_off = called_off
        self._changed = threading.Condition()
        self._done: set[str] = set()
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Run all steps; return when all are done.

        Raises:
            StartCalledOff: the event was set from outside.
            BaseException: the first exception that a step raised.
        """
        threads = [
            threading.Thread(target=self._run_one, args=(name, step), name=f"start-{name}", daemon=True)
            for name, step in self._steps.items()
        ]
        for thread in threads:
            thread.start()
        try:
            self._wait()
        except BaseException:
            self._called_off.set()
            raise
        finally:
            # Gives the steps that check the event time to stop the programs that they run, such as `initdb`.
            deadline = time.monotonic() + _CALL_OFF_TIMEOUT_S
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _wait(self) -> None:
        with self._changed:
            while len(self._done) < len(self._steps):
                if self._failure is not None:
                    raise self._failure
                if self._called_off.is_set():
                    raise StartCalledOff
                # With a timeout, so that an event set by a signal handler is noticed.
                self._changed.wait(0.1)

    def _run_one(self, name: str, step: Step) -> None:
        with self._changed:
            while not self._done.issuperset(step.needs):
                if self._called_off.is_set() or self._failure is not None:
                    return
                self._changed.wait(0.1)
        try:
            step.run()
        except BaseException as failure:  # noqa: BLE001 - the thread that called run() raises it
            with self._changed:
                if self._failure is None and not isinstance(failure, StartCalledOff):
                    self._failure = failure
                    self._called_off.set()
                self._changed.notify_all()
            return
        with self._changed:
            self._done.add(name)
            self._changed.notify_all()
