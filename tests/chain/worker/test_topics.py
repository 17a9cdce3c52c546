"""Topics as the chain makes them, and what a start says of topics that somebody has changed.

Also of streams/topics.py.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from support.stack import RunningStack
from support.waiting import until

from common.errors import WatchfloorError
from common.kafka import librdkafka_config
from common.settings.kafka import KafkaSettings
from contracts.topics import TopicNames
from streams.topics import ensure_topics


@pytest.fixture
def kafka(stack: RunningStack) -> Iterator[KafkaSettings]:
    """Topics of their own on the stack's broker."""
    prefix = f"topics-{secrets.token_hex(3)}"
    settings = stack.settings.kafka.model_copy(update={"topic_prefix": prefix, "partitions": 1})
    ensure_topics(settings)
    names = [spec.name for spec in TopicNames(prefix).all_specs()]
    admin = AdminClient(librdkafka_config(settings))  # its futures need it alive
    # The controller has made them; the broker knows a moment later.
    until(lambda: set(names) <= admin.list_topics(timeout=5).topics.keys(), "the broker knows the new topics")
    yield settings
    for done in admin.delete_topics(names).values():
        done.result(10)


def configure(kafka: KafkaSettings, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    admin = AdminClient(librdkafka_config(kafka))
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(10)
    # The controller has taken it; the broker that is asked next follows a moment later.
    until(lambda: configuration(kafka, topic)[name] == value, f"{topic} has {name}={value}")


def configuration(kafka: KafkaSettings, topic: str) -> dict[str, str]:
    admin = AdminClient(librdkafka_config(kafka))
    (answer,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    return {name: entry.value for name, entry in answer.result(10).items()}


def test_a_tenants_row_is_kept_however_old_it_is(kafka: KafkaSettings) -> None:
    tenants = configuration(kafka, TopicNames(kafka.topic_prefix).captured("tenant"))
    assert (tenants["cleanup.policy"], tenants["retention.ms"]) == ("delete", "-1")
    assert tenants["retention.bytes"] == str(kafka.tenant_topic_bytes_max)
    sites = configuration(kafka, TopicNames(kafka.topic_prefix).captured("site"))
    assert sites["retention.ms"] == str(kafka.feed_retention_hours * 3_600_000)


@pytest.mark.parametrize(
    ("topic", "policy"),
    [("journal", "compact"), ("anomalies", "compact,delete"), ("state-changelog", "delete")],
)
def test_a_changed_cleanup_policy_is_told_before_anything_is_lost(
    kafka: KafkaSettings, topic: str, policy: str
) -> None:
    ensure_topics(kafka)
    name = f"{kafka.topic_prefix}.{topic}"
    configure(kafka, name, "cleanup.policy", policy)
    with pytest.raises(WatchfloorError, match=f"topic {name} has cleanup.policy={policy}, but it must be ") as told:
        ensure_topics(kafka)
    assert f"--entity-name {name}" in told.value.advice


def test_a_worker_ends_with_one_line_on_a_compacted_journal(stack: RunningStack, kafka: KafkaSettings) -> None:
    configure(kafka, f"{kafka.topic_prefix}.journal", "cleanup.policy", "compact")
    variables = {
        "WATCHFLOOR_CONFIG": str(stack.state_dir / "watchfloor.toml"),
        "WATCHFLOOR_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
        "WATCHFLOOR_KAFKA__PARTITIONS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "watchfloor", "worker"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("watchfloor: ")]
    assert "journal has cleanup.policy=compact, but it must be delete" in line
    assert "Traceback" not in done.stderr
