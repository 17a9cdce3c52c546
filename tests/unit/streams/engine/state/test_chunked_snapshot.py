"""Snapshots that do not fit into one RecordBatch: the state is the plain fold, whatever dies, compacts or wakes up."""

import asyncio
import contextlib
import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from support.memory_log import CrashError, MemoryLog
from support.text_application import (
    BATCH_BYTES_MAX,
    EVENTS,
    TABLES,
    Life,
    feed_of,
    keys_of,
    log_with,
    plain_fold,
    recovered,
)
from support.waiting import loop_turns

from streams.engine.formats import PartitionPosition
from streams.engine.log.changelog import Changelog, encode_position
from streams.engine.model import OutputRecord
from streams.engine.state.chunked_snapshot import (
    CHUNK_PREFIX,
    COMMIT_KEY,
    SnapshotChunks,
    split_into_chunks,
)
from streams.engine.state.partition_state import PartitionState


@settings(max_examples=300, deadline=None)
@given(
    events=EVENTS,
    crashes=st.lists(st.integers(0, 40), max_size=8),
    seed=st.integers(0, 10_000),
    compacts=st.sampled_from([0.0, 0.1, 0.6]),
    transactions=st.booleans(),
)
def test_any_crash_point_under_compaction_at_any_moment_gives_the_plain_fold(
    events: list[tuple[int, str]], crashes: list[int], seed: int, compacts: float, *, transactions: bool
) -> None:
    log, draws = log_with(events), random.Random(seed)
    cleaner = random.Random(seed + 1)

    def compact() -> None:
        if cleaner.random() < compacts:
            end = log.ends["state", 0]
            log.compact("state", 0, upto=cleaner.randint(0, end), drop_tombstones=cleaner.random() < 0.5)

    log.disturb = compact
    for lives in crashes:
        with contextlib.suppress(CrashError):
            asyncio.run(Life(log, draws, lives, transactions=transactions).run(rounds=draws.randrange(1, 30)))
    last = Life(log, draws, transactions=transactions)
    asyncio.run(last.run(rounds=200))
    texts, said = plain_fold(events)
    assert last.texts == texts
    assert feed_of(log) == said
    assert recovered(log)[0] == texts
    assert recovered(log)[1].offsets["a"] == len(events)
    assert not {key for key in keys_of(log) if key.startswith(CHUNK_PREFIX)}, "chunks are left"


@settings(max_examples=100, deadline=None)
@given(events=EVENTS, pause_after=st.integers(1, 12), seed=st.integers(0, 10_000), compacts=st.booleans())
def test_a_paused_owner_that_wakes_up_in_the_middle_of_one_does_no_harm(
    events: list[tuple[int, str]], pause_after: int, seed: int, *, compacts: bool
) -> None:
    log, draws = log_with(events), random.Random(seed)

    async def both() -> Life:
        paused, owner = (Life(log, draws) for _ in range(2))
        paused.loop.ownership.assign({0})
        for _ in range(pause_after):
            await paused.loop.run_once()
        older = log.ends["state", 0]
        if compacts:  # the cleaner leaves alone what is younger than the pause (min.compaction.lag.ms)
            log.disturb = lambda: log.compact("state", 0, upto=draws.randint(0, older), drop_tombstones=True)
        owner.loop.ownership.assign({0})
        waking = asyncio.create_task(_go_on(paused))
        for _ in range(40):
            await owner.loop.run_once()
            await loop_turns(draws.randrange(3))
        await waking
        owner.pass_time(seconds=120)  # it looks for late writes every minute
        for _ in range(40):
            await owner.loop.run_once()
        await owner.loop.close()
        return owner

    async def _go_on(paused: Life) -> None:
        for _ in range(30):
            if paused.loop.ownership.partitions:
                await paused.loop.run_once()
                paused.loop.ownership.drop_fenced()

    owner = asyncio.run(both())
    texts, said = plain_fold(events)
    assert owner.texts == texts
    assert feed_of(log) == said
    log.disturb = lambda: None
    log.compact("state", 0)
    assert recovered(log)[0] == texts, "a late write displaced a good one"
    successor = Life(log, draws)
    asyncio.run(successor.run(rounds=10))
    assert successor.texts == texts
    assert not {key for key in keys_of(log) if key.startswith(CHUNK_PREFIX)}, "chunks are left"


def records(count: int) -> list[tuple[bytes, bytes]]:
    return [(b"text:%d" % each, msgspec.msgpack.encode((3, "v" * each))) for each in range(count)]


