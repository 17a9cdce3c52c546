"""Hands the feed from the log to the subscribers: `noc.anomalies` from its tail on, `noc.processed` from now on.

Owns when records are of the past and when they are live. Guarantee: each accepted record is handed on once and in
order, also across a broker's absence. When the topic was made anew every client is sent away, since its position means
nothing any more. Read by `gateway.kafka.log_reader`.
"""

import time
from collections.abc import Iterable, Mapping

import structlog
from aiokafka import ConsumerRecord
from aiokafka.errors import OffsetOutOfRangeError

from common.settings.kafka import KafkaSettings
from contracts.topics import TopicNames
from gateway.feed.fan_out import FanOut
from gateway.feed.feed_decoder import FeedDecoder
from gateway.feed.rendering import FeedEntry
from gateway.kafka.log_reader import Interruption, Polled, ReadFrom, RecordHandler
from gateway.metrics import GatewayMetrics
from gateway.session.replies import iso

_log = structlog.get_logger(__name__)


class FeedHandler(RecordHandler):
    """What one gateway has read of the feed.

    Args:
        tail_records_max: of each partition, read back at the start to know every tenant's position.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        tail_records_max: int,
        fan_out: FanOut,
        decoder: FeedDecoder,
        metrics: GatewayMetrics,
    ) -> None:
        names = TopicNames(kafka.topic_prefix)
        # Clean events of the past interest nobody; the feed's tail gives the positions.
        super().__init__({names.anomalies: ReadFrom(newest=tail_records_max), names.processed: ReadFrom(newest=0)})
        self._anomalies_topic = names.anomalies
        self._broker = kafka.bootstrap_servers
        self._fan_out = fan_out
        self._decoder = decoder
        self._metrics = metrics
        self._epoch = ""
        self.positions_known = False
        """Whether the tail was read: before, it is not known where the feed stands."""
        self.lag_records = 0
        """Feed records that are not read yet."""
        self.last_record_at: float | None = None
        """When the newest feed record that was read was appended, seconds since 1970."""
        self.last_output_at: float | None = None
        """The same of feed records and clean events."""

    @property
    def lag_seconds(self) -> float:
        """How old the newest feed record that was read is, where others wait; 0 where none do."""
        waits = self.lag_records > 0 and self.last_record_at is not None
        return max(0.0, time.time() - (self.last_record_at or 0.0)) if waits else 0.0

    def begin(self, topic_ids: Mapping[str, str]) -> bool:
        """Go on where the last connection stopped, unless the feed's topic is a new one."""
        epoch, old = topic_ids[self._anomalies_topic], self._epoch
        if epoch == old:
            return True
        if old:
            _log.warning("the feed's topic is a new one", old=old, new=epoch)
        self._epoch = epoch
        self.positions_known = False
        self._decoder.clear()
        self._fan_out.start_log(epoch)
        return False

    def take(self, polled: Polled, lag: Mapping[str, int]) -> None:
        """Hand the records on in one go."""
        entries: list[FeedEntry] = []
        for partition, records in polled.items():
            if partition.topic == self._anomalies_topic:
                entries += self._feed_entries(partition.partition, records)
            else:
                self._publish_processed(partition.partition, records)
            self._note_time(partition.topic, records[-1].timestamp / 1000)
        if self.positions_known:
            self._fan_out.publish(entries)
        else:
            self._fan_out.remember(entries)
        self.lag_records = lag[self._anomalies_topic]
        self._metrics.lag.set(self.lag_records)

    def caught_up(self) -> None:
        """Where the feed stands is known."""
        self.positions_known = True

    def interrupted(self, why: Interruption, error: Exception) -> None:
        """Log it: an interruption as an error, each further attempt for debugging only."""
        match why:
            case Interruption.SILENCE:
                _log.error("the feed is interrupted: the broker does not answer", broker=self._broker)
            case Interruption.LOST:
                self._metrics.reconnects.inc()
                reason = str(error) or type(error).__name__
                if isinstance(error, OffsetOutOfRangeError):  # what is left is read; the hole shows in the sequence
                    reason = "the position is not in the log any more"
                _log.error("the feed is interrupted, connecting anew", reason=reason, broker=self._broker)
            case Interruption.NO_CONNECTION:
                _log.debug("no connection yet", error=type(error).__name__)

    def resumed(self) -> None:
        """Log it."""
        _log.info("the feed goes on")

    def _note_time(self, topic: str, appended_at: float) -> None:
        self.last_output_at = max(self.last_output_at or 0.0, appended_at)
        if topic == self._anomalies_topic:
            self.last_record_at = max(self.last_record_at or 0.0, appended_at)

    def _feed_entries(self, partition: int, records: Iterable[ConsumerRecord]) -> list[FeedEntry]:
        decode = self._decoder.anomaly
        found = (decode(partition, each.offset, each.headers, each.value or b"", each.timestamp) for each in records)
        return [entry for entry in found if entry is not None]

    def _publish_processed(self, partition: int, records: Iterable[ConsumerRecord]) -> None:
        for record in records:
            batch = self._decoder.processed(partition, record.offset, record.headers, record.value or b"")
            if batch is not None:
                self._fan_out.publish_processed(batch.tenant_id, batch.events, iso(record.timestamp / 1000))
