"""A gateway process of its own beside the shared stack, on topics of its own in the stack's Kafka.

So these tests may write fences and gaps into the feed, and kill the gateway, without harm to the stack.
`NOC_TEST_KAFKA=host:port` uses that broker instead and starts no stack, to work on these tests alone.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gateway_process import FeedWriter, GatewayProcess

from common.settings.kafka import KafkaSettings


@pytest.fixture(scope="session")
def kafka_address(request: pytest.FixtureRequest) -> KafkaSettings:
    """The address of the stack's broker, and how to sign in there."""
    given = os.environ.get("NOC_TEST_KAFKA")
    if given:
        return KafkaSettings(bootstrap_servers=given)
    kafka: KafkaSettings = request.getfixturevalue("stack").settings.kafka
    return kafka


@pytest.fixture(scope="module")
def feed(kafka_address: KafkaSettings) -> FeedWriter:
    return FeedWriter(kafka_address)


@pytest.fixture(scope="module")
def gateway(feed: FeedWriter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(feed, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def own_gateway(kafka_address: KafkaSettings, tmp_path: Path) -> Iterator[GatewayProcess]:
    """One that a test may stop and start; its topics are its own too."""
    with GatewayProcess(FeedWriter(kafka_address), tmp_path) as running:
        yield running