@given(count=st.integers(0, 40), bytes_max=st.integers(1, 400))
def test_chunks_carry_every_record_in_order_and_only_a_lone_record_exceeds_the_limit(
    count: int, bytes_max: int
) -> None:
    chunks, (commit, value) = split_into_chunks(3, 1, records(count), bytes_max)
    loaded: list[tuple[bytes, bytes]] = []
    reading = SnapshotChunks(lambda key, record: loaded.append((key, record)))
    for chunk in chunks:
        reading.on_record(chunk.key or b"", chunk.value)
        assert len(chunk.value or b"") <= bytes_max or len(msgspec.msgpack.decode(chunk.value or b"")[1]) == 2
    assert not loaded, "before the commit record they do not count"
    reading.on_record(commit, value)
    assert loaded == records(count)
    assert reading.carried == [key for key, _ in records(count)]
    assert reading.keys == {commit, *(chunk.key for chunk in chunks)}
    for key in list(reading.keys):
        reading.on_record(key, None)
    assert not reading.carried
    assert not reading.keys


def test_a_state_with_position_alone_is_one_record_batch() -> None:
    key, value = encode_position(1, PartitionPosition(1, {"a": 1}, 1, {}, (0, 0), {}))
    assert len(key) + len(value) < BATCH_BYTES_MAX, "otherwise the properties above would test nothing else"


def test_a_snapshot_is_due_before_its_keys_are_too_large_for_one_record_batch() -> None:
    log = log_with([(key, "x" * 20) for key in range(300)])
    life = Life(log, random.Random(1), bytes_max=4_000, interval_ms=1_000_000)
    asyncio.run(life.run(rounds=200))
    assert len(life.texts) == 300
    assert sum(record.key == b"@position" for record in log.topics["state", 0]) > 3
    assert not any((record.key or b"").startswith(CHUNK_PREFIX) for record in log.topics["state", 0])


def test_a_value_too_large_for_any_record_batch_is_left_out() -> None:
    log = log_with([(7, "x" * 150), (8, "y")])
    asyncio.run(Life(log, random.Random(1), bytes_max=160).run(rounds=200))
    stored = {record.key for record in log.topics["state", 0]}
    assert b"text:8" in stored
    assert b"text:7" not in stored


def test_an_owner_fenced_off_in_the_middle_does_not_delete_its_chunks() -> None:
    """The new owner may just be reading them, and their keys are only safe once it has written them again."""
    log = log_with([(key, "x" * 90) for key in range(8)])

    def rival() -> None:
        keys = [record.key for record in log.topics["state", 0]]
        if any((key or b"").startswith(COMMIT_KEY) for key in keys) and b"@fence:9" not in keys:
            log.append("state", 0, [OutputRecord(b"@fence:9", msgspec.msgpack.encode((9, None)), ())])

    log.disturb = rival
    fenced_off = Life(log, random.Random(1))

    async def run() -> None:
        fenced_off.loop.ownership.assign({0})
        await fenced_off.loop.run_once()
        while fenced_off.loop.ownership.partitions:
            await fenced_off.loop.run_once()
            fenced_off.loop.ownership.drop_fenced()
        await fenced_off.loop.close()

    asyncio.run(run())
    fence = next(record.offset for record in log.topics["state", 0] if record.key == b"@fence:9")
    assert not [record for record in log.topics["state", 0] if record.offset > fence and record.value is None]


def test_chunks_that_a_late_writer_deletes_are_written_again_by_the_new_owner() -> None:
    chunks, commit = split_into_chunks(1, 1, records(3), 1_000)
    mine = [OutputRecord(key, value, ()) for key, value in [(b"@fence:1", msgspec.msgpack.encode((1, None)))]]
    mine += [*chunks, OutputRecord(*commit, ())]
    fence = OutputRecord(b"@fence:2", msgspec.msgpack.encode((2, None)), ())
    keys = [commit[0], chunks[0].key or b""]
    log = MemoryLog()
    log.append("state", 0, [*mine, fence, *(OutputRecord(key, None, (("generation", b"1"),)) for key in keys)])
    changelog, state = Changelog(), PartitionState(TABLES)
    changelog.take_in(log.topics["state", 0])
    changelog.load_into(state)
    assert state["text"].data == {0: "", 1: "v", 2: "vv"}
    assert changelog.keys_to_rewrite == {*keys, b"text:0", b"text:1", b"text:2"}
