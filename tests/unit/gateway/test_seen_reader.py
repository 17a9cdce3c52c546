"""The tail of `noc.receipts`: marks of other gateways are taken, from far enough back, whatever else is there."""

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from support.waiting import let_pass_async, until_async

from common.settings.gateway import CriticalSettings, GatewaySettings
from common.settings.kafka import KafkaSettings
from contracts.receipts import ReceiptBatch, Run, SeenMark, encode_receipts, receipt_headers
from gateway.delivery import seen_reader as module
from gateway.delivery.seen_reader import SeenReader

PARTITIONS = [TopicPartition("noc.receipts", number) for number in range(2)]


class Log:
    """Records of each partition with their times; `fails` makes the next fetch fail."""

    def __init__(self) -> None:
        self.records: dict[TopicPartition, list[Any]] = {partition: [] for partition in PARTITIONS}
        self.fails = False
        self.opened = 0

    def append(self, number: int, batch: ReceiptBatch | bytes, at: float | None = None) -> None:
        raw = batch if isinstance(batch, bytes) else encode_receipts(batch)
        headers = [("holds", b"seen")] if isinstance(batch, bytes) else receipt_headers(batch)
        records = self.records[PARTITIONS[number]]
        at_ms = int((time.time() if at is None else at) * 1000)
        records.append(SimpleNamespace(offset=len(records), value=raw, headers=tuple(headers), timestamp=at_ms))


class Consumer:
    def __init__(self, log: Log) -> None:
        self._log = log
        self._next: dict[TopicPartition, int] = {}
        log.opened += 1

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert partitions == PARTITIONS

    def assignment(self) -> list[TopicPartition]:
        return PARTITIONS

    def last_poll_timestamp(self, _partition: TopicPartition) -> int:
        return int(time.time() * 1000)

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        found = {}
        for partition, at_ms in times.items():
            late = [record for record in self._log.records[partition] if record.timestamp >= at_ms]
            found[partition] = SimpleNamespace(offset=late[0].offset) if late else None
        return found

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: len(self._log.records[partition]) for partition in partitions}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._next[partition] = offset

    async def getmany(self, **_: Any) -> dict[TopicPartition, list[Any]]:
        await let_pass_async(0.001)
        if self._log.fails:
            self._log.fails = False
            raise KafkaConnectionError("away")
        found = {partition: self._log.records[partition][offset:] for partition, offset in self._next.items()}
        for partition, records in found.items():
            self._next[partition] += len(records)
        return {partition: records for partition, records in found.items() if records}


def marks(user: str, gateway: str = "there") -> ReceiptBatch:
    seen = [SeenMark(user=user, id="x", at="t")]
    return ReceiptBatch(tenant_id=1, gateway=gateway, at="t", epoch="e", seen=seen)


def read(log: Log, story: Callable[[list[str]], Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    heard: list[str] = []
    monkeypatch.setattr(module, "AIOKafkaConsumer", lambda **_: Consumer(log))
    monkeypatch.setattr(module, "partitions_of", lambda *_: {"noc.receipts": PARTITIONS})
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    limits = GatewaySettings(critical=CriticalSettings(unseen_s=10, notices_max=3))
    reader = SeenReader(KafkaSettings(), limits, "here", lambda batch: heard.append(batch.seen[0].user))

    async def run() -> None:
        running = asyncio.create_task(reader.run())
        async with asyncio.timeout(5):
            await story(heard)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())
    return heard


async def until(heard: list[str], last: str) -> None:
    await until_async(lambda: last in heard, f"{last} is heard", within_s=5)


def test_marks_of_the_watched_time_and_new_ones_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.append(0, marks("too old"), time.time() - 60)
    log.append(0, marks("old"), time.time() - 35)
    log.append(1, marks("ours", gateway="here"))
    log.append(1, ReceiptBatch(tenant_id=1, gateway="there", at="t", epoch="e", runs=[Run(1, 1, 1)]))
    log.append(1, b"not a record")

    async def story(heard: list[str]) -> None:
        await until(heard, "old")
        log.append(1, marks("new"))
        await until(heard, "new")

    assert read(log, story, monkeypatch) == ["old", "new"]


def test_after_a_failure_it_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()

    async def story(heard: list[str]) -> None:
        log.append(0, marks("first"))
        await until(heard, "first")
        log.fails = True
        log.append(0, marks("second"))
        await until(heard, "second")

    heard = read(log, story, monkeypatch)
    assert heard[0] == "first"
    assert heard[-1] == "second"
    assert log.opened == 2
