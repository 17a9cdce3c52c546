"""What of the log is past and what is live, and what a new log means, on a cluster made of values."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs
from support.fake_kafka import FakeCluster, until
from support.feed_samples import NOW, anomaly

from common.settings.gateway import ReaderSettings
from common.settings.kafka import KafkaSettings
from contracts.feed import FeedRecord, ProcessedBatch, ProcessedEvent, encode_record, feed_headers
from gateway.feed.feed_decoder import FeedDecoder
from gateway.feed.feed_handler import FeedHandler
from gateway.feed.rendering import FeedEntry
from gateway.kafka import log_reader
from gateway.kafka.log_reader import LogReader
from gateway.metrics import GatewayMetrics

ANOMALIES, PROCESSED = "noc.anomalies", "noc.processed"
LIMITS = ReaderSettings(broker_silence_s_max=1)


class FanOut:
    """Keeps what the handler hands over."""

    def __init__(self) -> None:
        self.past: list[int] = []
        self.live: list[tuple[int, int]] = []
        self.clean: list[str] = []
        self.logs: list[str] = []
        self.rounds = 0

    def start_log(self, epoch: str) -> None:
        self.logs.append(epoch)

    def remember(self, entries: list[FeedEntry]) -> None:
        self.past += [entry.record.seq for entry in entries]

    def publish(self, entries: list[FeedEntry]) -> None:
        self.live += [(entry.record.seq, entry.stored.prev_seq) for entry in entries]
        self.rounds += bool(entries)

    def publish_processed(self, _tenant_id: int, events: list[ProcessedEvent], _timestamp: str) -> None:
        self.clean += [event.event_id for event in events]


class Scene:
    """A cluster, and a handler that is read for."""

    def __init__(self) -> None:
        self.cluster = FakeCluster(**{ANOMALIES: 1, PROCESSED: 1})
        self.fan_out = FanOut()
        self.metrics = GatewayMetrics()
        any_fan_out: Any = self.fan_out
        self.feed = FeedHandler(KafkaSettings(), 3, any_fan_out, FeedDecoder(self.metrics), self.metrics)
        self.reader = LogReader(self.cluster, LIMITS, self.feed)

    def append(self, *records: FeedRecord) -> None:
        for record in records:
            self.cluster.append(ANOMALIES, encode_record(record), headers=feed_headers(record, 1), at=NOW)

    def append_clean(self, batch: int) -> None:
        value = ProcessedBatch(
            tenant_id=1, batch=batch, events=[ProcessedEvent(f"clean {batch}", "attendance", 3, 2, 8.5)]
        )
        self.cluster.append(PROCESSED, encode_record(value), headers=[("generation", b"1")], at=NOW + 5)

    def play(self, story: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await self.reader.open()
            running = asyncio.create_task(self.reader.run())
            await story()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        asyncio.run(run())


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(log_reader, "RETRY_S", 0.01)
    return Scene()


def test_the_tail_gives_positions_and_only_what_follows_is_sent(scene: Scene) -> None:
    async def story() -> None:
        assert (scene.fan_out.past, scene.fan_out.live, scene.feed.positions_known) == ([5, 6, 7], [], True)
        assert scene.fan_out.logs == [f"first {ANOMALIES}"]
        assert (scene.feed.last_record_at, scene.feed.last_output_at) == (NOW, NOW)
        scene.append(anomaly(1, 8), anomaly(1, 9))
        await until(lambda: scene.fan_out.live == [(8, 7), (9, 8)])
        assert scene.fan_out.rounds == 1

    scene.append(*(anomaly(1, seq) for seq in range(1, 8)))
    scene.play(story)


def test_clean_events_are_sent_from_now_on(scene: Scene) -> None:
    async def story() -> None:
        scene.append_clean(2)
        await until(lambda: scene.fan_out.clean == ["clean 2"])
        assert (scene.feed.last_record_at, scene.feed.last_output_at) == (None, NOW + 5)

    scene.append_clean(1)
    scene.play(story)


def test_what_was_not_committed_is_not_shown_and_what_was_made_instead_is(scene: Scene) -> None:
    """By its number alone the second one would look like a repeat of the first."""

    async def story() -> None:
        scene.cluster.topics[ANOMALIES].partitions[TopicPartition(ANOMALIES, 0)].hidden = {0, 2}  # 2 is a marker
        scene.append(anomaly(1, 1), anomaly(1, 1), anomaly(1, 2))
        await until(lambda: scene.fan_out.live == [(1, 0)])
        assert scene.metrics.registry.get_sample_value("watchfloor_gateway_feed_lag_records") == 0
        assert (scene.feed.lag_records, scene.feed.lag_seconds) == (0, 0.0)

    scene.play(story)


def test_after_an_interruption_it_goes_on_where_it_stopped(scene: Scene) -> None:
    async def story() -> None:
        scene.cluster.failures.append(KafkaConnectionError("away"))
        scene.append(anomaly(1, 2))
        await until(lambda: scene.fan_out.live == [(2, 1)] and scene.reader.answering)

    scene.append(anomaly(1, 1))
    with capture_logs() as logs:
        scene.play(story)
    assert (scene.fan_out.past, len(scene.fan_out.logs)) == ([1], 1)
    assert scene.metrics.registry.get_sample_value("watchfloor_gateway_feed_reconnects_total") == 1
    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("error", "the feed is interrupted, connecting anew"),
        ("info", "the feed goes on"),
    ]


def test_another_log_by_the_same_name_is_begun_before_anything_of_it_is_shown(scene: Scene) -> None:
    async def story() -> None:
        scene.cluster.topics[ANOMALIES].make_anew()
        scene.append(anomaly(1, 1))
        scene.cluster.failures.append(KafkaConnectionError("away"))
        await until(lambda: scene.fan_out.past == [1, 2, 1])
        assert scene.fan_out.logs == [f"first {ANOMALIES}", f"second first {ANOMALIES}"]
        assert scene.fan_out.live == []
        scene.append(anomaly(1, 9))
        await until(lambda: [seq for seq, _ in scene.fan_out.live] == [9])

    scene.append(anomaly(1, 1), anomaly(1, 2))
    scene.play(story)


def test_records_that_retention_took_first_are_a_hole_not_an_end(scene: Scene) -> None:
    async def story() -> None:
        scene.append(*(anomaly(1, seq) for seq in range(2, 6)))
        scene.cluster.topics[ANOMALIES].partitions[TopicPartition(ANOMALIES, 0)].first = 3
        await until(lambda: scene.fan_out.live == [(4, 3), (5, 4)])

    scene.append(anomaly(1, 1))
    with capture_logs() as logs:
        scene.play(story)
    assert logs[0]["reason"] == "the position is not in the log any more"
