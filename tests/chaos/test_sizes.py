"""Records larger than what the worker asks the broker for."""

import asyncio
import secrets

from aiokafka.structs import TopicPartition
from chaos.cluster import Cluster
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.engine.kafka.fetcher import Fetcher

LARGE = 3 << 20
SMALL_RECORDS = 200


def test_a_record_larger_than_a_fetch_is_read_all_the_same(cluster: Cluster) -> None:
    """In front of a topic that always has something, so that it cannot count on being the only one."""
    topics = [f"sizes-{secrets.token_hex(3)}-{number}" for number in range(2)]
    made = [NewTopic(topic, 1, 1, config={"max.message.bytes": str(8 << 20)}) for topic in topics]
    admin = AdminClient({"bootstrap.servers": cluster.address})  # the futures need it alive
    for done in admin.create_topics(made).values():
        done.result(10)
    producer = Producer({"bootstrap.servers": cluster.address, "message.max.bytes": 8 << 20, "linger.ms": 0})
    for size in (10, LARGE, 10):
        producer.produce(topics[0], b"v" * size)
        producer.flush(20)
    for _ in range(SMALL_RECORDS):
        producer.produce(topics[1], b"w" * 1_000)
        producer.flush(20)

    async def read() -> dict[TopicPartition, list[int]]:
        fetcher = Fetcher({"bootstrap_servers": cluster.address}, fetch_bytes_max=16_384, partition_bytes_max=8_192)
        await fetcher.start(topics)
        places = [TopicPartition(topic, 0) for topic in topics]
        offsets = dict.fromkeys(places, 0)
        sizes: dict[TopicPartition, list[int]] = {place: [] for place in places}
        try:
            async with asyncio.timeout(60):
                while len(sizes[places[0]]) < 3 or len(sizes[places[1]]) < SMALL_RECORDS:
                    for place, fetched in (await fetcher.fetch(offsets, 100)).items():
                        offsets[place] = fetched.next_offset
                        sizes[place] += [len(record.value or b"") for record in fetched.records]
        finally:
            await fetcher.stop()
        return sizes

    sizes = asyncio.run(read())
    assert sizes[TopicPartition(topics[0], 0)] == [10, LARGE, 10]
    assert sizes[TopicPartition(topics[1], 0)] == [1_000] * SMALL_RECORDS
