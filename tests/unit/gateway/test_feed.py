"""The reader's behaviour when the broker falls silent or the log changes, on a consumer made of values."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from support.waiting import let_pass_async, until_async
from unit.gateway.gateway_values import anomaly

from common.settings.gateway import ReaderSettings
from common.settings.kafka import KafkaSettings
from contracts.feed import FeedRecord, encode_record, feed_headers
from contracts.messages import CloseCode
from gateway.feed import feed_reader as module
from gateway.feed.feed_decoder import FeedDecoder
from gateway.feed.feed_reader import FeedReader
from gateway.feed.rendering import FeedEntry
from gateway.metrics import GatewayMetrics

ANOMALIES = TopicPartition("noc.anomalies", 0)
PROCESSED = TopicPartition("noc.processed", 0)
LIMITS = ReaderSettings(broker_silence_s_max=1, tail_records_max=3)
SOON_S = 5.0


class Broker:
    """A log of one partition, and whether it answers."""

    def __init__(self) -> None:
        self.epoch = "first"
        self.first = 0
        self.log: list[FeedRecord] = []
        self.aborted: set[int] = set()
        """Offsets that a reader of committed records does not see: aborted records, and markers."""
        self.answers = True
        self.consumers = 0

    def append(self, *records: FeedRecord) -> None:
        self.log += records


class Consumer:
    """As much of aiokafka's consumer as the reader uses."""

    def __init__(self, broker: Broker, isolation: str) -> None:
        self._broker = broker
        self._hidden = broker.aborted if isolation == "read_committed" else set[int]()
        self._positions: dict[TopicPartition, int] = defaultdict(int)
        self._answered_ms = 0
        broker.consumers += 1

    async def start(self) -> None:
        if not self._broker.answers:
            raise OSError

    async def stop(self) -> None:
        raise asyncio.CancelledError  # what aiokafka 0.14 lets out where one of its tasks had not begun

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert set(partitions) == {ANOMALIES, PROCESSED}

    def assignment(self) -> set[TopicPartition]:
        return {ANOMALIES, PROCESSED}

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self._broker.first)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: len(self._broker.log) if partition == ANOMALIES else 0 for partition in partitions}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    def highwater(self, partition: TopicPartition) -> int:
        return len(self._broker.log) if partition == ANOMALIES else 0

    def last_poll_timestamp(self, _partition: TopicPartition) -> int:
        return self._answered_ms

    async def getmany(self, **_: object) -> dict[TopicPartition, list[Any]]:
        await let_pass_async(0.01)
        if not self._broker.answers:
            return {}
        self._answered_ms = int(time.time() * 1000)
        offset = self._positions[ANOMALIES]
        if not self._broker.first <= offset <= len(self._broker.log):
            raise OffsetOutOfRangeError({ANOMALIES: offset})
        self._positions[ANOMALIES] = len(self._broker.log)
        records = [
            SimpleNamespace(
                offset=offset + step, value=encode_record(record), headers=feed_headers(record, 1), timestamp=0
            )
            for step, record in enumerate(self._broker.log[offset:])
            if offset + step not in self._hidden
        ]
        return {ANOMALIES: records} if records else {}


class Hub:
    """Keeps what the reader hands over."""

    def __init__(self) -> None:
        self.past: list[int] = []
        self.live: list[tuple[int, int]] = []
        self.sent_away: list[CloseCode] = []

    def remember(self, entries: list[FeedEntry]) -> None:
        self.past += [entry.record.seq for entry in entries]

    def publish(self, entries: list[FeedEntry]) -> None:
        self.live += [(entry.record.seq, entry.past.prev_seq) for entry in entries]

    def close_all(self, code: CloseCode, _reason: str) -> None:
        self.sent_away.append(code)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    made = Broker()
    monkeypatch.setattr(module, "AIOKafkaConsumer", lambda *, isolation_level, **_: Consumer(made, isolation_level))
    monkeypatch.setattr(module, "feed_epoch", lambda *_: made.epoch)
    monkeypatch.setattr(
        module, "_partitions", lambda _, names: {names.anomalies: [ANOMALIES], names.processed: [PROCESSED]}
    )
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    return made


def reader_of(hub: Hub) -> FeedReader:
    metrics = GatewayMetrics()
    return FeedReader(KafkaSettings(), LIMITS, hub, FeedDecoder(metrics), metrics)  # type: ignore[arg-type]


