"""Inputs without an LSN: they are the first entries of the next micro-batch, and the journal says of which."""

import asyncio
import contextlib
import json
import random
from collections.abc import Mapping
from typing import Any

from aiokafka.structs import TopicPartition
from hypothesis import event, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from support import engine_life
from support.changed_settings import changed
from support.changes import Record
from support.memory_log import CrashError, MemoryAppender, MemoryFetcher, MemoryLog, TransactionalMemoryAppender

from common.settings.engine import EngineSettings
from streams.engine.formats import JournalEntry
from streams.engine.kafka.clients import EngineClients
from streams.engine.loop.loop import EngineLoop
from streams.engine.metrics import EngineMetrics
from streams.engine.model import Entry, Fetched, OutputRecord, RawRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineSpec, EngineTopics, SourceTopic
from streams.engine.state.partition_state import PartitionState, TableSpec
from streams.replay.by_journal import replay
from streams.replay.by_log import replay_log
from streams.replay.journal import summarize

COMMANDS = "commands"
TOPICS = EngineTopics(
    sources=(SourceTopic("rows", "a"), SourceTopic("orders", COMMANDS, "arrival"), SourceTopic("more rows", "b")),
    outputs={"feed": "feed", "clean": "clean"},
    fenced_output="feed",
    journal="journal",
    state="state",
)
PARTITIONS = 2
SETTINGS = changed(
    EngineSettings(),
    {
        "micro_batch.interval_ms": 0,
        "fetch.idle_wait_ms": 1,
        "merge.wait_ms_max": 60_000,
        "merge.second_look_after_ms": 0,
    },
)


def decode(source_index: int, record: RawRecord) -> Entry:
    body = json.loads(record.value or b"")
    lsn = body.get("lsn", 0)
    return Entry(lsn, lsn, source_index, record.offset, body, record)


async def process(batch: MicroBatch) -> None:
    """A command sets its tenant's mode, a row is reported under the mode that holds: any other order says other words."""
    table = batch.state["mode"]
    for entry in batch.entries:
        tenant = entry.change["tenant"]
        assert tenant % PARTITIONS == batch.partition, "a tenant stays in its partition"
        mode, seq = table.get(tenant) or (0, 0)
        if "mode" in entry.change:
            mode = entry.change["mode"]
        said = json.dumps([tenant, seq + 1, mode, entry.change.get("lsn")]).encode()
        batch.emit("feed" if mode % 2 else "clean", b"%d" % tenant, said)
        table.put(tenant, (mode, seq + 1))


SPEC = EngineSpec(
    TOPICS,
    (TableSpec("mode", int, tuple[int, int]),),
    decode,
    lambda entry: str(entry.change["lsn"]),
    engine_life.fence,
)


class Life(engine_life.Life):
    """One process that owns every partition, while rows and commands are written between its rounds."""

    def __init__(self, log: MemoryLog, inputs: "Inputs", draws: random.Random, lives: int | None, **how: bool) -> None:
        self._inputs, self._draws = inputs, draws
        appender = TransactionalMemoryAppender if how["transactions"] else MemoryAppender
        self.loop = EngineLoop(
            SPEC,
            process,
            EngineClients(
                MemoryFetcher(log, lambda: draws.randrange(0, 5)),  # type: ignore[arg-type]
                appender(log, lives, stores_last=how["stores_last"], draws=draws, splits=True),  # type: ignore[arg-type]
            ),
            changed(
                SETTINGS,
                {
                    "changelog.interval_ms": draws.choice([1, 30, 1_000]),
                    "micro_batch.large_records": draws.choice([1, 1_000]),
                },
            ),
            EngineMetrics(CollectorRegistry()),
            self._clock,
        )

    async def run(self, rounds: int) -> None:
        self.loop.ownership.assign(set(range(PARTITIONS)))
        for _ in range(rounds):
            self._inputs.write(self._draws.choice([0, 0, 1, 3]))
            await self.loop.run_once()
        await self.loop.close()

    @property
    def done(self) -> bool:
        return not self._inputs.left and all(each.caught_up for each in self.loop.ownership.partitions.values())


class Inputs:
    """What is still to be written: (topic, tenant), in the order in which it comes."""

    def __init__(self, log: MemoryLog, drawn: list[tuple[str, int]]) -> None:
        self._log = log
        self.left = list(enumerate(drawn, start=1))

    def write(self, count: int) -> None:
        for number, (topic, tenant) in self.left[:count]:
            body = {"tenant": tenant} | ({"mode": number} if topic == COMMANDS else {"lsn": number})
            self._log.append(topic, tenant % PARTITIONS, [OutputRecord(b"k", json.dumps(body).encode(), ())])
        del self.left[:count]


