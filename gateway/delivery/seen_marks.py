"""Who has looked at what, as the other gateways recorded it: the tail of `noc.receipts`.

Reads: `noc.receipts`, from as long ago as CRITICAL messages are watched. Guarantee: none beyond the log's; a mark that
is missed makes a notice too many. On failure: the same is read again, which changes nothing.
"""

from collections.abc import Callable, Mapping

import msgspec
import structlog
from aiokafka import ConsumerRecord

from common.settings.gateway import CriticalSettings
from contracts.receipts import SEEN_HEADER, ReceiptBatch, decode_receipts
from contracts.topics import TopicNames
from gateway.kafka.log_reader import Interruption, Polled, ReadFrom, RecordHandler

_WINDOW_S_MAX = 24 * 3_600.0

_log = structlog.get_logger(__name__)


class SeenMarks(RecordHandler):
    """Reads the marks of all gateways of a cluster.

    Args:
        critical: how long messages are watched: so far back is read.
        interval_s: how old a mark may be when it is written.
        own: the name of this process; its own marks are known.
        take_marks: gets each record with marks.
    """

    def __init__(
        self,
        names: TopicNames,
        critical: CriticalSettings,
        interval_s: float,
        own: str,
        take_marks: Callable[[ReceiptBatch], None],
    ) -> None:
        watched_s = critical.unseen_s * 2.0 ** (critical.notices_max - 1)
        window_s = min(watched_s, _WINDOW_S_MAX) + interval_s
        super().__init__({names.receipts: ReadFrom(seconds_ago=window_s)}, optional=True)
        self._topic = names.receipts
        self._own = own
        self._take_marks = take_marks
        self._failing = False

    def take(self, polled: Polled, lag: Mapping[str, int]) -> None:  # noqa: ARG002 - there is no lag to show
        """Pass on the marks of other gateways."""
        for records in polled.values():
            for record in records:
                self._take(record)

    def missing(self) -> None:
        """Without the topic the marks of other gateways are unknown."""
        _log.warning("the topic of receipts is missing: nobody knows what was seen", topic=self._topic)

    def interrupted(self, why: Interruption, error: Exception) -> None:
        """Logged once, not every second of a broker's absence."""
        if why is not Interruption.SILENCE and not self._failing:
            self._failing = True
            _log.warning("what other gateways were told is not known now", error=type(error).__name__)

    def resumed(self) -> None:
        """The marks are known again."""
        self._failing = False

    def _take(self, record: ConsumerRecord) -> None:
        if SEEN_HEADER not in (record.headers or ()):
            return
        try:
            batch = decode_receipts(record.value or b"")
        except (msgspec.DecodeError, ValueError) as error:
            _log.warning("receipts cannot be read", offset=record.offset, error=type(error).__name__)
            return
        if batch.gateway != self._own:
            self._take_marks(batch)
