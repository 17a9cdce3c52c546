"""Whatever dies wherever: the feed is the plain fold of the log, without a hole and without a repeat.

Also of streams/engine/loop/loop.py.
"""

import asyncio
import contextlib
import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from support.count_application import (
    APPLICATION,
    NEVER_MS,
    TOPICS,
    Life,
    by_the_rule,
    feed_of,
    log_with,
    plain_fold,
    run_agent,
)
from support.memory_log import CrashError, MemoryFetcher

from streams.engine.formats import JournalEntry, decode_journal
from streams.engine.model import OutputRecord
from streams.engine.partition.partition import Partition
from streams.replay.by_journal import replay


@settings(max_examples=300, deadline=None)
@given(
    keys=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), max_size=50),
    crashes=st.lists(st.tuples(st.integers(0, 25), st.booleans()), max_size=8),
    seed=st.integers(0, 10_000),
    compacts=st.booleans(),
)
def test_any_crash_point_and_any_cut_give_the_plain_fold(
    keys: list[tuple[int, int]], crashes: list[tuple[int, bool]], seed: int, *, compacts: bool
) -> None:
    log, events = log_with(keys)
    draws = random.Random(seed)
    for lives, stores_last in crashes:
        life = Life(log, draws, lives, stores_last=stores_last)
        with contextlib.suppress(CrashError):
            asyncio.run(life.run(rounds=draws.randrange(1, 30)))
        if compacts:
            log.compact("state", 0)
    last = Life(log, draws, None, stores_last=False)
    asyncio.run(last.run(rounds=400))
    assert last.done
    assert feed_of(log) == plain_fold(events)
    clean = [int(record.value or b"") for record in log.topics["clean", 0]]
    assert clean == sorted({event["lsn"] for event in events} - {said["lsn"] for said in plain_fold(events)})
    table = last.loop.ownership.partitions[0].state["count"].data
    assert sum(count for count, _ in table.values()) == len(events)


@settings(max_examples=100, deadline=None)
@given(
    keys=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=40),
    repeat=st.integers(1, 40),
    seed=st.integers(0, 10_000),
)
def test_a_suffix_that_connect_sends_again_changes_nothing(keys: list[tuple[int, int]], repeat: int, seed: int) -> None:
    log, events = log_with(keys)
    draws = random.Random(seed)
    asyncio.run(Life(log, draws, None, stores_last=False).run(rounds=draws.randrange(1, 40)))
    for event, (source_index, _) in list(zip(events, keys, strict=True))[-repeat:]:
        log.append(TOPICS.source_topics[source_index], 0, [OutputRecord(b"k", json.dumps(event).encode(), ())])
    asyncio.run(Life(log, draws, None, stores_last=False).run(rounds=400))
    assert feed_of(log) == plain_fold(events)


@settings(max_examples=100, deadline=None)
@given(
    keys=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=40),
    pause_after=st.integers(1, 20),
    seed=st.integers(0, 10_000),
    compacts=st.booleans(),
)
def test_a_paused_owner_that_wakes_up_does_no_harm_to_readers_by_the_rule(
    keys: list[tuple[int, int]], pause_after: int, seed: int, *, compacts: bool
) -> None:
    log, events = log_with(keys)
    draws = random.Random(seed)

    async def both() -> Life:
        paused, owner = (Life(log, draws, None, stores_last=False) for _ in range(2))
        paused.loop.ownership.assign({0})
        for _ in range(pause_after):
            await paused.loop.run_once()
        owner.loop.ownership.assign({0})
        for _ in range(draws.randrange(0, 10)):
            await owner.loop.run_once()
        for _ in range(20):  # the paused one knows nothing of it and goes on
            if paused.loop.ownership.partitions:
                await paused.loop.run_once()
                paused.loop.ownership.drop_fenced()
            if draws.randrange(2):
                await owner.loop.run_once()
        for _ in range(400):
            await owner.loop.run_once()
        owner.pass_time(seconds=120)  # it looks for late writes every minute; compaction waits for ten
        for _ in range(10):
            await owner.loop.run_once()
        await owner.loop.close()
        return owner

    owner = asyncio.run(both())
    assert owner.done
    assert by_the_rule(log) == plain_fold(events)
    if compacts:
        log.compact("state", 0)
    successor = Life(log, draws, None, stores_last=False)
    asyncio.run(successor.run(rounds=20))
    table = successor.loop.ownership.partitions[0].state["count"].data
    assert sum(count for count, _ in table.values()) == len(events)


@settings(max_examples=150, deadline=None)
@given(
    keys=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), max_size=40),
    crashes=st.lists(st.tuples(st.integers(0, 25), st.booleans()), max_size=5),
    seed=st.integers(0, 10_000),
)
def test_a_replay_by_the_journal_says_byte_for_byte_what_the_live_run_said(
    keys: list[tuple[int, int]], crashes: list[tuple[int, bool]], seed: int
) -> None:
    log, _ = log_with(keys)
    draws = random.Random(seed)
    for lives, stores_last in crashes:
        with contextlib.suppress(CrashError):
            asyncio.run(Life(log, draws, lives, stores_last=stores_last).run(rounds=draws.randrange(1, 30)))
    asyncio.run(Life(log, draws, None, stores_last=False).run(rounds=400))

    async def again() -> list[bytes | None]:
        said: list[bytes | None] = []
        fetcher = MemoryFetcher(log, lambda: draws.randrange(0, 6))
        async for _, batch in replay(APPLICATION, fetcher, 0, run_agent):  # type: ignore[arg-type]
            said += [output.value for output in batch.outputs.get("feed", [])]
        return said

    assert asyncio.run(again()) == [record.value for record in log.topics["feed", 0] if record.key is not None]


