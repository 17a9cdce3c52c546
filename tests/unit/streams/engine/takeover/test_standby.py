"""Warm copies of partitions that others own: a take-over from one is a take-over from the log."""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from support.memory_log import CrashError, MemoryFetcher, MemoryLog
from support.text_application import EVENTS, Life, feed_of, log_with, plain_fold, recovered
from support.waiting import let_pass_async

from common.settings.engine import StandbySettings
from streams.engine.kafka.fetcher import Fetched
from streams.engine.model import OutputRecord
from streams.engine.state.partition_state import PartitionState, TableSpec
from streams.engine.takeover.standby import CATCH_UP_PAUSE_S, Standby
from streams.metrics import WorkerMetrics

PAUSE_S_MAX = 100


class Copies:
    """A standby on an in-memory log, with a clock of its own."""

    def __init__(self, log: MemoryLog, draws: random.Random, fetcher: Any = None) -> None:
        self.now_s = 0.0
        self.metrics = WorkerMetrics(CollectorRegistry())
        self.standby = Standby(
            "state",
            fetcher or MemoryFetcher(log, lambda: draws.randrange(0, 12)),
            StandbySettings(mode="all", interval_ms=500, pause_s_max=PAUSE_S_MAX),
            self.metrics,
            lambda: self.now_s,
        )

    def read_all(self) -> None:
        while asyncio.run(self.standby.follow(set())) == CATCH_UP_PAUSE_S:
            pass

    def used(self) -> float:
        return self.value("standby_recoveries_total")

    def value(self, name: str, labels: dict[str, str] | None = None) -> float:
        return self.metrics.registry.get_sample_value(f"watchfloor_worker_{name}", labels or {}) or 0.0


@settings(max_examples=200, deadline=None)
@given(
    events=EVENTS,
    crashes=st.lists(st.integers(0, 40), max_size=6),
    seed=st.integers(0, 10_000),
    compacts=st.sampled_from([0.0, 0.1, 0.6]),
)
def test_a_chain_of_take_overs_from_copies_gives_the_plain_fold(
    events: list[tuple[int, str]], crashes: list[int], seed: int, compacts: float
) -> None:
    log, draws, cleaner = log_with(events), random.Random(seed), random.Random(seed + 1)

    def compact() -> None:
        if cleaner.random() < compacts:
            log.compact("state", 0, upto=cleaner.randint(0, log.ends["state", 0]))

    log.disturb = compact

    async def lives() -> Life:
        standby: Standby | None = None
        for crash in [*crashes, None]:
            life = Life(log, draws, crash, standby=standby)
            standby = Copies(log, draws).standby  # of the worker that comes next
            life.loop.ownership.assign({0})
            with contextlib.suppress(CrashError):
                for _ in range(200 if crash is None else draws.randrange(1, 30)):
                    await life.loop.run_once()
                    if draws.randrange(2):
                        await standby.follow(set())
                await life.loop.close()
        return life

    last = asyncio.run(lives())
    texts, said = plain_fold(events)
    assert last.texts == texts
    assert feed_of(log) == said
    assert recovered(log)[0] == texts


def test_what_was_read_before_is_not_read_again() -> None:
    log, draws = log_with([(key, "x" * 9) for key in range(40)]), random.Random(1)
    asyncio.run(Life(log, draws).run(rounds=100))
    copies = Copies(log, draws)
    copies.read_all()
    assert copies.value("standby_keys", {"partition": "0"}) == 40
    assert copies.value("standby_lag_records", {"partition": "0"}) == 0
    end = log.ends["state", 0]
    log.topics["state", 0] = []  # whoever reads it from the beginning finds nothing
    successor = Life(log, draws, standby=copies.standby)
    asyncio.run(successor.run(rounds=1))
    assert len(successor.texts) == 40
    assert log.ends["state", 0] > end, "it has fenced"
    assert copies.used() == 1
    assert copies.standby.take(0) is None, "given away"
    assert copies.metrics.registry.get_sample_value("watchfloor_worker_standby_keys", {"partition": "0"}) is None


def test_own_partitions_have_no_copy() -> None:
    log, draws = log_with([(1, "x")]), random.Random(1)
    asyncio.run(Life(log, draws).run(rounds=20))
    copies = Copies(log, draws)
    copies.read_all()
    assert asyncio.run(copies.standby.follow({0})) == 0.5
    assert copies.standby.take(0) is None


