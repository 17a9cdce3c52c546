"""What was written to clients, counted cheaply: plain numbers, read when Prometheus asks.

A labelled counter of the client library costs as much as a small write, and the fan-out counts every batch.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class SentCounter(Collector):
    """Messages by endpoint and type, and bytes."""

    def __init__(self) -> None:
        self._messages: dict[tuple[str, str], int] = defaultdict(int)
        self._bytes = 0

    def count(self, endpoint: str, kinds: Mapping[str, int], times: int, size: int) -> None:
        """Count what was written.

        Args:
            endpoint: of the connections.
            kinds: messages of each type that one of them got.
            times: how many connections got them.
            size: bytes that one of them got.
        """
        for kind, messages in kinds.items():
            self._messages[endpoint, kind] += messages * times
        self._bytes += size * times

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        messages = CounterMetricFamily(
            "watchfloor_gateway_messages_sent", "Feed messages written to clients.", labels=["endpoint", "type"]
        )
        for labels, count in sorted(self._messages.items()):
            messages.add_metric(labels, count)
        size = CounterMetricFamily("watchfloor_gateway_sent_bytes", "Bytes of feed messages written to clients.")
        size.add_metric([], self._bytes)
        return [messages, size]
