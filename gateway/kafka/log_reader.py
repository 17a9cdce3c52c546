"""Reads topics of the log for a handler: every partition, no consumer group. The only loop in the gateway that does.

Owns positions, silence, reconnection and the pace of the rounds; what the records mean is the handler's. Guarantee:
a handler gets the records of a partition in order and, while it goes on with the same log, each of them once. On
failure: the handler is notified, and the reader connects anew until it is cancelled.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, OffsetOutOfRangeError

from common.errors import WatchfloorError
from common.kafka import TopicMissingError, unreachable
from common.settings.gateway import ReaderSettings
from gateway.kafka.kafka_clients import KafkaClients, TopicDescription, stop_consumer

RETRY_S = 1.0
MISSING_RETRY_S = 30.0  # a topic that is not there may be made later
RECONNECT_AFTER = 6
"""Times the allowed silence, before the brokers are looked up anew."""
_POLL_MS = 1_000
_FETCH_WAIT_MS = 500

Polled = Mapping[TopicPartition, list[ConsumerRecord]]
"""What one poll brought."""


@dataclass(frozen=True, slots=True)
class ReadFrom:
    """Where the reading of a topic begins: at its first record, unless one of these says otherwise."""

    newest: int | None = None
    """With the last so many records of each partition."""
    seconds_ago: float | None = None
    """With the first record of each partition that is not older."""


class Interruption(Enum):
    """Why nothing is read for now."""

    SILENCE = auto()
    """The broker has not answered for `gateway.reader.broker_silence_s_max`; the connection stays."""
    LOST = auto()
    """A connection that had caught up failed."""
    NO_CONNECTION = auto()
    """An attempt to connect, or to catch up, failed."""


class RecordHandler:
    """What a reader reads for. Subclasses say which topics, and override what concerns them.

    Args:
        topics: which, and from where on each is read at first.
        optional: whether the handler does without topics that are missing.
    """

    def __init__(self, topics: Mapping[str, ReadFrom], *, optional: bool = False) -> None:
        self.topics = topics
        self.optional = optional

    def begin(self, topic_ids: Mapping[str, str]) -> bool:  # noqa: ARG002 - for subclasses
        """A connection stands, and nothing has been read by it yet.

        Args:
            topic_ids: by topic; another id than before is another log.

        Returns:
            whether to go on where the last connection stopped, and not where `topics` says.
        """
        return False

    def take(self, polled: Polled, lag: Mapping[str, int]) -> None:
        """Use what was read. Called after each poll, also one that brought nothing.

        Args:
            polled: records by partition, in order; no partition without records.
            lag: by topic, how many records are not read yet.
        """

    def caught_up(self) -> None:
        """All that was in the log when the connection was made has been read; called after each further portion too."""

    def missing(self) -> None:
        """One of the topics does not exist, and they are optional; they are looked for again."""

    def interrupted(self, why: Interruption, error: Exception) -> None:
        """Nothing is read until `resumed`; called again for each further attempt that fails."""

    def resumed(self) -> None:
        """After an interruption, all is read again as it comes."""


class LogReader:
    """Reads the topics of one handler.

    Args:
        limits: of a portion, of the broker's silence, of the pause between two rounds.
        fetch_wait_ms_max: how long a broker may hold an empty answer back.
    """

    def __init__(
        self,
        clients: KafkaClients,
        limits: ReaderSettings,
        handler: RecordHandler,
        *,
        fetch_wait_ms_max: int = _FETCH_WAIT_MS,
    ) -> None:
        self._clients = clients
        self._limits = limits
        self._handler = handler
        self._fetch_wait_ms_max = fetch_wait_ms_max
        self._consumer: AIOKafkaConsumer | None = None
        self._positions: dict[TopicPartition, int] = {}
        """The offset of the next record of each partition."""
        self._topic_ids: dict[str, str] = {}
        self._connected_at = 0.0
        self._interrupted = False
        self.answering = False
        """Whether what the log held was read and the broker answers."""

    async def open(self) -> None:
        """Connect and catch up.

        Raises:
            WatchfloorError: no broker answers within `gateway.reader.broker_wait_s_max`, or a topic is missing.
        """
        deadline = time.monotonic() + self._limits.broker_wait_s_max
        while True:
            try:
                await self._connect()
            except (KafkaError, OSError) as error:
                if time.monotonic() > deadline:
                    raise unreachable(self._clients.kafka) from error
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def run(self) -> None:
        """Read until cancelled; never fails for want of a broker."""
        try:
            while True:
                try:
                    await self._round(self._consumer or await self._connect())
                except (KafkaError, OSError, WatchfloorError) as error:
                    await asyncio.sleep(await self._give_up(error))
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        self.answering = False
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)

    async def _give_up(self, error: Exception) -> float:
        """Close the connection; returns in how many seconds to try again."""
        lost = self._consumer is not None
        await self.close()
        if self._handler.optional and isinstance(error, TopicMissingError):
            self._handler.missing()
            return MISSING_RETRY_S
        self._interrupted = True
        self._handler.interrupted(Interruption.LOST if lost else Interruption.NO_CONNECTION, error)
        return 0.0 if lost else RETRY_S

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = self._consumer = self._clients.consumer(
            fetch_wait_ms_max=self._fetch_wait_ms_max, request_timeout_ms=self._limits.broker_silence_s_max * 1000
        )
        try:
            await consumer.start()
            topics = await self._describe()
            self._topic_ids = {name: topic.id for name, topic in topics.items()}
            if not self._handler.begin(self._topic_ids):
                self._positions.clear()
            partitions = [partition for topic in topics.values() for partition in topic.partitions]
            consumer.assign(partitions)
            ends = await self._seek(consumer, partitions)
            self._connected_at = time.time()
            await self._catch_up(consumer, ends)
        except BaseException:
            await self.close()
            raise
        self._goes_on()
        return consumer

    async def _describe(self) -> dict[str, TopicDescription]:
        topics = await asyncio.to_thread(self._clients.describe, self._handler.topics)
        for name in self._handler.topics:
            if name not in topics:
                raise TopicMissingError(
                    f"the topic {name} is missing", "start `watchfloor up` or a worker, which make it"
                )
        return topics

    async def _seek(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Set all positions; returns where each partition ends."""
        first = await consumer.beginning_offsets(partitions)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        for partition in partitions:
            if partition not in self._positions:
                start, at = self._handler.topics[partition.topic], first[partition]
                if start.newest is not None:
                    at = max(at, ends[partition] - start.newest)
                elif start.seconds_ago is not None:
                    at_ms = int((time.time() - start.seconds_ago) * 1000)
                    found = (await consumer.offsets_for_times({partition: at_ms}))[partition]
                    at = ends[partition] if found is None else found.offset
                self._positions[partition] = at
            consumer.seek(partition, self._positions[partition])
        return ends

    async def _catch_up(self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> None:
        behind = {partition for partition in ends if self._positions[partition] < ends[partition]}
        while behind:
            await self._hand_over(consumer, await self._poll(consumer))
            if self._silent_s(consumer) > self._limits.broker_silence_s_max:
                raise KafkaConnectionError("the broker does not answer")
            behind = {partition for partition in behind if await consumer.position(partition) < ends[partition]}
            await asyncio.sleep(0)  # other tasks' turn
        self._handler.caught_up()

    async def _round(self, consumer: AIOKafkaConsumer) -> None:
        polled = await self._poll(consumer)
        began = time.perf_counter()
        if not polled and self._silent_s(consumer) > self._limits.broker_silence_s_max:
            self._fell_silent(self._silent_s(consumer))
            return
        if not self.answering:
            await self._check_topics()
            self._goes_on()
        await self._hand_over(consumer, polled)
        if polled:
            self._handler.caught_up()
            # The sockets' turn. The more one round costs, the longer it is: under load rounds grow, and a round
            # of many messages costs hardly more than one of few.
            await asyncio.sleep(min(time.perf_counter() - began, self._limits.round_pause_ms_max / 1000))

    async def _poll(self, consumer: AIOKafkaConsumer) -> Polled:
        try:
            polled: Polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=self._limits.poll_records_max)
        except OffsetOutOfRangeError as error:
            # Retention was faster than this gateway, or the topic is a new one: what is left is read.
            for partition in error.args[0]:
                self._positions.pop(partition, None)
            raise
        return polled

    async def _hand_over(self, consumer: AIOKafkaConsumer, polled: Polled) -> None:
        for partition, records in polled.items():
            self._positions[partition] = records[-1].offset + 1
        lag = dict.fromkeys(self._handler.topics, 0)
        for partition in self._positions:
            highwater = consumer.highwater(partition)
            if highwater is not None:
                # Not from the last record on: behind it may be the marker of its transaction.
                lag[partition.topic] += max(0, highwater - await consumer.position(partition))
        self._handler.take(polled, lag)

    def _silent_s(self, consumer: AIOKafkaConsumer) -> float:
        """Seconds since a broker last answered a fetch, or since the connection was made if none did."""
        answers = [consumer.last_poll_timestamp(partition) or 0 for partition in consumer.assignment()]
        return time.time() - max(self._connected_at, max(answers, default=0) / 1000)

    def _fell_silent(self, silence_s: float) -> None:
        # The client keeps trying the brokers that it knows; after a while they may be others.
        if silence_s > self._limits.broker_silence_s_max * RECONNECT_AFTER:
            raise KafkaConnectionError("the broker did not come back")
        if self.answering:
            self.answering, self._interrupted = False, True
            self._handler.interrupted(Interruption.SILENCE, KafkaConnectionError("the broker does not answer"))

    async def _check_topics(self) -> None:
        """Nothing is taken before it is known that what was fetched is not of another log by the same name."""
        try:
            topics = await self._describe()
        except WatchfloorError as error:
            raise KafkaConnectionError("the broker went away again") from error
        if {name: topic.id for name, topic in topics.items()} != self._topic_ids:
            raise KafkaConnectionError("a topic was made anew")

    def _goes_on(self) -> None:
        self.answering = True
        if self._interrupted:
            self._interrupted = False
            self._handler.resumed()
