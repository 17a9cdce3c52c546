"""RecordBatches are filled by estimated lengths, and a wrong estimate loses nothing."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.kafka.appender import Appender, BatchTooLargeError, PendingAppend
from streams.engine.model import OutputRecord

CAPACITY = 6


class Builder:
    """Takes so many records, whatever their size; the first one always, as aiokafka's does."""

    def __init__(self) -> None:
        self.keys: list[Any] = []

    def append(self, *, key: Any, **_: Any) -> object | None:
        if self.keys and len(self.keys) >= CAPACITY:
            return None
        self.keys.append(key)
        return object()


class RecordingAppender(Appender):
    """Keeps the batches that it is to send."""

    def __init__(self, batch_bytes_max: int) -> None:
        super().__init__(batch_bytes_max=batch_bytes_max, state_batch_bytes_max=CAPACITY)
        self.sent: list[list[Any]] = []

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """The same."""

    def _new_batch(self) -> Builder:
        return Builder()

    async def _send(self, builder: Builder, topic: str, _partition: int) -> PendingAppend:
        self.sent.append(builder.keys)
        return PendingAppend(topic, len(builder.keys), asyncio.get_running_loop().create_future())


@given(sizes=st.lists(st.integers(0, 400), max_size=40), bytes_max=st.integers(1, 3_000))
def test_every_record_is_sent_once_and_in_order(sizes: list[int], bytes_max: int) -> None:
    records = [OutputRecord(b"%d" % number, b"." * size, ()) for number, size in enumerate(sizes)]
    by = RecordingAppender(bytes_max)
    pending = asyncio.run(by.append("t", 0, records))
    assert [key for keys in by.sent for key in keys] == [record.key for record in records]
    assert [each.count for each in pending] == [len(keys) for keys in by.sent]
    assert all(by.sent), "no batch is empty"


def test_what_must_be_whole_is_never_split() -> None:
    by = RecordingAppender(10_000)
    pairs = [(b"%d" % number, b"v") for number in range(CAPACITY + 1)]
    with pytest.raises(BatchTooLargeError):
        asyncio.run(by.append_whole("t", 0, pairs, generation=1))
    assert by.sent == []
    assert asyncio.run(by.append_whole("t", 0, pairs[1:], generation=1)).count == CAPACITY
