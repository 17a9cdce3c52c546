"""What a live run said, its log says again: by the journal always, without it whenever nothing came late.

Also of streams/replay/by_journal.py and streams/replay/by_log.py.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from support.changed_settings import changed
from support.memory_log import CrashError, MemoryAppender, MemoryFetcher, MemoryLog
from support.played_company import NAMES, PARTITIONS, START_MS, Delivery, Step, steps

from common.settings.load import load_settings
from streams.engine.kafka.clients import EngineClients
from streams.engine.loop.loop import EngineLoop
from streams.engine.model import OutputRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.metrics import WorkerMetrics
from streams.replay.by_journal import IncompleteLogError, replay
from streams.replay.by_log import UnorderedLogError, replay_log
from streams.replay.journal import JournalSummary, summarize
from streams.wiring import make_replay

EPOCH = "epoch"
SETTINGS = load_settings(environ={})
WORKER = changed(
    SETTINGS.worker,
    {
        "rate_limit.max_events_per_second": 2,
        "rate_limit.burst_report_interval_s": 4,
        "micro_batch.interval_ms": 0,
        "changelog.interval_ms": 1,
        "state.entities_per_tenant_max": 2,
        "state.use_interval_s": 1,
        "references.wait_ms": 1_500,
        "references.waiting_events_per_tenant_max": 3,
        "references.report_interval_s": 4,
        "policies": {"ticket_sla_breach": {"high_hours_max": 0.0005, "low_hours_max": 0.0002}},
        "timers.snapshot_settle_ms": 300,
        "timers.per_tick_max": 2,
        "merge.wait_ms_max": 60_000,  # the pieces in which these tests fetch are small, and time flies
    },
)
SETTINGS = SETTINGS.model_copy(update={"worker": WORKER})
Feed = dict[int, list[bytes]]
"""Tenant to the values of its records, in order."""


class Life:
    """One worker process on a clock of its own, which goes on where the one before stood."""

    def __init__(self, log: MemoryLog, delivery: Delivery, draws: random.Random, now_ms: int) -> None:
        self.now_ms = now_ms
        self._delivery = delivery
        self._draws = draws
        self._log = log

    async def run(self, until_ms: int | None, lives: int | None, *, stores_last: bool = False) -> None:
        """Work until then, or until everything is said; or until the broker is out of reach for good."""
        application, process = make_replay(SETTINGS, EPOCH)
        cycle = EngineLoop(
            application,
            process,
            EngineClients(
                MemoryFetcher(self._log, lambda: self._draws.randrange(0, 9)),  # type: ignore[arg-type]
                MemoryAppender(self._log, lives, stores_last=stores_last, draws=self._draws),  # type: ignore[arg-type]
            ),
            WORKER,
            WorkerMetrics(CollectorRegistry()),
            lambda: self.now_ms / 1e3,
        )
        cycle.ownership.assign(set(range(PARTITIONS)))
        idle = 0
        while idle < 30 and (until_ms is None or self.now_ms < until_ms):
            self.now_ms += self._draws.choice([1, 7, 40, 260])
            self._delivery.until(self.now_ms)
            await cycle.run_once()
            parts = cycle.ownership.partitions.values()
            quiet = all(each.caught_up and each.wake_at_ms is None for each in parts)
            idle = idle + 1 if quiet and self._delivery.end_ms is None else 0
        await cycle.close()


def live_run(drawn: list[Step], crashes: list[tuple[int, int, bool]], draws: random.Random) -> MemoryLog:
    """The log that workers leave, each but the last one killed: (milliseconds, writes that it lives, ...)."""
    log = MemoryLog()
    delivery, now_ms = Delivery(log, drawn), START_MS
    for run_ms, lives, stores_last in crashes:
        life = Life(log, delivery, draws, now_ms)
        with contextlib.suppress(CrashError):
            asyncio.run(life.run(now_ms + run_ms, lives, stores_last=stores_last))
        now_ms = life.now_ms + 500
    asyncio.run(Life(log, delivery, draws, now_ms).run(None, None))
    return log


def feed_of(log: MemoryLog) -> Feed:
    said: Feed = {}
    for partition in range(PARTITIONS):
        for record in log.topics[NAMES.anomalies, partition]:
            if record.key is not None:
                said.setdefault(json.loads(record.value or b"")["tenant_id"], []).append(record.value or b"")
    return said


def clean_of(records: list[Any]) -> list[Any]:
    """Clean events without their latencies."""
    bodies = [json.loads(record.value) for record in records]
    return [(body["tenant_id"], body["batch"], [each[:4] for each in body["events"]]) for body in bodies]


async def collect(replayed: AsyncIterator[tuple[Partition, MicroBatch]], outputs: dict[str, list[Any]]) -> None:
    async for _, batch in replayed:
        for topic, records in batch.outputs.items():
            outputs.setdefault(topic, []).extend(records)


def by_tenant(records: list[OutputRecord]) -> Feed:
    said: Feed = {}
    for record in records:
        said.setdefault(json.loads(record.value or b"")["tenant_id"], []).append(record.value or b"")
    return said


def pieces(draws: random.Random, most: int) -> Callable[[], int]:
    return lambda: draws.randrange(0, most)


def summary_of(log: MemoryLog, partition: int) -> JournalSummary:
    fetcher: Any = MemoryFetcher(log, lambda: 50)
    return asyncio.run(summarize(make_replay(SETTINGS, EPOCH)[0], fetcher, partition))


def by_the_journal(log: MemoryLog, draws: random.Random) -> dict[str, list[Any]]:
    outputs: dict[str, list[Any]] = {}
    application, process = make_replay(SETTINGS, EPOCH)
    for partition in range(PARTITIONS):
        fetcher: Any = MemoryFetcher(log, pieces(draws, 12))
        asyncio.run(collect(replay(application, fetcher, partition, process), outputs))
    return outputs


def by_the_log(log: MemoryLog, draws: random.Random, partitions: list[int], until_ms: int) -> dict[str, list[Any]]:
    """What one process says that replays some partitions side by side."""
    outputs: dict[str, list[Any]] = {}
    application, process = make_replay(SETTINGS, EPOCH)

    async def run() -> None:
        await asyncio.gather(
            *(
                collect(
                    replay_log(
                        application,
                        MemoryFetcher(log, pieces(draws, draws.choice([2, 5, 80]))),  # type: ignore[arg-type]
                        partition,
                        process,
                        until_ms=until_ms,
                        records_max=draws.choice([1, 7, 1_000]),
                    ),
                    outputs,
                )
                for partition in partitions
            )
        )

    asyncio.run(run())
    return outputs


CRASHES = st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 40), st.booleans()), max_size=3)
PROMPT = st.just(30)
"""The same delay for every record: none overtakes another on its way."""
ANY_LAG = st.sampled_from([5, 30, 200, 400, 3_000])


@settings(max_examples=60, deadline=None)
@given(steps(ANY_LAG), CRASHES, st.integers(0, 10_000))
def test_a_replay_by_the_journal_says_what_the_live_run_said(
    drawn: list[Step], crashes: list[tuple[int, int, bool]], seed: int
) -> None:
    draws = random.Random(seed)
    log = live_run(drawn, crashes, draws)
    replayed = by_the_journal(log, draws)
    live = [record for partition in range(PARTITIONS) for record in log.topics[NAMES.anomalies, partition]]
    assert [each.value for each in replayed.get(NAMES.anomalies, [])] == [each.value for each in live if each.key]
    clean = [record for partition in range(PARTITIONS) for record in log.topics[NAMES.processed, partition]]
    assert clean_of(replayed.get(NAMES.processed, [])) == clean_of(clean)


@settings(max_examples=80, deadline=None)
@given(steps(PROMPT), CRASHES, st.integers(0, 10_000))
def test_without_the_journal_the_log_says_the_same_however_it_is_cut_and_by_however_many(
    drawn: list[Step], crashes: list[tuple[int, int, bool]], seed: int
) -> None:
    draws = random.Random(seed)
    log = live_run(drawn, crashes, draws)
    summaries = [summary_of(log, partition) for partition in range(PARTITIONS)]
    assert [summary.doubts() for summary in summaries] == [[]] * PARTITIONS
    until_ms = max(summary.tick_ms for summary in summaries)
    alone = by_the_log(log, draws, [0], until_ms), by_the_log(log, draws, [1], until_ms)
    together = by_the_log(log, draws, [1, 0], until_ms)
    live = feed_of(log)
    event("a burst was reported" if any(b"rate_limited" in said for tenant in live.values() for said in tenant) else "")
    said = b"".join(value for tenant in live.values() for value in tenant)
    event("a reference was missed" if b"reference_missing" in said else "")
    assert by_tenant([record for outputs in alone for record in outputs.get(NAMES.anomalies, [])]) == live
    assert by_tenant(together.get(NAMES.anomalies, [])) == live


@settings(max_examples=80, deadline=None)
@given(steps(ANY_LAG), CRASHES, st.integers(0, 10_000))
def test_where_it_may_not_say_the_same_the_journal_knows(
    drawn: list[Step], crashes: list[tuple[int, int, bool]], seed: int
) -> None:
    draws = random.Random(seed)
    log = live_run(drawn, crashes, draws)
    live = feed_of(log)
    for partition in range(PARTITIONS):
        summary = summary_of(log, partition)
        event("doubts" if summary.doubts() else "none")
        if not summary.doubts():
            replayed = by_tenant(by_the_log(log, draws, [partition], summary.tick_ms).get(NAMES.anomalies, []))
            assert replayed == {tenant: live[tenant] for tenant in live if tenant % PARTITIONS == partition}


def test_a_row_that_arrives_behind_its_tenants_timer_is_a_doubt() -> None:
    burst = [Step("check_in", 1, 0, 10) for _ in range(5)]
    log = live_run([*burst, Step("check_in", 1, 1_900, 4_000)], [], random.Random(1))
    (doubt,) = summary_of(log, 1).doubts()
    assert doubt.startswith("1 records came late")


def test_a_journal_without_its_beginning_is_a_doubt_and_cannot_be_followed() -> None:
    log = live_run([Step("check_in", 1, 5_000, 10) for _ in range(5)], [], random.Random(1))
    log.delete_before(NAMES.journal, 1, 3)
    assert "begins at micro-batch" in summary_of(log, 1).doubts()[0]
    with pytest.raises(IncompleteLogError, match="micro-batch 1 of partition 1"):
        by_the_journal(log, random.Random(1))


def test_a_topic_without_its_beginning_is_told() -> None:
    log = live_run([Step("check_in", 1, 5_000, 10) for _ in range(5)], [], random.Random(1))
    log.delete_before(NAMES.captured("attendance"), 1, 2)
    with pytest.raises(IncompleteLogError, match="attendance begins at offset 2"):
        by_the_log(log, random.Random(1), [1], START_MS)
    with pytest.raises(IncompleteLogError, match="attendance no longer has the records of micro-batch"):
        by_the_journal(log, random.Random(1))


def test_another_database_behind_the_topics_is_told() -> None:
    log = live_run([Step("check_in", 1, 5_000, 10) for _ in range(5)], [], random.Random(1))
    body = {"op": "r", "before": None, "after": {"id": 1, "tenant_id": 1}, "source": {"ts_us": 0, "lsn": 7, "txId": 1}}
    value = json.dumps(body | {"source": body["source"] | {"sequence": '[null,"7"]'}}).encode()  # type: ignore[operator]
    log.append(NAMES.captured("attendance"), 1, [OutputRecord(b"", value, ())])
    with pytest.raises(UnorderedLogError, match="another database's history"):
        by_the_log(log, random.Random(1), [1], START_MS)


def test_a_record_that_compaction_took_is_told() -> None:
    log = live_run([Step("check_in", 1, 5_000, 10) for _ in range(5)], [], random.Random(1))
    place = NAMES.captured("attendance"), 1
    log.topics[place] = [record for record in log.topics[place] if record.offset != 2]
    with pytest.raises(IncompleteLogError, match="attendance no longer has the records of micro-batch"):
        by_the_journal(log, random.Random(1))
