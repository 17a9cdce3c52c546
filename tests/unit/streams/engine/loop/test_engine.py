"""The engine under Faust's own rebalance: a round that is under way neither holds the group up nor gets lost."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import TopicPartition
from prometheus_client import CollectorRegistry
from support.changed_settings import changed
from support.engine_life import fence, topics_of
from support.memory_log import MemoryAppender, MemoryFetcher, MemoryLog
from support.waiting import let_pass_async, loop_turns, until_async

from common.kafka import aiokafka_config
from common.settings.engine import EngineSettings
from common.settings.kafka import KafkaSettings
from streams.engine.kafka.clients import EngineClients
from streams.engine.kafka.faust_app import faust_app
from streams.engine.log.changelog import Changelog
from streams.engine.loop.engine import Engine
from streams.engine.model import Entry, Fetched, OutputRecord, RawRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.spec import EngineSpec
from streams.engine.takeover.recovery import DamagedLogError
from streams.metrics import WorkerMetrics

TOPICS = topics_of("a", "b")
SETTINGS = changed(
    EngineSettings(), {"micro_batch.interval_ms": 0, "fetch.idle_wait_ms": 1, "changelog.interval_ms": 1}
)
ROWS = 30


def decode(source_index: int, record: RawRecord) -> Entry:
    return Entry(record.offset, record.offset, source_index, record.offset, {}, record)


APPLICATION = EngineSpec(TOPICS, (), decode, str, fence)


class Member:
    """What Faust's revocation asks of its consumer."""

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("a", 0)}

    def stop_flow(self) -> None:
        """It has none."""

    def pause_partitions(self, _places: object) -> None:
        """They are."""

    async def wait_empty(self) -> None:
        """It has handed nothing out."""


class PatientFetcher(MemoryFetcher):
    """Lets the event loop have a turn, as a broker does."""

    async def fetch(self, offsets: Mapping[TopicPartition, int], wait_ms: int) -> dict[TopicPartition, Fetched]:
        await let_pass_async(0.001)
        return await super().fetch(offsets, wait_ms)


class Worker:
    """A Faust application with an engine and an agent, in the group but not connected.

    Faust's own code runs the agent and the revocation; the engine's rounds are run by the test.
    """

    def __init__(self, log: MemoryLog, directory: Path, fetcher_type: type[MemoryFetcher] = MemoryFetcher) -> None:
        draws = random.Random(1)
        fetcher: Any = fetcher_type(log, lambda: 2)
        appender: Any = MemoryAppender(log, None, stores_last=False, draws=draws)
        self.app = faust_app(
            "group", aiokafka_config(KafkaSettings(bootstrap_servers="127.0.0.1:1")), 1, SETTINGS.group, directory
        )
        self.engine = Engine(
            self.app,
            APPLICATION,
            EngineClients(fetcher, appender),
            SETTINGS,
            WorkerMetrics(CollectorRegistry()),
            time.time,
        )

        async def agent(batches: AsyncIterable[MicroBatch]) -> None:
            async for batch in batches:
                with batch:
                    for entry in batch.entries:
                        batch.emit("feed", b"k", b"%d" % entry.offset)

        self.app.agent(self.engine.batches)(agent)
        self.member: Any = Member()

    async def start(self) -> None:
        for agent in self.app.agents.values():
            await agent.start()
        self.app.flow_control.resume()  # as it does once it has an assignment
        self.member._unacked_messages = set()
        self.app.consumer = self.member

    async def stop(self) -> None:
        for agent in self.app.agents.values():
            await agent.stop()

    async def run(self) -> None:
        while True:
            await self.engine._engine_loop.run_once()
            await asyncio.sleep(0)

    async def revoke(self) -> None:
        await self.app._on_partitions_revoked(self.member.assignment())
        assert self.app.crash_reason is None

    async def decide(self) -> None:
        """The group leaves everything as it was."""
        await self.app.on_partitions_assigned.send(self.member.assignment())
        self.app.flow_control.resume()


@pytest.mark.parametrize("steps", range(40))
def test_a_revocation_waits_for_the_round_under_way_and_no_longer(steps: int, tmp_path: Path) -> None:
    """`steps` of the loop after the rounds have begun: while fetching, before, in and after the agent, writing."""
    log = MemoryLog()
    for _ in range(ROWS):
        log.append("a", 0, [OutputRecord(b"k", b"v", ())])

    async def run(worker: Worker) -> None:
        await worker.decide()
        running = asyncio.create_task(worker.run())
        await loop_turns(steps)
        await asyncio.wait_for(worker.revoke(), 5.0)  # a session lasts six
        written = len(log.topics["feed", 0])
        await loop_turns(50)
        assert len(log.topics["feed", 0]) == written, "the next owner may have its fence there by now"
        await worker.decide()
        await loop_turns(1_000)
        running.cancel()

    async def with_worker() -> None:
        worker = Worker(log, tmp_path)
        await worker.start()
        try:
            await run(worker)
        finally:
            await worker.stop()

    asyncio.run(with_worker())
    said = [json.loads(record.value or b"") for record in log.topics["feed", 0] if record.key is not None]
    assert said == list(range(ROWS))


def test_as_a_service_it_runs_rounds_by_itself_and_leaves_its_state_written(tmp_path: Path) -> None:
    log = MemoryLog()
    log.append("a", 0, [OutputRecord(b"k", b"v", ())] * ROWS)

    async def run() -> None:
        worker = Worker(log, tmp_path, PatientFetcher)
        await worker.start()
        await worker.engine.start()
        await worker.decide()
        await until_async(lambda: len(log.topics["feed", 0]) > ROWS, "every row is processed")
        assert worker.engine.ready
        worker.engine.update_gauges()
        await worker.engine.stop()
        await worker.stop()
        assert worker.engine.failure is None

    asyncio.run(run())
    changelog = Changelog()
    changelog.take_in(log.topics["state", 0])
    assert changelog.position.offsets["a"] == ROWS


def test_a_failed_round_ends_the_engine_and_says_why(tmp_path: Path) -> None:
    log = MemoryLog()
    log.append("state", 0, [OutputRecord(b"count:1", b"\x92\x01\x07", ())])

    async def run() -> None:
        worker = Worker(log, tmp_path, PatientFetcher)
        await worker.start()
        await worker.engine.start()
        await worker.decide()
        await until_async(lambda: worker.engine.failure, "the engine has failed")
        assert isinstance(worker.engine.failure, DamagedLogError)
        assert not worker.engine.ready
        await worker.engine.stop()
        await worker.stop()

    asyncio.run(run())
