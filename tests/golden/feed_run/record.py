"""Records the run that `tests/unit/streams/test_golden_run.py` replays. Run it only when behaviour changes on purpose.

    PYTHONPATH=tests ./run python tests/golden/feed_run/record.py

It plays companies over four partitions through the real engine on an in-memory log, checks that the replays say the
same as the engine wrote, and writes `run.msgpack.xz` and `digests.json` beside this file. Read the difference of
`digests.json` before you commit it: what changed there is what changes for the readers of the feed. A change that is
meant to leave the feed as it is must not need this script.

Partitions 0 and 1 have two weeks of a labelled scenario, thinned, and the scenes of `scenes.py`; 2 and 3 a few minutes of
the company that `support.played_company` plays. In 1 and 3 records come late. Workers are killed now and then. The same
code gives the same files.
"""

import asyncio
import contextlib
import random
import sys
from typing import Any

from sources import LATE, LifeSource, PlayedSource
from support import golden_run
from support.golden_replays import Replays, promised, said_of, state_of, written
from support.golden_run import Place, Said
from support.memory_log import CrashError, MemoryAppender, MemoryFetcher, MemoryLog

from common.logs import configure_logs
from contracts.topics import CAPTURED_TABLES, TopicNames

EPOCH, CLOCK_S = "golden", 1_774_000_000.0
WORKER: dict[str, Any] = {
    "rate_limit.max_events_per_second": 4,
    "rate_limit.burst_report_interval_s": 4,
    "references.wait_ms": 1_500,
    "references.waiting_events_per_tenant_max": 5,
    "references.report_interval_s": 60,
    "timers.snapshot_settle_ms": 300,
    "timers.per_tick_max": 7,
    "state.entities_per_tenant_max": 24,
    "state.use_interval_s": 3_600,
    "feed.processed_events_max": 25,
    "feed.record_bytes_max": 4_000,
    "feed.dead_letter_bytes_max": 12_000,
    "policies": {"phone_events": {"weeks_min": 1}, "unusual_completion_time": {"jobs_min": 12}},
    "micro_batch.interval_ms": 0,
    "changelog.interval_ms": 1,
    "merge.wait_ms_max": 864_000_000,
}
"""The limits are low so that a short run meets all of them."""
NAMES = TopicNames()
SOURCES = tuple(NAMES.captured(table) for table in CAPTURED_TABLES)
OUTPUTS = (NAMES.anomalies, NAMES.processed, NAMES.dead_letters)
PARTITIONS = (0, 1, 2, 3)
KILLED_AFTER = {LifeSource: (700, 900, 1_500), PlayedSource: (20, 60, 200)}
"""Writes that the workers live; another one follows and ends in peace."""


def main() -> int:
    """Play, check and save; the exit code."""
    configure_logs("error", process="record")
    replays, log = Replays(EPOCH, CLOCK_S, WORKER), MemoryLog()
    for kind, lives in KILLED_AFTER.items():
        play(replays, log, kind, lives)
    outputs = {(topic, each): said_of(written(log, (topic, each))) for topic in OUTPUTS for each in PARTITIONS}
    places = [(topic, each) for topic in (*SOURCES, NAMES.journal) for each in PARTITIONS]
    recording = golden_run.Recording(
        [golden_run.stored_place(log, *place) for place in places if log.topics[place]],
        [golden_run.marks_of(place, said) for place, said in outputs.items()],
    )
    problems = check(replays, recording, outputs)
    for problem in problems:
        print(f"a replay says something else than the engine wrote: {problem}", file=sys.stderr)
    if problems:
        return 1
    digests = digests_of(replays, recording, outputs)
    print(f"{golden_run.save(recording, digests):,} bytes")
    return 0


def play(replays: Replays, log: MemoryLog, kind: Any, lives: tuple[int, ...]) -> None:
    """Have workers live through a source, one after the other."""
    draws = random.Random(kind.seed)
    source = kind(log, draws)
    now_ms: int = source.start_ms
    for each in (*lives, None):
        worker = Worker(replays, log, source, draws, now_ms)
        with contextlib.suppress(CrashError):
            asyncio.run(worker.run(each))
        now_ms = worker.now_ms + 400


