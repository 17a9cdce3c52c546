"""Every metric of the gateway, in one place, with its help text.

Owns a registry of its own: nothing is registered at import, and two gateways in one process do not meet.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

_LATENCY_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
_DELAY_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class SentCounter(Collector):
    """What was written to clients: messages by endpoint and type, and bytes.

    Plain numbers, read when Prometheus asks: a labelled counter of the client library costs as much as a small write,
    and the fan-out counts every batch.
    """

    def __init__(self) -> None:
        self._messages: dict[tuple[str, str], int] = defaultdict(int)
        self._bytes = 0

    def count(self, endpoint: str, kinds: Mapping[str, int], times: int, size: int) -> None:
        """Count what was written to `times` connections: each got the messages of these types, and `size` bytes."""
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


class GatewayMetrics:
    """The metrics of one gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        ProcessCollector(registry=self.registry)
        self.connections = gauge("watchfloor_gateway_connections", "Signed-in connections.", ["endpoint"])
        self.sockets = gauge("watchfloor_gateway_sockets", "WebSockets that are open, signed in or not.")
        self.refused = counter("watchfloor_gateway_handshakes_refused", "Handshakes that were refused.", ["reason"])
        self.sign_ins = counter("watchfloor_gateway_sign_ins", "Tokens that were checked.", ["result"])
        self.closes = counter("watchfloor_gateway_closes", "Connections that the gateway closed.", ["code"])
        self.received = counter(
            "watchfloor_gateway_client_messages",
            "Messages received from clients; `unknown` stands for what could not be read.",
            ["type"],
        )
        self.errors = counter("watchfloor_gateway_client_errors", "Client messages answered with an error.", ["code"])
        self.sent = SentCounter()
        self.registry.register(self.sent)
        self.resumes = counter(
            "watchfloor_gateway_resumes",
            "Positions that clients named, by where the gap came from or why it could not be given.",
            ["result"],
        )
        self.slow_closes = counter("watchfloor_gateway_slow_closes", "Connections closed because they did not read.")
        self.queue_bytes = gauge("watchfloor_gateway_queue_bytes", "Largest queue of a connection that is behind.")
        self.records = counter("watchfloor_gateway_feed_records", "Records read from the feed's log.", ["result"])
        self.holes = counter("watchfloor_gateway_feed_holes", "Places where a tenant's sequence skipped numbers.")
        self.lag = gauge("watchfloor_gateway_feed_lag_records", "Feed records not read yet.")
        self.ready = gauge("watchfloor_gateway_ready", "1 while the gateway is caught up and serving.")
        self.reconnects = counter("watchfloor_gateway_feed_reconnects", "Times the gateway connected anew to Kafka.")
        self.tenants_unreadable = counter(
            "watchfloor_gateway_tenant_changes_unreadable",
            "Changes of tenants that could not be read and were passed over.",
        )
        self.revocations = gauge("watchfloor_gateway_revocations", "Revoked bearers and tokens that are remembered.")
        self.revocations_unreadable = counter(
            "watchfloor_gateway_revocations_unreadable", "Revocations that could not be read and revoke nothing."
        )
        self.commit_to_write = histogram(
            "watchfloor_gateway_commit_to_write_seconds",
            "From the commit in PostgreSQL to the write to the sockets.",
            buckets=_LATENCY_S,
        )
        self.receipts = counter(
            "watchfloor_gateway_receipt_records", "Records of receipts, by what became of them.", ["result"]
        )
        self.audit = counter("watchfloor_gateway_audit_records", "Audit records, by what became of them.", ["result"])
        self.revocations_written = counter(
            "watchfloor_gateway_revocation_records",
            "Revocations of sessions that were signed out here, by what became of them.",
            ["result"],
        )
        self.book_keeping_failures = counter(
            "watchfloor_gateway_book_keeping_failures",
            "Errors in what only records and measures; it began again.",
            ["task"],
        )
        self.publish_waiting = gauge(
            "watchfloor_gateway_publish_waiting_records",
            "Records of the gateway's own that no broker has taken yet.",
            ["topic"],
        )
        self.seen = counter(
            "watchfloor_gateway_seen_marks",
            "Ids in `seen` messages; `ignored` are unknown, another tenant's, or not to be seen by the sender.",
            ["result"],
        )
        self.critical_notices = counter(
            "watchfloor_gateway_critical_notices", "Notices about CRITICAL messages.", ["type"]
        )
        self.critical_unseen = gauge(
            "watchfloor_gateway_critical_unseen", "CRITICAL messages that nobody has looked at."
        )
        self.component = gauge(
            "watchfloor_gateway_component_state",
            "1 for the state that a component is in: healthy, degraded, unhealthy or unknown.",
            ["component", "state"],
        )
        self.capture = gauge(
            "watchfloor_gateway_capture_problems",
            "1 where watchfloor doctor finds such a problem of the watched database: rows are lost, or were lost, writes"
            " of the application fail, deletes are not processed, or it is not prepared.",
            ["effect"],
        )
        self.feed_behind = gauge(
            "watchfloor_gateway_feed_behind_seconds",
            "How far the feed is behind the database, as clients are told; 0 while it is live.",
        )
        self.loop_delay = histogram(
            "watchfloor_gateway_event_loop_delay_seconds",
            "How much later than due the event loop ran a timer.",
            buckets=_DELAY_S,
        )

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)