def said(log: MemoryLog, topic: str, partition: int) -> list[bytes]:
    return [record.value or b"" for record in log.topics[topic, partition] if record.key is not None]


async def replayed(log: MemoryLog, draws: random.Random, partition: int) -> tuple[dict[str, list[bytes]], Any]:
    outputs: dict[str, list[bytes]] = {"feed": [], "clean": []}
    table: Any = {}
    fetcher: Any = MemoryFetcher(log, lambda: draws.randrange(0, 6))
    async for done, batch in replay(SPEC, fetcher, partition, process):
        table = done.state["mode"].data
        for topic, records in batch.outputs.items():
            outputs[topic] += [record.value or b"" for record in records]
    return outputs, table


@settings(max_examples=200, deadline=None)
@given(
    drawn=st.lists(st.tuples(st.sampled_from(["a", "b", COMMANDS]), st.integers(0, 3)), max_size=60),
    crashes=st.lists(st.tuples(st.integers(0, 25), st.booleans(), st.booleans()), max_size=6),
    seed=st.integers(0, 10_000),
)
def test_whatever_dies_the_journal_says_where_commands_were_processed(
    drawn: list[tuple[str, int]], crashes: list[tuple[int, bool, bool]], seed: int
) -> None:
    log, draws = MemoryLog(), random.Random(seed)
    inputs = Inputs(log, drawn)
    for lives, stores_last, transactions in crashes:
        each = Life(log, inputs, draws, lives, stores_last=stores_last, transactions=transactions)
        with contextlib.suppress(CrashError):
            asyncio.run(each.run(rounds=draws.randrange(1, 30)))
    last = Life(log, inputs, draws, None, stores_last=False, transactions=False)
    asyncio.run(last.run(rounds=400))
    assert last.done
    commands = sum(topic == COMMANDS for topic, _ in drawn)
    event("commands in between" if 0 < commands < len(drawn) else "")
    modes, lsns = [], []
    for partition in range(PARTITIONS):
        outputs, table = asyncio.run(replayed(log, draws, partition))
        for topic in ("feed", "clean"):
            assert said(log, topic, partition) == outputs[topic]
        assert last.loop.ownership.partitions[partition].state["mode"].data == table
        bodies = [json.loads(value) for topic in ("feed", "clean") for value in outputs[topic]]
        modes += [mode for _, _, mode, lsn in bodies if lsn is None]
        lsns += [lsn for _, _, _, lsn in bodies if lsn is not None]
        for tenant in {body[0] for body in bodies}:
            mine = sorted((body for body in bodies if body[0] == tenant), key=lambda body: body[1])
            assert [body[1] for body in mine] == list(range(1, len(mine) + 1)), "no entry twice, none left out"
            for kind in (True, False):
                order = [body[2] if kind else body[3] for body in mine if (body[3] is None) is kind]
                assert order == sorted(order), "commands in the order of their topic, rows in commit order"
    assert sorted([*modes, *lsns]) == list(range(1, len(drawn) + 1))


@settings(max_examples=50, deadline=None)
@given(drawn=st.lists(st.tuples(st.sampled_from(["a", "b", COMMANDS]), st.integers(0, 1)), max_size=30))
def test_without_the_journal_nobody_claims_to_know_where_commands_were_processed(drawn: list[tuple[str, int]]) -> None:
    log, draws = MemoryLog(), random.Random(1)
    asyncio.run(
        Life(log, Inputs(log, drawn), draws, None, stores_last=False, transactions=False).run(rounds=3 * len(drawn) + 9)
    )
    fetcher: Any = MemoryFetcher(log, lambda: 7)

    async def alone(partition: int) -> list[bytes]:
        by_log = replay_log(SPEC, fetcher, partition, process, until_ms=0)
        return [record.value or b"" async for _, batch in by_log for record in batch.outputs.get("clean", [])]

    for partition in range(PARTITIONS):
        summary = asyncio.run(summarize(SPEC, fetcher, partition))
        commands = sum(topic == COMMANDS and tenant == partition for topic, tenant in drawn)
        assert summary.arrived == commands
        assert [f"{commands} records have no LSN" in doubt for doubt in summary.doubts()] == [True] * bool(commands)
        rows = sum(topic != COMMANDS and tenant == partition for topic, tenant in drawn)
        assert len(asyncio.run(alone(partition))) == rows, "commands are left out"