async def until(condition: Any) -> None:
    await until_async(condition, "the reader has come to it", within_s=SOON_S)


def test_the_tail_gives_positions_and_only_what_follows_is_sent(broker: Broker) -> None:
    async def story() -> None:
        hub = Hub()
        reader = reader_of(hub)
        broker.append(*(anomaly(1, seq) for seq in range(1, 8)))
        await reader.open()
        assert (hub.past, hub.live, reader.ready, reader.epoch) == ([5, 6, 7], [], True, "first")
        running = asyncio.create_task(reader.run())
        broker.append(anomaly(1, 8))
        await until(lambda: hub.live == [(8, 7)])
        running.cancel()

    asyncio.run(story())


def test_what_was_not_committed_is_not_shown_and_what_was_made_instead_is(broker: Broker) -> None:
    """By its number alone the second one would look like a repeat of the first."""

    async def story() -> None:
        hub = Hub()
        metrics = GatewayMetrics()
        reader = FeedReader(KafkaSettings(), LIMITS, hub, FeedDecoder(metrics), metrics)  # type: ignore[arg-type]
        await reader.open()
        running = asyncio.create_task(reader.run())
        broker.aborted |= {0, 2}  # the last one is a marker
        broker.append(anomaly(1, 1), anomaly(1, 1), anomaly(1, 2))
        await until(lambda: hub.live == [(1, 0)])
        assert metrics.registry.get_sample_value("watchfloor_gateway_feed_lag_records") == 0
        running.cancel()

    asyncio.run(story())


def test_a_silent_broker_makes_it_unready_and_nothing_is_lost(broker: Broker) -> None:
    async def story() -> None:
        hub = Hub()
        reader = reader_of(hub)
        await reader.open()
        running = asyncio.create_task(reader.run())
        broker.answers = False
        await until(lambda: not reader.ready)
        broker.append(anomaly(1, 1), anomaly(1, 2))
        broker.answers = True
        await until(lambda: reader.ready)
        await until(lambda: hub.live == [(1, 0), (2, 1)])
        assert (broker.consumers, hub.sent_away) == (1, [])
        running.cancel()

    asyncio.run(story())


def test_a_broker_that_stays_away_is_looked_up_anew(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 1.2)

    async def story() -> None:
        hub = Hub()
        reader = reader_of(hub)
        await reader.open()
        running = asyncio.create_task(reader.run())
        broker.answers = False
        await until(lambda: broker.consumers > 3)
        broker.append(anomaly(1, 1))
        broker.answers = True
        await until(lambda: reader.ready and hub.live == [(1, 0)])
        assert not running.done()
        running.cancel()

    asyncio.run(story())


@pytest.mark.parametrize("longer", [False, True], ids=["shorter than the old one", "longer than the old one"])
def test_another_log_by_the_same_name_sends_everybody_away_before_anything_of_it_is_shown(
    broker: Broker, longer: bool
) -> None:
    async def story() -> None:
        hub = Hub()
        reader = reader_of(hub)
        broker.append(anomaly(1, 1), anomaly(1, 2))
        await reader.open()
        running = asyncio.create_task(reader.run())
        broker.answers = False
        await until(lambda: not reader.ready)
        broker.epoch = "second"
        broker.log = [anomaly(1, seq) for seq in range(1, 5 if longer else 2)]
        broker.answers = True
        await until(lambda: reader.ready and reader.epoch == "second")
        assert hub.sent_away == [CloseCode.RESTARTING]
        assert hub.live == []
        assert hub.past == [1, 2, *([2, 3, 4] if longer else [1])]
        broker.append(anomaly(1, 9))
        await until(lambda: [seq for seq, _ in hub.live] == [9])
        running.cancel()

    asyncio.run(story())


def test_records_that_retention_took_first_are_a_hole_not_an_end(broker: Broker) -> None:
    async def story() -> None:
        hub = Hub()
        reader = reader_of(hub)
        broker.append(anomaly(1, 1))
        await reader.open()
        broker.append(*(anomaly(1, seq) for seq in range(2, 6)))
        broker.first = 3
        running = asyncio.create_task(reader.run())
        await until(lambda: hub.live == [(4, 3), (5, 4)])
        running.cancel()

    asyncio.run(story())
