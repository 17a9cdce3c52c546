"""Whether this gateway is ready for traffic, and what it knows of the feed by reading it.

Owns which topics have to be read before anybody may connect. Looks at this process only: the other components are
probed by `gateway.health.health_watch`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.feed.feed_handler import FeedHandler
from gateway.health.report import FeedReading
from gateway.kafka.log_reader import LogReader
from gateway.kafka.topic_view import TopicView
from gateway.metrics import GatewayMetrics


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether traffic may be sent here, and if not, why."""

    ready: bool
    reason: str


class ReadinessCheck:
    """The readiness of one gateway.

    Args:
        views: what else has to be read first, by the reason to give while it is not.
    """

    def __init__(
        self,
        feed: FeedHandler,
        feed_reader: LogReader,
        views: Mapping[str, TopicView[Any]],
        metrics: GatewayMetrics,
    ) -> None:
        metrics.ready.set_function(lambda: self.readiness().ready)  # as of when Prometheus asks
        self._feed = feed
        self._feed_reader = feed_reader
        self._views = views
        self._stopping = False

    @property
    def admits(self) -> bool:
        """Whether a new connection can be served: a silent broker does not keep it out."""
        return self._missing() is None

    def stop(self) -> None:
        """No traffic from here on."""
        self._stopping = True

    def readiness(self) -> Readiness:
        """Whether traffic may be sent here."""
        reason = self._missing()
        if reason is None and not self._feed_reader.answering:
            reason = "the Kafka broker does not answer"
        return Readiness(reason is None, reason or "caught up")

    def feed_reading(self) -> FeedReading:
        """What is known of the feed."""
        feed = self._feed
        return FeedReading(
            positions_known=feed.positions_known,
            answering=self._feed_reader.answering,
            lag_records=feed.lag_records,
            lag_seconds=feed.lag_seconds,
            last_record_at=feed.last_record_at,
            last_output_at=feed.last_output_at,
            admits=self.admits,
            reason=self.readiness().reason,
        )

    def _missing(self) -> str | None:
        if self._stopping:
            return "stopping"
        if not self._feed.positions_known:
            return "reading the feed's past"
        return next((reason for reason, view in self._views.items() if not view.known), None)
