"""Watches the connector's tasks and restarts failed ones, after a growing delay.

Kafka Connect never restarts a failed task by itself, so a short outage of the database would end the capture
for good.
"""

import threading
from collections.abc import Callable

from common.errors import WatchfloorError
from deploy.embedded.options import StackOptions
from deploy.embedded.progress import Reporter


class ConnectorWatch:
    """A thread that checks the connector every few seconds.

    Args:
        options: the interval and the delays.
        reporter: receives the failed tasks, with Connect's reason.
        restart_failed: restarts the failed tasks and returns the reasons of their failures; empty if none failed.
    """

    def __init__(self, options: StackOptions, reporter: Reporter, restart_failed: Callable[[], list[str]]) -> None:
        self._options = options
        self._reporter = reporter
        self._restart_failed = restart_failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="connector-watch", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; a request in progress is not waited for."""
        self._stop.set()

    def _run(self) -> None:
        options = self._options
        delay_s = options.connector_poll_s
        while not self._stop.wait(delay_s):
            try:
                reasons = self._restart_failed()
            except WatchfloorError:
                continue  # Connect does not answer: the supervisor reports that
            if not reasons:
                delay_s = options.connector_poll_s
                continue
            delay_s = min(delay_s * 2, max(options.restart_delay_s_max, options.connector_poll_s))
            self._reporter.event(
                f"a task of the connector failed and was restarted; next check in {delay_s:g} s", reasons
            )
