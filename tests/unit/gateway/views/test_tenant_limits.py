"""The fold of the tenants' limits, read from a cluster made of values.

Also of gateway/kafka/topic_view.py.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from support.fake_kafka import FakeCluster, until
from support.feed_samples import AUTH

from common.settings.gateway import ReaderSettings
from common.settings.load import Settings
from common.settings.source import SourceSettings, TableMapping
from gateway.kafka import log_reader
from gateway.kafka.log_reader import LogReader
from gateway.metrics import GatewayMetrics
from gateway.views.tenant_limits import TenantLimitsView

GOLDEN = Path(__file__).parents[3] / "golden"
TOPIC = "noc.public.tenant"
SETTINGS = Settings(auth=AUTH)


def change(
    tenant: int, limit: int | None, op: str = "u", lsn: int = 10, column: str = "max_events_per_second"
) -> bytes:
    row = {"id": tenant, "name": f"Tenant {tenant}", column: limit}
    gone = op == "d"
    source = {"ts_us": 1, "lsn": lsn, "sequence": f'["{lsn}","{lsn}"]'}
    return json.dumps(
        {"op": op, "before": row if gone else None, "after": None if gone else row, "source": source}
    ).encode()


def fold(*values: bytes | None, columns: dict[str, str] | None = None) -> tuple[TenantLimitsView, GatewayMetrics]:
    metrics = GatewayMetrics()
    tables = {"tenant": TableMapping(table="tenant", columns=columns)} if columns else {}
    view = TenantLimitsView(Settings(auth=AUTH, source=SourceSettings(tables=tables)), metrics)
    view.begin({})
    for value in values:
        view.fold(view._next, SimpleNamespace(value=value))
    view.caught_up()
    return view, metrics


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


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    monkeypatch.setattr(log_reader, "RETRY_S", 0.01)
    monkeypatch.setattr(log_reader, "MISSING_RETRY_S", 0.01)
    return FakeCluster(**{TOPIC: 2})


def follow(cluster: FakeCluster, story: Callable[[TenantLimitsView], Awaitable[None]]) -> None:
    """Keep a view beside a story; one record a poll, so a start takes several."""

    async def run() -> None:
        view = TenantLimitsView(SETTINGS, GatewayMetrics())
        running = asyncio.create_task(LogReader(cluster, ReaderSettings(poll_records_max=1), view).run())
        await story(view)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())


def test_it_is_known_when_the_topic_was_read_once_and_follows_from_there(cluster: FakeCluster) -> None:
    async def story(view: TenantLimitsView) -> None:
        assert (view.known, view.of(1)) == (False, 100)
        await until(lambda: view.known)
        assert (view.of(1), view.of(2), view.of(3)) == (50, 6, 100)
        cluster.append(TOPIC, change(3, 7, "c"))
        await until(lambda: view.of(3) == 7)

    for value in (change(1, 5, "r"), change(2, 6, "r"), change(1, 50)):
        cluster.append(TOPIC, value)
    follow(cluster, story)


@pytest.mark.parametrize("exists", [True, False], ids=["an empty topic", "a topic that is missing"])
def test_without_records_everybody_has_the_default(cluster: FakeCluster, exists: bool) -> None:
    async def story(view: TenantLimitsView) -> None:
        await until(lambda: view.known)
        assert view.of(1) == 100
        cluster.topics[TOPIC] = topic
        cluster.append(TOPIC, change(1, 5, "c"))
        await until(lambda: view.of(1) == 5)

    topic = cluster.topics[TOPIC] if exists else cluster.topics.pop(TOPIC)
    follow(cluster, story)


def test_what_was_known_holds_while_the_topic_is_read_anew(cluster: FakeCluster) -> None:
    async def story(view: TenantLimitsView) -> None:
        await until(lambda: view.of(1) == 9)
        seen: set[int] = set()
        for value in (change(3, 1), change(2, 1), change(2, 3), change(2, 4)):
            cluster.append(TOPIC, value)
        cluster.topics[TOPIC].partitions[TopicPartition(TOPIC, 0)].first = 3  # retention was faster
        await until(lambda: seen.add(view.of(2)) or view.of(2) == 4)
        assert seen == {100, 4}
        assert (cluster.consumers, view.known, view.of(1), view.of(3)) == (2, True, 9, 100)

    for value in (change(1, 5, "c"), change(1, 9)):
        cluster.append(TOPIC, value)
    follow(cluster, story)
