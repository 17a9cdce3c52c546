"""A tenant with little traffic beside one that attacks: what it writes is heard, and how soon. For hostile tests."""

import statistics
import threading
import time
from typing import Self

from support.feed_samples import anomaly
from support.gateway_process import FeedWriter, GatewayProcess
from support.waiting import let_pass, until

_PACE_S = 0.05


class QuietTenant:
    """Writes a message every 50 ms, and measures when its operator hears it.

    Args:
        gateway: that is attacked.
        feed: its log.
        tenant: whose number nobody else uses.
    """

    def __init__(self, gateway: GatewayProcess, feed: FeedWriter, tenant: int) -> None:
        self._gateway = gateway
        self._feed = feed
        self.tenant = tenant
        self._sent_s: list[float] = []
        self._latencies_s: list[float] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write), threading.Thread(target=self._hear)]
        self._client = gateway.sign_in(tenant, user="operator")
        self.epoch: str = self._client.established["epoch"]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        self._threads[0].join(30)
        try:
            if kind is None:
                until(
                    lambda: self.heard == len(self._sent_s), "all messages of the quiet tenant are heard", within_s=10
                )
        finally:
            self._client.__exit__()
            self._threads[1].join(30)

    @property
    def heard(self) -> int:
        """How many messages were heard; each in its order, or the test fails."""
        return len(self._latencies_s)

    def longest_s(self, first: int = 0) -> float:
        """The longest time from the write to the operator, also of messages that are still on their way."""
        now, heard = time.monotonic(), self.heard
        waiting = [now - sent_s for sent_s in self._sent_s[max(first, heard) :]]
        return max([*self._latencies_s[first:], *waiting], default=0.0)

    def median_s(self, first: int = 0) -> float:
        """The median of the same, of what was heard."""
        return statistics.median(self._latencies_s[first:])

    def percentile_99_s(self, first: int = 0) -> float:
        """The time that one in a hundred exceeds."""
        return statistics.quantiles(self._latencies_s[first:], n=100)[98]

    def _write(self) -> None:
        while not self._stop.is_set():
            self._sent_s.append(time.monotonic())
            self._feed.write(anomaly(self.tenant, len(self._sent_s)))
            let_pass(_PACE_S)

    def _hear(self) -> None:
        try:
            while True:
                message = self._client.hear(60)
                if "seq" in message and "prev_seq" in message:
                    assert message["seq"] == self.heard + 1, "a message was lost, or came twice"
                    self._latencies_s.append(time.monotonic() - self._sent_s[self.heard])
        except Exception:  # noqa: BLE001 - the connection's end; what was not heard by then fails the test
            return
