"""A replay of what the real chain has processed says what its topics hold."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from aiokafka.structs import TopicPartition
from support.operator import Operator, fresh_id, insert, update
from support.stack import RunningStack, wait_for

from contracts.feed import decode_feed_record
from contracts.readers import FeedRule, generation_of
from contracts.topics import TopicNames, partition_of
from streams.assembly import make_replay
from streams.engine.fetcher import Fetcher
from streams.engine.log_replay import replay_log
from streams.engine.model import MicroBatch
from streams.engine.partition import Partition
from streams.engine.replay import JournalSummary, replay, summarize
from watchfloor.kafka import aiokafka_config, feed_epoch

TOPICS = TopicNames()
Connection = psycopg.Connection[Any]
Replayed = AsyncIterator[tuple[Partition, MicroBatch]]


@contextlib.asynccontextmanager
async def reading(stack: RunningStack, partition_bytes: int) -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(
        aiokafka_config(stack.settings.kafka), fetch_bytes_max=4 * partition_bytes, partition_bytes_max=partition_bytes
    )
    await fetcher.start([spec.name for spec in TOPICS.all_specs()])
    try:
        yield fetcher
    finally:
        await fetcher.stop()


async def live_feed(fetcher: Fetcher, partition: int) -> list[bytes]:
    """What a reader by the rule sees."""
    rule, seen = FeedRule(), []
    async for record in fetcher.read(TopicPartition(TOPICS.anomalies, partition), 0):
        value = record.value or b""
        if rule.accepts(partition, generation_of(record.headers), decode_feed_record(value)):
            seen.append(value)
    return seen


async def live_clean(fetcher: Fetcher, partition: int) -> dict[tuple[int, int], Any]:
    """(micro-batch, tenant) to its clean events without their latencies."""
    records = [record.value async for record in fetcher.read(TopicPartition(TOPICS.processed, partition), 0)]
    return dict(map(clean, records))


def clean(value: bytes | None) -> tuple[tuple[int, int], Any]:
    body = json.loads(value or b"")
    return (body["batch"], body["tenant_id"]), [event[:4] for event in body["events"]]


async def outputs_of(replayed: Replayed) -> dict[str, list[bytes]]:
    outputs: dict[str, list[bytes]] = {}
    async for _, batch in replayed:
        for topic, records in batch.outputs.items():
            outputs.setdefault(topic, []).extend(record.value or b"" for record in records)
    return outputs


def by_tenant(values: list[bytes]) -> dict[int, list[bytes]]:
    said: dict[int, list[bytes]] = {}
    for value in values:
        said.setdefault(json.loads(value)["tenant_id"], []).append(value)
    return said


@pytest.fixture
def bursts(stack: RunningStack, connection: Connection) -> list[int]:
    """Tenants in every partition with findings, tickets, bursts over a limit that changes, and their reports."""
    partitions, tenants = stack.settings.kafka.partitions, dict[int, int]()
    while len(tenants) < partitions:
        tenant = fresh_id()
        tenants.setdefault(partition_of(tenant, partitions), tenant)
    for tenant in tenants.values():
        insert(connection, "tenant", id=tenant, name=f"Tenant {tenant}", max_events_per_second=5)
        insert(connection, "site", id=tenant, tenant_id=tenant, client_id=tenant, name="Harbour")
    for limit in (3, None):
        for tenant in tenants.values():
            with connection.transaction():
                for number in range(12):
                    row = {"tenant_id": tenant, "site_id": tenant, "person_id": 1, "verified_person_id": 1 + number % 2}
                    insert(connection, "attendance", **row, event_type="CHECK_OUT", occurred_at=datetime.now(UTC))
        for tenant in tenants.values():
            ticket = insert(connection, "ticket", tenant_id=tenant, site_id=tenant, status="NEW", priority="HIGH")
            update(connection, "ticket", ticket, status="OPEN")
            update(connection, "site", tenant, name=f"Harbour under {limit}")
        time.sleep(1.0)  # the burst is not over yet when the limit changes
        for tenant in tenants.values():
            update(connection, "tenant", tenant, max_events_per_second=limit)
        time.sleep(2.5)
    for tenant in tenants.values():
        with Operator(stack, tenant) as dashboard:
            wait_for(lambda seen=dashboard: seen.greeting["seq"] >= 1, "the tenant's feed is known")
    return list(tenants.values())


def test_replays_say_what_the_topics_hold(stack: RunningStack, bursts: list[int]) -> None:
    epoch = feed_epoch(stack.settings.kafka)

    async def compare(partition: int) -> tuple[JournalSummary, dict[int, list[bytes]]]:
        application, process = make_replay(stack.settings, epoch)
        async with reading(stack, 1 << 20) as whole, reading(stack, 3_000) as pieces:
            summary = await summarize(whole, TopicPartition(TOPICS.journal, partition))
            live, live_events = await live_feed(whole, partition), await live_clean(whole, partition)
            for fetcher in (whole, pieces):
                outputs = await outputs_of(replay(application, fetcher, partition, process))
                assert outputs.get(TOPICS.anomalies, []) == live
                assert dict(map(clean, outputs.get(TOPICS.processed, []))) == live_events
            if not summary.doubts():
                for fetcher, most in ((whole, 100_000), (pieces, 3)):
                    alone = replay_log(
                        application, fetcher, partition, process, until_ms=summary.tick_ms, records_max=most
                    )
                    assert by_tenant((await outputs_of(alone)).get(TOPICS.anomalies, [])) == by_tenant(live)
            return summary, by_tenant(live)

    async def all_partitions() -> list[tuple[JournalSummary, dict[int, list[bytes]]]]:
        return [await compare(partition) for partition in range(stack.settings.kafka.partitions)]

    compared = asyncio.run(all_partitions())
    sure = [said for summary, said in compared if not summary.doubts()]
    assert sure, f"in every partition something came late: {[summary.doubts() for summary, _ in compared]}"
    reports = [
        value for said in sure for tenant in bursts for value in said.get(tenant, []) if b'"rate_limited"' in value
    ]
    assert len(reports) >= 2, "no burst was replayed"
