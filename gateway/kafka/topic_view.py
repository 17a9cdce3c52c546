"""Present state folded from a small topic, read from its start: what the gateway's views of such topics share.

Owns which fold counts: while the topic is read anew the old one answers, and the new one takes its place when it has
caught up. What a record means is the view's. Pure but for the log line of a failed connection.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import structlog

from gateway.kafka.log_reader import Interruption, Polled, ReadFrom, RecordHandler

F = TypeVar("F")

_log = structlog.get_logger(__name__)


class TopicView(RecordHandler, Generic[F]):
    """A fold of a topic.

    Args:
        empty: the fold of no record.
    """

    def __init__(self, topic: str, empty: F) -> None:
        super().__init__({topic: ReadFrom()}, optional=True)
        self.topic = topic
        self.current = empty
        """The fold that counts."""
        self._next = empty
        self.known = False
        """Whether the topic was read to its end once, or found missing."""

    @abstractmethod
    def new_fold(self) -> F:
        """What the topic is folded into when it is read from its start again."""

    @abstractmethod
    def fold(self, fold: F, record: Any) -> None:
        """Take a record in: `key`, `value` and `timestamp` (ms) of aiokafka. A record that is wrong raises nothing."""

    def begin(self, topic_ids: Mapping[str, str]) -> bool:  # noqa: ARG002 - the topic is read anew in any case
        """Fold anew."""
        self._next = self.new_fold()
        return False

    def take(self, polled: Polled, lag: Mapping[str, int]) -> None:  # noqa: ARG002 - a view has no lag to show
        """Fold records, in the order of each partition."""
        for records in polled.values():
            for record in records:
                self.fold(self._next, record)

    def caught_up(self) -> None:
        """What was folded counts from here on."""
        self.current, self.known = self._next, True

    def missing(self) -> None:
        """Without the topic what was known stays, at the start nothing."""
        self.known = True

    def interrupted(self, why: Interruption, error: Exception) -> None:
        """The topic is read again from its start."""
        if why is not Interruption.SILENCE:
            _log.debug("a topic is read again", topic=self.topic, error=type(error).__name__)
