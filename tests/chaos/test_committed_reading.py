"""A real broker with committed, aborted and refused transactions: what the gateway and the engine's reader see of it."""

import asyncio
import secrets
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced
from aiokafka.structs import TopicPartition
from chaos.cluster import Cluster
from support.feed_samples import anomaly
from support.waiting import let_pass_async, until_async

from common.kafka import aiokafka_config
from common.settings.gateway import ReaderSettings
from common.settings.kafka import KafkaSettings
from contracts.feed import FeedRecord, encode_record, feed_headers
from contracts.topics import TopicNames
from gateway.feed.feed_decoder import FeedDecoder
from gateway.feed.feed_handler import FeedHandler
from gateway.feed.rendering import FeedEntry
from gateway.kafka.kafka_clients import KafkaClients
from gateway.kafka.log_reader import LogReader
from gateway.metrics import GatewayMetrics
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.kafka.transactions import TransactionalAppender
from streams.engine.model import OutputRecord
from streams.topics import ensure_topics

SOON_S = 30.0


class FanOut:
    """Keeps what the gateway's handler of the feed hands over."""

    def __init__(self) -> None:
        self.past: list[tuple[int, str]] = []
        self.live: list[tuple[int, str]] = []

    def start_log(self, epoch: str) -> None:
        assert epoch

    def remember(self, entries: list[FeedEntry]) -> None:
        self.past += [(entry.record.seq, entry.record.site_name or "") for entry in entries]

    def publish(self, entries: list[FeedEntry]) -> None:
        self.live += [(entry.record.seq, entry.record.site_name or "") for entry in entries]


def record(seq: int, site_name: str) -> OutputRecord:
    body: FeedRecord = anomaly(1, seq, site_name=site_name)
    return OutputRecord(b'{"tenant_id":1}', encode_record(body), feed_headers(body, 1))


def test_what_a_dead_worker_left_open_is_seen_by_nobody_and_its_successor_by_all(cluster: Cluster) -> None:
    kafka = KafkaSettings(bootstrap_servers=cluster.address, topic_prefix=f"read-{secrets.token_hex(2)}")
    ensure_topics(kafka)
    feed = TopicNames(kafka.topic_prefix).anomalies

    def appender() -> TransactionalAppender:
        return TransactionalAppender(
            aiokafka_config(kafka),
            transactional_id_prefix=kafka.topic_prefix,
            transaction_timeout_ms=60_000,
            batch_bytes_max=900_000,
            state_batch_bytes_max=900_000,
        )

    async def write(by: TransactionalAppender, what: OutputRecord) -> int:
        (append,) = await by.append(feed, 0, [what])
        await by.commit()
        return int((await append.written).offset) + append.count

    async def leave_open(by: TransactionalAppender, what: OutputRecord) -> None:
        (_,) = await by.append(feed, 0, [what])
        producer = by._producers[0]
        ((_, data),), producer.gathered = producer.gathered, []
        await producer.requests.begin(producer.identity, [feed], 0)
        await producer.requests.produce(producer.identity, 0, {feed: data})

    async def story() -> None:
        fan_out, metrics = FanOut(), GatewayMetrics()
        dead, owner = appender(), appender()
        await dead.claim(0)
        await write(dead, record(1, "committed"))
        await leave_open(dead, record(2, "aborted"))
        await owner.claim(0)
        with pytest.raises(ProducerFenced):
            await write(dead, record(2, "refused"))
        end = await write(owner, record(2, "made anew"))

        fetcher = Fetcher(aiokafka_config(kafka), fetch_bytes_max=1 << 20, partition_bytes_max=1 << 20)
        await fetcher.start([feed])
        place = TopicPartition(feed, 0)
        async with asyncio.timeout(SOON_S):
            while await fetcher.end(place) < end:
                await let_pass_async(0.01)  # the marker comes after the acknowledgement
        assert await fetcher.end(place) == end
        assert [each.offset async for each in fetcher.read(place, 0)] == [0, 4]

        any_fan_out: Any = fan_out
        handler = FeedHandler(kafka, 1_000, any_fan_out, FeedDecoder(metrics), metrics)
        gateway = LogReader(KafkaClients(kafka), ReaderSettings(), handler)
        async with asyncio.timeout(SOON_S):
            await gateway.open()  # the log ends with a marker; nothing more comes to move the position past it
        running = asyncio.create_task(gateway.run())
        async with asyncio.timeout(SOON_S):
            await write(owner, record(3, "live"))
        await until_async(lambda: fan_out.live, "the record is sent on", within_s=SOON_S)
        running.cancel()
        assert fan_out.past == [(1, "committed"), (2, "made anew")]
        assert fan_out.live == [(3, "live")]
        await gateway.close()
        for each in (fetcher, dead, owner):
            await each.stop()

    asyncio.run(story())