class Worker:
    """One worker process on a clock of its own, which goes on where the one before stood."""

    def __init__(self, replays: Replays, log: MemoryLog, source: Any, draws: random.Random, now_ms: int) -> None:
        self.now_ms = now_ms
        self._replays, self._log, self._source, self._draws = replays, log, source, draws

    async def run(self, lives: int | None) -> None:
        """Work until everything is said, or for so many writes."""
        draws = self._draws
        pieces: Any = MemoryFetcher(self._log, lambda: draws.choice((0, 1, 3, 20, 400)))
        pieces.read_records = 1_000
        appender = MemoryAppender(self._log, lives, stores_last=draws.random() < 0.5, draws=draws)
        cycle = self._replays.cycle(pieces, appender, lambda: self.now_ms / 1e3)
        cycle.ownership.assign(set(self._source.partitions))
        while (next_ms := self._next_ms(cycle)) is not None:
            self.now_ms = max(self.now_ms + 1, next_ms)
            self._source.until(self.now_ms)
            for _ in range(draws.randint(1, 6)):
                self.now_ms += draws.choice((0, 1, 5))
                await cycle.run_once()
        while not all(self._is_idle(each) for each in cycle.ownership.partitions.values()):
            await cycle.run_once()
        await cycle.close()

    def _is_idle(self, partition: Any) -> bool:
        wake_ms = partition.wake_at_ms
        due = wake_ms is not None and wake_ms + self._replays.settings.worker.tick.grace_ms <= self.now_ms
        return bool(partition.caught_up) and not due

    def _next_ms(self, cycle: Any) -> int | None:
        """When to look again: when records come, or sooner where a tick is wanted; None at the end."""
        next_ms: int | None = self._source.next_ms()
        wakes = [each.wake_at_ms for each in cycle.ownership.partitions.values() if each.wake_at_ms is not None]
        if next_ms is None or not wakes or self._draws.random() < 0.3:
            return next_ms
        return min(next_ms, min(wakes) + self._replays.settings.worker.tick.grace_ms + self._draws.randrange(1_500))


def check(replays: Replays, recording: golden_run.Recording, outputs: dict[Place, list[Said]]) -> list[str]:
    """What is wrong with the replays of the run that was just recorded; nothing may be."""
    problems = []
    for partition in PARTITIONS:
        by_journal, _ = replays.by_the_journal(recording.log(), partition)
        problems += [
            golden_run.difference(recording.marks((topic, partition)), by_journal.get((topic, partition), []))
            for topic in OUTPUTS
        ]
        if partition not in LATE:
            by_log = replays.by_the_log(recording.log(), partition)
            live = {place: said for place, said in outputs.items() if place[1] == partition}
            if promised(by_log) != promised(live):
                problems.append(f"partition {partition} without the journal")
    return [problem for problem in problems if problem]


def digests_of(replays: Replays, recording: golden_run.Recording, outputs: dict[Place, list[Said]]) -> dict[str, Any]:
    """What a person can read of the run, and the digests that the test compares."""
    recovered = recording.log()
    replays.by_a_worker(recovered, list(PARTITIONS))
    prompt = {place: said for place, said in outputs.items() if place[1] not in LATE}
    return {
        "about": "What the recorded run covers; made by record.py beside this file, read by test_golden_run.py.",
        "epoch": EPOCH,
        "clock_s": CLOCK_S,
        "worker": WORKER,
        "covers": golden_run.counts_of(each for said in outputs.values() for each in said),
        "inputs": golden_run.by_topic({(each.topic, each.partition): len(each.values) for each in recording.inputs}),
        "micro_batches": {str(each): replays.by_the_journal(recording.log(), each)[1] for each in PARTITIONS},
        "by_the_journal": golden_run.by_topic(
            {place: golden_run.counted_digest(said) for place, said in outputs.items()}
        ),
        "without_the_journal": promised(prompt),
        "written_by_a_recovered_worker": golden_run.by_topic(
            {place: golden_run.counted_digest(written(recovered, place)) for place in outputs}
        ),
        "state_topic": NAMES.state,
        "state_of_a_recovered_worker": {str(each): state_of(recovered, NAMES.state, each) for each in PARTITIONS},
    }


if __name__ == "__main__":
    raise SystemExit(main())
