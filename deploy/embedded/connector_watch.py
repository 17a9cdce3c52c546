"""Watches the connector's tasks and restarts those that failed, after a growing delay.

Kafka Connect never restarts a failed task itself; a database that was away for a moment would end the
capture for good.
"""

import threading
from collections.abc import Callable

from common.errors import WatchfloorError
from deploy.embedded.options import StackOptions
from deploy.embedded.progress import Reporter


class ConnectorWatch:
    """A thread that looks at the connector every few seconds.

    Args:
        options: the interval and the delays.
        reporter: is told of failed tasks, with Connect's reason.
        restart_failed: restarts failed tasks and returns their reasons; empty where all is well.
    """

    def __init__(self, options: StackOptions, reporter: Reporter, restart_failed: Callable[[], list[str]]) -> None:
        self._options = options
        self._reporter = reporter
        self._restart_failed = restart_failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="connector-watch", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer; a request under way is not waited for."""
        self._stop.set()

    def _run(self) -> None:
        options = self._options
        delay_s = options.connector_poll_s
        while not self._stop.wait(delay_s):
            try:
                reasons = self._restart_failed()
            except WatchfloorError:
                continue  # Connect is away: that is the supervisor's to tell
            if not reasons:
                delay_s = options.connector_poll_s
                continue
            delay_s = min(delay_s * 2, max(options.restart_delay_s_max, options.connector_poll_s))
            self._reporter.event(
                f"a task of the connector failed and was restarted; next look in {delay_s:g} s", reasons
            )
