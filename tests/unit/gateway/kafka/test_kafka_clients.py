import asyncio

import pytest

from common.errors import WatchfloorError
from common.settings.kafka import KafkaSettings
from gateway.kafka import kafka_clients
from gateway.kafka.kafka_clients import KafkaClients

NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:9")


def test_a_consumer_sees_committed_records_only_and_never_jumps_from_its_position() -> None:
    async def story() -> None:
        consumer = KafkaClients(NOWHERE).consumer(fetch_wait_ms_max=100, request_timeout_ms=1_000)
        assert consumer._isolation_level == "read_committed"
        assert consumer._auto_offset_reset == "none"
        assert consumer._group_id is None
        await consumer.stop()

    asyncio.run(story())


def test_topics_of_an_absent_broker_are_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_clients, "_METADATA_TIMEOUT_S", 1)
    with pytest.raises(WatchfloorError, match="no Kafka broker answers"):
        KafkaClients(NOWHERE).describe(["noc.anomalies"])
