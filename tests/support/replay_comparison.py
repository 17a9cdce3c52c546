"""Replays of a real chain's topics, compared with what readers by the rule see there."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from aiokafka.structs import TopicPartition

from common.kafka import aiokafka_config, feed_epoch
from common.settings.load import Settings
from contracts.feed import Fence, decode_feed_record
from contracts.topics import TopicNames
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.replay.by_journal import replay
from streams.replay.by_log import replay_log
from streams.replay.journal import JournalSummary, summarize
from streams.wiring import make_replay
from watchfloor_client.readers import FeedRule, generation_of

Replayed = AsyncIterator[tuple[Partition, MicroBatch]]


class Compared(NamedTuple):
    """A partition whose replays said what its topics hold."""

    summary: JournalSummary
    feed: dict[int, list[bytes]]
    """Tenant to its records, in order."""
    without_journal: bool
    """Whether the log alone was to say the same, and did."""


async def compare(settings: Settings, partition: int) -> Compared:
    """Replay a partition twice by the journal and, where that leaves no doubt, twice without it.

    Raises:
        AssertionError: a replay says something else than the topics hold.
    """
    topics = TopicNames(settings.kafka.topic_prefix)
    application, process = make_replay(settings, feed_epoch(settings.kafka, topics.anomalies))
    async with _reading(settings, 1 << 20) as whole, _reading(settings, 3_000) as pieces:
        summary = await summarize(application, whole, partition)
        live = await _feed(whole, TopicPartition(topics.anomalies, partition))
        events = await _clean_events(whole, TopicPartition(topics.processed, partition))
        for fetcher in (whole, pieces):
            outputs = await _outputs_of(replay(application, fetcher, partition, process))
            assert outputs.get(topics.anomalies, []) == live
            assert dict(map(_clean, outputs.get(topics.processed, []))) == events
        for fetcher, most in [] if summary.doubts() else [(whole, 100_000), (pieces, 3)]:
            alone = replay_log(application, fetcher, partition, process, until_ms=summary.tick_ms, records_max=most)
            assert _by_tenant((await _outputs_of(alone)).get(topics.anomalies, [])) == _by_tenant(live)
        return Compared(summary, _by_tenant(live), not summary.doubts())


@contextlib.asynccontextmanager
async def _reading(settings: Settings, partition_bytes: int) -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(
        aiokafka_config(settings.kafka), fetch_bytes_max=4 * partition_bytes, partition_bytes_max=partition_bytes
    )
    await fetcher.start([spec.name for spec in TopicNames(settings.kafka.topic_prefix).all_specs()])
    try:
        yield fetcher
    finally:
        await fetcher.stop()


async def _feed(fetcher: Fetcher, place: TopicPartition) -> list[bytes]:
    rule, seen = FeedRule(), []
    async for record in fetcher.read(place, 0):
        value = record.value or b""
        feed_record = decode_feed_record(value)
        if isinstance(feed_record, Fence):
            rule.fence(place.partition, feed_record.generation)
            continue
        tenant_id, seq = feed_record.tenant_id, feed_record.seq
        if rule.accepts(place.partition, generation_of(record.headers), tenant_id=tenant_id, seq=seq):
            seen.append(value)
    return seen


async def _clean_events(fetcher: Fetcher, place: TopicPartition) -> dict[tuple[int, int], Any]:
    """(micro-batch, tenant) to its clean events without their latencies."""
    return dict([_clean(record.value or b"") async for record in fetcher.read(place, 0)])


def _clean(value: bytes) -> tuple[tuple[int, int], Any]:
    body = json.loads(value)
    return (body["batch"], body["tenant_id"]), [event[:4] for event in body["events"]]


async def _outputs_of(replayed: Replayed) -> dict[str, list[bytes]]:
    outputs: dict[str, list[bytes]] = {}
    async for _, batch in replayed:
        for topic, records in batch.outputs.items():
            outputs.setdefault(topic, []).extend(record.value or b"" for record in records)
    return outputs


def _by_tenant(values: list[bytes]) -> dict[int, list[bytes]]:
    said: dict[int, list[bytes]] = {}
    for value in values:
        said.setdefault(json.loads(value)["tenant_id"], []).append(value)
    return said