def test_no_topic_waits_for_commands_that_do_not_come() -> None:
    class Silent(MemoryFetcher):
        """A broker that has commands and never returns one."""

        async def fetch(self, offsets: Mapping[TopicPartition, int], wait_ms: int) -> dict[TopicPartition, Fetched]:
            answer = await super().fetch(offsets, wait_ms)
            stuck = {place: Fetched([], 0, 9, 0) for place in offsets if place.topic == COMMANDS}
            return answer | stuck

    log, draws = MemoryLog(), random.Random(1)
    inputs = Inputs(log, [("a", 0), ("b", 0), ("a", 1), ("b", 1)])
    inputs.write(4)
    one = Life(log, inputs, draws, None, stores_last=False, transactions=False)
    clients = EngineClients(Silent(log, lambda: 5), MemoryAppender(log, None, stores_last=False, draws=draws))  # type: ignore[arg-type]
    one.loop = EngineLoop(SPEC, process, clients, SETTINGS, EngineMetrics(CollectorRegistry()), one._clock)
    asyncio.run(one.run(rounds=3))
    assert [len(said(log, "clean", partition)) for partition in range(PARTITIONS)] == [2, 2]


def entry(source_index: int, offset: int, lsn: int = 0) -> Entry:
    return Entry(
        lsn, lsn, source_index, offset, f"{TOPICS.sources[source_index].name} {offset}", Record(offset, 70 + lsn)
    )


def partition() -> Partition:
    made = Partition(0, TOPICS.sources, PartitionState(()), lambda each: str(each.change))
    made.wake_at_ms = None
    return made


def test_commands_come_first_in_a_micro_batch_and_the_journal_has_their_span() -> None:
    of = partition()
    of.add(0, [entry(0, 0, 5)], 1, 1, 1)
    of.add(1, [entry(1, 0), entry(1, 1)], 2, 2, 1)
    of.add(2, [entry(2, 0, 3)], 1, 1, 1)
    batch = of.next_batch(wait=True)
    assert batch is not None
    assert [each.change for each in batch.entries] == ["orders 0", "orders 1", "more rows 0", "rows 0"]
    assert batch.spans == {"a": (0, 1), COMMANDS: (0, 2), "b": (0, 1)}
    assert of.newest_ms == 75, "of the last row: commands say nothing about how far the rows have come"


def test_a_command_does_not_wait_for_topics_that_lag() -> None:
    of = partition()
    of.add(0, [entry(0, 0, 5)], 1, 1, 1)
    of.add(1, [entry(1, 0)], 1, 1, 1)
    of.add(2, [], 0, 4, 0)
    batch = of.next_batch(wait=True)
    assert batch is not None
    assert batch.spans == {COMMANDS: (0, 1)}
    assert of.next_batch(wait=True) is None


def test_a_journalled_micro_batch_has_its_commands_first_again() -> None:
    of = partition()
    of.replay.append(JournalEntry(1, 1, {"a": (0, 1), COMMANDS: (0, 1)}))
    of.add(0, [entry(0, 0, 5), entry(0, 1, 6)], 2, 2, 1)
    assert of.next_batch(wait=True) is None, "the command was not fetched yet"
    of.add(1, [entry(1, 0), entry(1, 1)], 2, 2, 1)
    of.add(2, [], 0, 0, 0)
    batches = [of.next_batch(wait=True), of.next_batch(wait=True)]
    assert [[each.change for each in batch.entries] for batch in batches if batch] == [
        ["orders 0", "rows 0"],
        ["orders 1", "rows 1"],
    ]


def test_a_tick_waits_until_the_commands_before_it_are_there() -> None:
    """Whoever has acknowledged before the time of an escalation is not escalated."""
    of = partition()
    of.wake_at_ms = 1_000
    for source_index in range(3):
        of.add(source_index, [], 0, 0, 0, asked_ms=100 if source_index == 1 else 9_000)
    assert of.next_batch(wait=True) is None
    of.add(1, [entry(1, 0)], 1, 1, 1, asked_ms=9_000)
    batch = of.next_batch(wait=True)
    assert batch is not None
    assert (len(batch.entries), batch.tick_ms) == (1, 9_000)
