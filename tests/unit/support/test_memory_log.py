"""The in-memory log behaves as the broker does, as far as the engine relies on it."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.log_contract import BATCH_BYTES, PARTITIONS, SMALL_BYTES_MAX, LogContract
from support.memory_log import MemoryAppender, MemoryFetcher, MemoryLog, TransactionalMemoryAppender

from streams.engine.model import OutputRecord


class MemoryClients:
    """Clients of a new in-memory log."""

    def __init__(self) -> None:
        self._log = MemoryLog(bytes_max={"small": SMALL_BYTES_MAX})
        for name in ("plain", "other", "small"):
            for partition in range(PARTITIONS):
                self._log.append(name, partition, [])
        self.fetcher: Any = MemoryFetcher(self._log, lambda: 100)

    def topic(self, name: str) -> str:
        return name

    async def appender(self, *, transactions: bool = False) -> Any:
        kind = TransactionalMemoryAppender if transactions else MemoryAppender
        return kind(self._log, None, stores_last=False, draws=random.Random(1), batch_bytes_max=BATCH_BYTES)

    async def leave_open(self, _appender: Any, topic: str, records: Sequence[OutputRecord]) -> None:
        self._log.leave_open(topic, 0, len(records))

    async def delete_before(self, topic: str, partition: int, offset: int) -> None:
        self._log.delete_before(topic, partition, offset)


class InMemory:
    """Needs no connection."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[MemoryClients]:
        yield MemoryClients()


class TestMemoryLog(LogContract):
    @pytest.fixture
    def log(self) -> InMemory:
        return InMemory()