def test_a_copy_that_may_have_missed_a_tombstone_begins_anew() -> None:
    """It was not complete for so long that compaction may have removed one that it has not read."""
    draws = random.Random(1)
    log = MemoryLog()

    def append(key: bytes, value: bytes | None) -> None:
        log.append("state", 0, [OutputRecord(key, value, [("generation", b"1")])])

    append(b"text:1", b"\x92\x01\xa1x")
    append(b"text:2", b"\x92\x01\xa1y")
    copies = Copies(log, draws)
    copies.read_all()
    append(b"text:1", None)
    append(b"text:3", b"\x92\x01\xa1z")
    log.compact("state", 0)
    log.compact("state", 0, tombstones=True)
    copies.now_s += PAUSE_S_MAX + 1
    copies.read_all()
    changelog, state = copies.standby.take(0), PartitionState((TableSpec("text", int, str),))
    assert changelog is not None
    changelog.load_into(state)
    assert state["text"].data == {2: "y", 3: "z"}


def test_a_copy_that_was_not_complete_for_long_is_not_given_away() -> None:
    log, draws = log_with([(1, "x")]), random.Random(1)
    asyncio.run(Life(log, draws).run(rounds=20))
    copies = Copies(log, draws)
    copies.read_all()
    copies.now_s += PAUSE_S_MAX + 1
    assert copies.standby.take(0) is None
    assert copies.used() == 0


def test_a_changelog_that_became_shorter_is_read_anew() -> None:
    log, draws = log_with([(key, "x") for key in range(9)]), random.Random(1)
    asyncio.run(Life(log, draws).run(rounds=20))

    class Truncated(MemoryFetcher):
        lost = False

        async def fetch(self, offsets: Mapping[TopicPartition, int], wait_ms: int) -> dict[TopicPartition, Fetched]:
            if self.lost:
                self.lost = False
                return {place: Fetched([], 0, 0, 0) for place in offsets}
            return await super().fetch(offsets, wait_ms)

    fetcher = Truncated(log, lambda: 5)
    copies = Copies(log, draws, fetcher)
    copies.read_all()
    fetcher.lost = True
    asyncio.run(copies.standby.follow(set()))
    assert copies.standby.take(0) is None
    copies.read_all()
    changelog = copies.standby.take(0)
    assert changelog is not None
    assert len(changelog) == 9


def test_what_arrives_for_a_copy_that_was_given_away_is_dropped() -> None:
    log, draws = log_with([(key, "x" * 30) for key in range(30)]), random.Random(1)
    asyncio.run(Life(log, draws).run(rounds=60))

    class Slow(MemoryFetcher):
        async def fetch(self, offsets: Mapping[TopicPartition, int], wait_ms: int) -> dict[TopicPartition, Fetched]:
            fetched = await super().fetch(offsets, wait_ms)
            await let_pass_async(0.01)
            return fetched

    copies = Copies(log, draws, Slow(log, lambda: 7))

    async def run() -> tuple[int, int]:
        await copies.standby.follow(set())
        under_way = asyncio.create_task(copies.standby.follow(set()))
        await asyncio.sleep(0)
        changelog = copies.standby.take(0)
        assert changelog is not None
        before = changelog.read_to
        await under_way
        return before, changelog.read_to

    before, after = asyncio.run(run())
    assert before == after


def test_a_broker_that_does_not_answer_costs_nothing_but_time() -> None:
    class Gone(MemoryFetcher):
        async def fetch(self, *_: Any) -> dict[TopicPartition, Fetched]:
            raise KafkaConnectionError

    log, draws = log_with([(1, "x")]), random.Random(1)
    asyncio.run(Life(log, draws).run(rounds=20))
    copies = Copies(log, draws, Gone(log, lambda: 1))
    assert asyncio.run(copies.standby.follow(set())) == 0.5
    assert copies.standby.take(0) is None


@settings(max_examples=100, deadline=None)
@given(events=EVENTS, takeovers=st.integers(1, 5), seed=st.integers(0, 10_000))
def test_a_copy_knows_the_late_writes_of_owners_that_were_paused(
    events: list[tuple[int, str]], takeovers: int, seed: int
) -> None:
    log, draws = log_with(events), random.Random(seed)

    async def lives() -> Life:
        standby: Standby | None = None
        awake: list[Life] = []
        for takeover in range(takeovers + 1):
            life = Life(log, draws, standby=standby)
            standby = Copies(log, draws).standby
            life.loop.ownership.assign({0})
            for _ in range(300 if takeover == takeovers else draws.randrange(1, 10)):
                await life.loop.run_once()
                for each in awake:
                    if each.loop.ownership.partitions and draws.randrange(2):
                        await each.loop.run_once()
                        each.loop.ownership.drop_fenced()
                if draws.randrange(2):
                    await standby.follow(set())
            awake.append(life)
        life.pass_time(seconds=120)  # it looks for late writes every minute
        for _ in range(10):
            await life.loop.run_once()
        await life.loop.close()
        return life

    last = asyncio.run(lives())
    texts, said = plain_fold(events)
    assert last.texts == texts
    assert feed_of(log) == said
    log.compact("state", 0)
    assert recovered(log)[0] == texts
