"""The fold of the tenants' limits, and its reader on a consumer made of values."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from support.waiting import let_pass_async, until_async
from unit.gateway.gateway_values import AUTH

from common.settings.load import Settings
from common.settings.source import SourceSettings, TableMapping
from contracts.envelope import ChangeDecoder
from gateway.kafka import topic_view as module
from gateway.metrics import GatewayMetrics
from gateway.views.tenant_limits import LimitsReader, TenantLimits

GOLDEN = Path(__file__).parents[2] / "golden"
PARTITIONS = [TopicPartition("noc.public.tenant", number) for number in range(2)]
SETTINGS = Settings(auth=AUTH)
SOON_S = 5.0


def change(
    tenant: int, limit: int | None, op: str = "u", lsn: int = 10, column: str = "max_events_per_second"
) -> bytes:
    row = {"id": tenant, "name": f"Tenant {tenant}", column: limit}
    gone = op == "d"
    source = {"ts_us": 1, "lsn": lsn, "sequence": f'["{lsn}","{lsn}"]'}
    return json.dumps(
        {"op": op, "before": row if gone else None, "after": None if gone else row, "source": source}
    ).encode()


def fold(*values: bytes | None, columns: dict[str, str] | None = None) -> tuple[TenantLimits, GatewayMetrics]:
    metrics = GatewayMetrics()
    limits = TenantLimits(ChangeDecoder({"tenant": columns} if columns else None), 100, metrics)
    for value in values:
        limits.take(value)
    return limits, metrics


def test_what_debezium_writes_is_understood() -> None:
    golden = json.loads((GOLDEN / "insert_tenant.json").read_text("utf-8"))
    limits, _ = fold(json.dumps(golden["value"]).encode())
    assert (limits.of(8), limits.of(9)) == (250, 100)


def test_the_newest_change_of_the_log_decides() -> None:
    limits, metrics = fold(
        change(1, 5, "c"),
        change(1, 7),
        change(2, 9, "r"),
        change(2, None),
        change(3, 4, "c"),
        change(3, 4, "d"),
        None,
        change(4, 6, lsn=900),
        change(4, 8, lsn=3),  # another database behind the topic
        change(5, 0),
    )
    assert [limits.of(tenant) for tenant in range(1, 6)] == [7, 100, 100, 8, 0]
    assert metrics.registry.get_sample_value("watchfloor_gateway_tenant_changes_unreadable_total") == 0


def test_a_customer_s_own_column_name_is_read() -> None:
    limits, _ = fold(change(1, 5, column="event_cap"), columns={"max_events_per_second": "event_cap"})
    assert limits.of(1) == 5


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not json",
        b"{}",
        b'{"op":"c"}',
        change(1, 5).replace(b'"id": 1', b'"id": "1"'),
        change(1, "many"),  # type: ignore[arg-type]
        change(1, 5).replace(b'"[\\"10', b'"[\\"x'),
        change(1, 5).replace(b'"[\\"10\\",\\"10\\"]"', b'"["'),
    ],
)
def test_a_malformed_change_is_counted_and_changes_nothing(value: bytes) -> None:
    limits, metrics = fold(change(1, 5), value)
    assert limits.of(1) == 5
    assert metrics.registry.get_sample_value("watchfloor_gateway_tenant_changes_unreadable_total") == 1


class Topic:
    """The captured topic, and whether the broker answers."""

    def __init__(self) -> None:
        self.exists = True
        self.first = 0
        self.log: list[bytes] = []
        self.answers = True
        self.consumers = 0


class Consumer:
    """As much of aiokafka's consumer as the reader uses; the records are in the first partition."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._positions: dict[TopicPartition, int] = {}
        topic.consumers += 1

    async def start(self) -> None:
        if not self._topic.answers:
            raise OSError

    async def stop(self) -> None:
        pass

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert partitions == PARTITIONS

    def assignment(self) -> list[TopicPartition]:
        return PARTITIONS

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0) | {PARTITIONS[0]: self._topic.first}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0) | {PARTITIONS[0]: len(self._topic.log)}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    def last_poll_timestamp(self, _partition: TopicPartition) -> int:
        return int(time.time() * 1000)

    async def getmany(self, **_: object) -> dict[TopicPartition, list[Any]]:
        await let_pass_async(0.01)
        if not self._topic.answers:
            return {}
        at = self._positions[PARTITIONS[0]]
        if at < self._topic.first:
            raise OffsetOutOfRangeError({PARTITIONS[0]: at})
        if at == len(self._topic.log):
            return {}
        self._positions[PARTITIONS[0]] = at + 1  # one at a time: a start takes several rounds
        return {PARTITIONS[0]: [SimpleNamespace(value=self._topic.log[at])]}


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Topic]:
    made = Topic()
    monkeypatch.setattr(module, "AIOKafkaConsumer", lambda **_: Consumer(made))
    monkeypatch.setattr(
        module, "partitions_of", lambda _, names: dict.fromkeys(names, PARTITIONS) if made.exists else {}
    )
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    monkeypatch.setattr(module, "_MISSING_S", 0.01)
    return made


