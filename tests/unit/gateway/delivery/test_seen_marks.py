"""Marks of other gateways are taken, from far enough back, whatever else is there."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs
from support.fake_kafka import FakeCluster, until

from common.settings.gateway import CriticalSettings, ReaderSettings
from contracts.receipts import ReceiptBatch, Run, SeenMark, encode_receipts, receipt_headers
from contracts.topics import TopicNames
from gateway.delivery.seen_marks import SeenMarks
from gateway.kafka import log_reader
from gateway.kafka.log_reader import LogReader

TOPIC = "noc.receipts"
CRITICAL = CriticalSettings(unseen_s=10, notices_max=3)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "RETRY_S", 0.01)
    monkeypatch.setattr(log_reader, "MISSING_RETRY_S", 0.01)


def append(cluster: FakeCluster, batch: ReceiptBatch | bytes, *, partition: int = 0, ago_s: float = 0.0) -> None:
    value = batch if isinstance(batch, bytes) else encode_receipts(batch)
    headers = [("holds", b"seen")] if isinstance(batch, bytes) else receipt_headers(batch)
    cluster.append(TOPIC, value, partition=partition, headers=headers, at=time.time() - ago_s)


def marks(user: str, gateway: str = "there") -> ReceiptBatch:
    seen = [SeenMark(user=user, id="x", at="t")]
    return ReceiptBatch(tenant_id=1, gateway=gateway, at="t", epoch="e", seen=seen)


def read(cluster: FakeCluster, story: Callable[[list[str]], Awaitable[None]]) -> list[str]:
    """The users whose marks were taken."""
    users: list[str] = []
    handler = SeenMarks(TopicNames(), CRITICAL, 1.0, "here", lambda batch: users.append(batch.seen[0].user))

    async def run() -> None:
        running = asyncio.create_task(LogReader(cluster, ReaderSettings(), handler).run())
        await story(users)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())
    return users


def test_marks_of_the_watched_time_and_new_ones_are_taken() -> None:
    async def story(users: list[str]) -> None:
        await until(lambda: "old" in users)
        append(cluster, marks("new"))
        await until(lambda: "new" in users)

    cluster = FakeCluster(**{TOPIC: 2})
    append(cluster, marks("too old"), ago_s=60)
    append(cluster, marks("old"), ago_s=35)
    append(cluster, marks("ours", gateway="here"), partition=1)
    append(cluster, ReceiptBatch(tenant_id=1, gateway="there", at="t", epoch="e", runs=[Run(1, 1, 1)]), partition=1)
    append(cluster, b"not a record", partition=1)
    assert read(cluster, story) == ["old", "new"]


def test_after_a_failure_the_same_is_read_again_and_the_failure_is_logged_once() -> None:
    async def story(users: list[str]) -> None:
        append(cluster, marks("first"))
        await until(lambda: "first" in users)
        cluster.answers = False
        cluster.failures.append(KafkaConnectionError("away"))
        await until(lambda: cluster.consumers > 3)
        cluster.answers = True
        append(cluster, marks("second"))
        await until(lambda: "second" in users)

    cluster = FakeCluster(**{TOPIC: 1})
    with capture_logs() as logs:
        assert read(cluster, story) == ["first", "first", "second"]
    assert [line["error"] for line in logs if line["log_level"] == "warning"] == ["KafkaConnectionError"]


def test_a_missing_topic_is_logged() -> None:
    async def story(_users: list[str]) -> None:
        await until(lambda: cluster.consumers > 1)

    cluster = FakeCluster()
    with capture_logs() as logs:
        read(cluster, story)
    assert {(line["log_level"], line["topic"]) for line in logs} == {("warning", TOPIC)}
