"""Bounded tables in the whole engine: whatever dies wherever, what was forgotten and what not is the same."""

import asyncio
import contextlib
import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from support.changed_settings import changed
from support.engine_life import fence, topics_of
from support.memory_log import CrashError, MemoryAppender, MemoryFetcher, MemoryLog
from support.plain_table import SECOND_US, PlainTable

from common.settings.engine import EngineSettings
from streams.engine.kafka.clients import EngineClients
from streams.engine.loop.loop import EngineLoop
from streams.engine.model import Entry, OutputRecord, RawRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineSpec
from streams.engine.state.partition_state import PartitionState, TableSpec
from streams.metrics import WorkerMetrics

TOPICS = topics_of("a", "b")
SPEC = TableSpec("seen", tuple[int, int], int, keys_per_group_max=2, expire_after_s=4, use_interval_s=2)
SETTINGS = changed(
    EngineSettings(), {"micro_batch.interval_ms": 0, "fetch.idle_wait_ms": 1, "merge.wait_ms_max": 60_000}
)
Event = dict[str, Any]


def decode(source_index: int, record: RawRecord) -> Entry:
    event = json.loads(record.value or b"")
    return Entry(event["lsn"], event["lsn"], source_index, record.offset, event, record)


async def process(batch: MicroBatch) -> None:
    table = batch.state["seen"]
    for entry in batch.entries:
        event = entry.change
        batch.state.log_time.us = event["at_us"]
        key = (event["tenant"], event["entity"])
        count = (table.get(key) or 0) + 1
        if event["gone"]:
            table.delete(key)
        else:
            table.put(key, count)
        batch.emit("feed", b"%d" % event["lsn"], b"%d" % count)


APPLICATION = EngineSpec(
    TOPICS,
    (SPEC,),
    decode,
    lambda entry: str(entry.change["lsn"]),
    fence,
)


def plain_fold(events: list[Event]) -> list[int]:
    """How often each event's entity was seen before it was forgotten, the event included."""
    table, counts = PlainTable(SPEC), []
    for event in events:
        key, now_us = (event["tenant"], event["entity"]), event["at_us"]
        count = (table.get(key, now_us) or 0) + 1
        if event["gone"]:
            table.delete(key)
        else:
            table.put(key, count, now_us)
        counts.append(count)
    return counts


def log_with(drawn: list[tuple[int, int, int, int, bool]]) -> tuple[MemoryLog, list[Event]]:
    log, events, now_us = MemoryLog(), [], 1_000 * SECOND_US
    for lsn, (source_index, tenant, entity, step_ms, gone) in enumerate(drawn, start=1):
        now_us += step_ms * 1_000
        event = {"lsn": lsn, "tenant": tenant, "entity": entity, "at_us": now_us, "gone": gone}
        events.append(event)
        log.append(TOPICS.source_topics[source_index], 0, [OutputRecord(b"k", json.dumps(event).encode(), ())])
    return log, events


async def live(
    log: MemoryLog, draws: random.Random, lives: int | None, rounds: int, *, stores_last: bool
) -> EngineLoop:
    now_ms = iter(range(1_000_000, 10**9))
    cycle = EngineLoop(
        APPLICATION,
        process,
        EngineClients(
            MemoryFetcher(log, lambda: draws.randrange(0, 3)),  # type: ignore[arg-type]
            MemoryAppender(log, lives, stores_last=stores_last, draws=draws),  # type: ignore[arg-type]
        ),
        changed(SETTINGS, {"changelog.interval_ms": draws.choice([1, 1, 30])}),
        WorkerMetrics(CollectorRegistry()),
        lambda: next(now_ms) / 1e3,
    )
    cycle.ownership.assign({0})
    for _ in range(rounds):
        await cycle.run_once()
    await cycle.close()
    return cycle


@settings(max_examples=300, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(1, 2),
            st.integers(1, 4),
            st.sampled_from([0, 100, 1_000, 2_500, 7_000]),
            st.sampled_from([False, False, False, True]),
        ),
        min_size=10,
        max_size=50,
    ),
    crashes=st.lists(st.tuples(st.integers(0, 25), st.booleans()), max_size=6),
    seed=st.integers(0, 10_000),
    compacts=st.booleans(),
)
def test_any_crash_any_cut_and_compaction_forget_the_same(
    drawn: list[tuple[int, int, int, int, bool]], crashes: list[tuple[int, bool]], seed: int, *, compacts: bool
) -> None:
    log, events = log_with(drawn)
    draws = random.Random(seed)
    for lives, stores_last in crashes:
        with contextlib.suppress(CrashError):
            asyncio.run(live(log, draws, lives, draws.randrange(1, 15), stores_last=stores_last))
        if compacts:
            log.compact("state", 0, tombstones=True)
    last = asyncio.run(live(log, draws, None, 400, stores_last=False))
    assert all(partition.caught_up for partition in last.ownership.partitions.values())
    said = {int(record.key): int(record.value or b"") for record in log.topics["feed", 0] if record.key is not None}
    assert [said[lsn] for lsn in sorted(said)] == plain_fold(events)
    assert sum(record.key is not None for record in log.topics["feed", 0]) == len(events)
    # And the changelog holds what memory holds, not more.
    table = last.ownership.partitions[0].state["seen"]
    again = asyncio.run(live(log, draws, None, 30, stores_last=False)).ownership.partitions[0].state["seen"]
    assert again.data == table.data


def test_a_partition_sweeps_after_each_micro_batch() -> None:
    partition = Partition(0, topics_of("a").sources, PartitionState((SPEC,)), lambda _: "")
    state = partition.state
    state.log_time.us = SECOND_US
    state["seen"].put((1, 1), 1)
    state.log_time.us = 100 * SECOND_US

    async def run() -> None:
        partition.finish(MicroBatch(0, 1, state, [], {}, None))

    asyncio.run(run())
    assert len(state["seen"]) == 0