async def until(condition: Any) -> None:
    await until_async(condition, "the reader has come to it", within_s=SOON_S)


def test_it_is_known_when_the_topic_was_read_once_and_follows_from_there(topic: Topic) -> None:
    async def story() -> None:
        reader = LimitsReader(SETTINGS, GatewayMetrics())
        topic.log = [change(1, 5, "r"), change(2, 6, "r"), change(1, 50)]
        assert (reader.known, reader.of(1)) == (False, 100)
        running = asyncio.create_task(reader.run())
        await until(lambda: reader.known)
        assert (reader.of(1), reader.of(2), reader.of(3)) == (50, 6, 100)
        topic.log.append(change(3, 7, "c"))
        await until(lambda: reader.of(3) == 7)
        running.cancel()

    asyncio.run(story())


@pytest.mark.parametrize("exists", [True, False], ids=["an empty topic", "a topic that is missing"])
def test_without_records_everybody_has_the_default(topic: Topic, exists: bool) -> None:
    async def story() -> None:
        topic.exists = exists
        reader = LimitsReader(SETTINGS, GatewayMetrics())
        running = asyncio.create_task(reader.run())
        await until(lambda: reader.known)
        assert reader.of(1) == 100
        topic.exists = True
        topic.log.append(change(1, 5, "c"))
        await until(lambda: reader.of(1) == 5)
        running.cancel()

    asyncio.run(story())


def test_an_absent_broker_is_waited_for(topic: Topic) -> None:
    async def story() -> None:
        topic.answers = False
        topic.log = [change(1, 5)]
        reader = LimitsReader(SETTINGS, GatewayMetrics())
        running = asyncio.create_task(reader.run())
        await until(lambda: topic.consumers > 2)
        assert not reader.known
        topic.answers = True
        await until(lambda: reader.of(1) == 5)
        running.cancel()

    asyncio.run(story())


def test_what_was_known_holds_while_the_topic_is_read_anew(topic: Topic) -> None:
    async def story() -> None:
        topic.log = [change(1, 5, "c"), change(1, 9)]
        reader = LimitsReader(SETTINGS, GatewayMetrics())
        running = asyncio.create_task(reader.run())
        await until(lambda: reader.of(1) == 9)
        seen: set[int] = set()
        topic.log += [change(3, 1), change(2, 1), change(2, 3), change(2, 4)]
        topic.first = 3  # retention was faster
        await until(lambda: seen.add(reader.of(2)) or reader.of(2) == 4)
        assert seen == {100, 4}
        assert (topic.consumers, reader.known, reader.of(1), reader.of(3)) == (2, True, 9, 100)
        running.cancel()

    asyncio.run(story())


def test_the_settings_mapping_and_default_are_used(topic: Topic) -> None:
    async def story() -> None:
        mapping = TableMapping(table="customer", columns={"max_events_per_second": "event_cap"})
        settings = Settings(auth=AUTH, source=SourceSettings(tables={"tenant": mapping}))
        topic.log = [change(1, 5, column="event_cap")]
        reader = LimitsReader(settings, GatewayMetrics())
        running = asyncio.create_task(reader.run())
        await until(lambda: reader.of(1) == 5)
        running.cancel()

    asyncio.run(story())
