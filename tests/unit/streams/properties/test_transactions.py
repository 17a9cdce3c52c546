"""With transactions a plain reader of committed records sees everything once, whatever dies or sleeps."""

import asyncio
import contextlib
import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from support.count_application import Event, Life, feed_of, log_with, plain_fold
from support.memory_log import CrashError, MemoryLog

from streams.engine.formats import JournalFence, decode_journal

Keys = list[tuple[int, int]]
some_keys = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), max_size=50)


def committed_once(log: MemoryLog, events: list[Event]) -> None:
    """Check every topic as it lies there, without a fence, a generation or a number being looked at."""
    said = plain_fold(events)
    assert feed_of(log) == said
    clean = [int(record.value or b"") for record in log.topics["clean", 0]]
    assert sorted(clean) == sorted({event["lsn"] for event in events} - {each["lsn"] for each in said})
    entries = [decode_journal(record.value or b"") for record in log.topics["journal", 0]]
    numbers = [entry.batch for entry in entries if not isinstance(entry, JournalFence)]
    assert numbers == list(range(1, len(numbers) + 1)), "each micro-batch is journalled once, in order"


@settings(max_examples=200, deadline=None)
@given(
    keys=some_keys,
    crashes=st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=8),
    seed=st.integers(0, 10_000),
    compacts=st.booleans(),
)
def test_any_crash_point_leaves_every_topic_without_a_repeat(
    keys: Keys, crashes: list[tuple[int, bool]], seed: int, *, compacts: bool
) -> None:
    log, events = log_with(keys)
    draws = random.Random(seed)
    for lives, stores_last in crashes:
        life = Life(log, draws, lives, stores_last=stores_last, transactions=True)
        with contextlib.suppress(CrashError):
            asyncio.run(life.run(rounds=draws.randrange(1, 30)))
        if compacts:
            log.compact("state", 0)
    last = Life(log, draws, None, stores_last=False, transactions=True)
    asyncio.run(last.run(rounds=400))
    assert last.done
    committed_once(log, events)
    table = last.loop.ownership.partitions[0].state["count"].data
    assert sum(count for count, _ in table.values()) == len(events)


@settings(max_examples=150, deadline=None)
@given(
    keys=some_keys,
    crashes=st.lists(st.tuples(st.integers(0, 25), st.booleans(), st.booleans()), max_size=6),
    seed=st.integers(0, 10_000),
)
def test_the_guarantee_may_change_at_any_restart(keys: Keys, crashes: list[tuple[int, bool, bool]], seed: int) -> None:
    """What a life without transactions left half written is completed by one with them, and the other way round."""
    log, events = log_with(keys)
    draws = random.Random(seed)
    for lives, stores_last, transactions in crashes:
        life = Life(log, draws, lives, stores_last=stores_last, transactions=transactions)
        with contextlib.suppress(CrashError):
            asyncio.run(life.run(rounds=draws.randrange(1, 30)))
    asyncio.run(Life(log, draws, None, stores_last=False, transactions=bool(seed % 2)).run(rounds=400))
    assert feed_of(log) == plain_fold(events)


@settings(max_examples=150, deadline=None)
@given(
    keys=some_keys,
    pause_after=st.integers(1, 20),
    dies_after=st.integers(0, 12),
    seed=st.integers(0, 10_000),
)
def test_a_paused_owner_that_wakes_up_writes_nothing(keys: Keys, pause_after: int, dies_after: int, seed: int) -> None:
    """Also where the one that took over dies at the same time."""
    log, events = log_with(keys)
    draws = random.Random(seed)

    async def all_of_them() -> Life:
        paused = Life(log, draws, None, stores_last=False, transactions=True)
        owner = Life(log, draws, dies_after, stores_last=bool(seed % 2), transactions=True)
        paused.loop.ownership.assign({0})
        for _ in range(pause_after):
            await paused.loop.run_once()
        owner.loop.ownership.assign({0})
        with contextlib.suppress(CrashError):
            for _ in range(draws.randrange(0, 10)):
                await owner.loop.run_once()
            for _ in range(20):
                await wake_up(paused)
                if draws.randrange(2):
                    await owner.loop.run_once()
        for _ in range(20):
            await wake_up(paused)
        successor = Life(log, draws, None, stores_last=False, transactions=True)
        await successor.run(rounds=400)
        return successor

    successor = asyncio.run(all_of_them())
    assert successor.done
    committed_once(log, events)
    table = successor.loop.ownership.partitions[0].state["count"].data
    assert sum(count for count, _ in table.values()) == len(events)


async def wake_up(paused: Life) -> None:
    """A round, unless it has learnt that its time is over."""
    if paused.loop.ownership.partitions:
        await paused.loop.run_once()
        paused.loop.ownership.drop_fenced()


def test_own_markers_are_not_taken_for_another_writer() -> None:
    log, _ = log_with([(0, 1)] * 60)
    life = Life(log, random.Random(3), None, stores_last=False, transactions=True)
    looked_at: list[tuple[int, int | None]] = []
    fetcher = life.loop._writer._fetcher
    read = fetcher.read

    def noting(place: object, start: int, end: int | None = None) -> object:
        looked_at.append((start, end))
        return read(place, start, end)  # type: ignore[arg-type]

    fetcher.read = noting  # type: ignore[method-assign, assignment]

    async def run() -> None:
        life.loop.ownership.assign({0})
        await life.loop.run_once()
        looked_at.clear()  # the recovery's own reading
        for _ in range(60):
            await life.loop.run_once()
        await life.loop.close()

    asyncio.run(run())
    assert life.done
    assert json.loads(log.topics["feed", 0][-1].value or b"")["seq"] == 20
    assert not looked_at, "every write looked for an intruder"