def test_a_paused_owner_gives_up_as_soon_as_it_meets_the_fence() -> None:
    log, _ = log_with([(0, 1)] * 20)
    draws = random.Random(1)

    async def both() -> Life:
        paused, owner = (Life(log, draws, None, stores_last=False) for _ in range(2))
        paused.loop.ownership.assign({0})
        await paused.loop.run_once()
        owner.loop.ownership.assign({0})
        await owner.loop.run_once()
        for _ in range(30):
            if not paused.loop.ownership.partitions:
                break
            await paused.loop.run_once()
            paused.loop.ownership.drop_fenced()
        return paused

    assert asyncio.run(both()).loop.ownership.partitions == {}


async def own_until_the_group_decides(life: Life, rounds: int) -> None:
    """Own the partition for some rounds, then let go of it because the group decides anew."""
    life.loop.ownership.assign({0})
    for _ in range(rounds):
        await life.loop.run_once()
    await let_go(life)


async def let_go(life: Life) -> None:
    revoked = asyncio.create_task(life.loop.ownership.suspend())
    await asyncio.sleep(0)
    rounds = asyncio.create_task(rounds_without_end(life))  # without a partition a round waits for the next one
    await asyncio.wait_for(revoked, 1)
    rounds.cancel()


@settings(max_examples=50, deadline=None)
@given(rounds=st.integers(2, 30), seed=st.integers(0, 10_000))
def test_a_partition_that_is_given_away_leaves_nothing_to_run_again(rounds: int, seed: int) -> None:
    log, _ = log_with([(0, 1), (1, 2)] * 30)
    draws = random.Random(seed)
    first = Life(log, draws, None, stores_last=False, snapshots_each_ms=NEVER_MS)
    second = Life(log, draws, None, stores_last=False)
    asyncio.run(own_until_the_group_decides(first, rounds))

    async def take_over() -> Partition:
        second.loop.ownership.assign({0})
        await second.loop.ownership.take_over()
        return second.loop.ownership.partitions[0]

    taken = asyncio.run(take_over())
    assert not taken.replay
    journalled = [decode_journal(record.value or b"") for record in log.topics["journal", 0]]
    assert taken.batch == sum(isinstance(entry, JournalEntry) for entry in journalled)


@settings(max_examples=50, deadline=None)
@given(rounds=st.integers(0, 20), seed=st.integers(0, 10_000))
def test_a_stop_in_the_middle_of_a_round_loses_nothing(rounds: int, seed: int) -> None:
    log, events = log_with([(0, 1), (1, 2)] * 30)
    draws = random.Random(seed)
    life = Life(log, draws, None, stores_last=False)

    async def stop_while_the_agent_hangs() -> None:
        life.loop.ownership.assign({0})
        for _ in range(rounds):
            await life.loop.run_once()
        reached = life.hang()
        running = asyncio.create_task(rounds_without_end(life))
        with contextlib.suppress(TimeoutError):  # everything may be processed already
            await asyncio.wait_for(reached.wait(), 0.05)
        await life.loop.close()
        running.cancel()

    asyncio.run(stop_while_the_agent_hangs())
    asyncio.run(Life(log, draws, None, stores_last=False).run(rounds=400))
    assert feed_of(log) == plain_fold(events)


async def rounds_without_end(life: Life) -> None:
    while True:
        await life.loop.run_once()
        await asyncio.sleep(0)


def test_a_worker_that_learns_late_that_it_lost_a_partition_writes_nothing() -> None:
    log, _ = log_with([(0, 1), (1, 2)] * 30)
    draws = random.Random(1)
    paused = Life(log, draws, None, stores_last=False, snapshots_each_ms=NEVER_MS)
    owner = Life(log, draws, None, stores_last=False)

    async def both() -> None:
        paused.loop.ownership.assign({0})
        await paused.loop.run_once()
        while not paused.loop.ownership.partitions[0].unsaved:
            await paused.loop.run_once()
        owner.loop.ownership.assign({0})
        await owner.loop.ownership.take_over()
        await let_go(paused)

    asyncio.run(both())
    assert log.topics["state", 0][-1].key == b"@fence:2"


@settings(max_examples=50, deadline=None)
@given(rounds=st.integers(0, 10), seed=st.integers(0, 10_000), comes_back=st.booleans())
def test_a_round_that_outlasts_the_groups_patience_is_never_written(
    rounds: int, seed: int, *, comes_back: bool
) -> None:
    log, events = log_with([(0, 1), (1, 2)] * 30)
    draws = random.Random(seed)
    slow = Life(log, draws, None, stores_last=False, session_timeout_ms=10)
    owner = Life(log, draws, None, stores_last=False)

    async def both() -> Life:
        slow.loop.ownership.assign({0})
        for _ in range(rounds):
            await slow.loop.run_once()
        reached = slow.hang()
        running = asyncio.create_task(rounds_without_end(slow))
        with contextlib.suppress(TimeoutError):  # everything may be processed already
            await asyncio.wait_for(reached.wait(), 0.05)
        await asyncio.wait_for(slow.loop.ownership.suspend(), 1)
        if not comes_back:
            owner.loop.ownership.assign({0})
            for _ in range(draws.randrange(1, 6)):
                await owner.loop.run_once()
        slow.loop.ownership.assign({0} if comes_back else set())
        slow.go_on()
        for _ in range(400):
            await (asyncio.sleep(0) if comes_back else owner.loop.run_once())
        running.cancel()
        return slow if comes_back else owner

    last = asyncio.run(both())
    assert last.done
    assert feed_of(log) == plain_fold(events), "as it lies there"
