"""Creates the topics of the chain, and checks existing ones.

Owns the configuration of each topic. Never changes an existing topic.
"""

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from common.errors import WatchfloorError
from common.kafka import librdkafka_config, unreachable
from common.settings.kafka import KafkaSettings
from contracts.topics import Retention, TopicNames, TopicSpec

log = structlog.get_logger(__name__)

_HOUR_MS = 3_600_000
_WHY = {
    "delete": "compaction refuses records without a key and keeps only the latest of each",
    "compact": "deletion by age would take state that is still needed",
}
"""For each required policy, the harm that another one does."""


def topic_config(spec: TopicSpec, kafka: KafkaSettings) -> dict[str, str]:
    """The broker's settings of a topic, by its retention class."""
    if spec.retention is Retention.COMPACT:
        # The lag keeps both versions of a key while a fenced-off writer could still displace one.
        # One RecordBatch holds all changed keys of a snapshot, so it may be larger than in other topics.
        return {
            "cleanup.policy": "compact",
            "min.compaction.lag.ms": "600000",
            # How long the tombstone of a deleted key stays for current readers; a recovery takes seconds.
            "delete.retention.ms": "86400000",
            "segment.bytes": str(64 << 20),
            "max.message.bytes": str(16 << 20),
        }
    keep_ms = {
        Retention.FEED: kafka.feed_retention_hours * _HOUR_MS,
        Retention.SHORT: kafka.processed_retention_minutes * 60_000,
        Retention.LONG: kafka.long_retention_days * 24 * _HOUR_MS,
        Retention.SETTINGS: -1,
    }
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(keep_ms[spec.retention]),
        # A change contains its row twice, and a dead letter contains a whole change and headers.
        "max.message.bytes": str((5 << 20) if spec.retention is Retention.LONG else (4 << 20)),
    }
    if spec.retention is Retention.SETTINGS:
        config["retention.bytes"] = str(kafka.tenant_topic_bytes_max)
    return config


def ensure_topics(kafka: KafkaSettings, *, timeout_s: float = 15.0) -> None:
    """Create missing topics; existing ones must have the right partition count and cleanup policy.

    Raises:
        WatchfloorError: no broker answers, a topic cannot be created, or one has another partition count or a
            cleanup policy that would delete what the chain needs.
    """
    admin = AdminClient(librdkafka_config(kafka))
    specs = TopicNames(kafka.topic_prefix).all_specs()
    try:
        existing = admin.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        raise unreachable(kafka) from error
    for spec in specs:
        if spec.name in existing and len(existing[spec.name].partitions) != kafka.partitions:
            raise WatchfloorError(
                f"topic {spec.name} has {len(existing[spec.name].partitions)} partitions, the settings say {kafka.partitions}",
                "set kafka.partitions to the cluster's count; a tenant must stay in one partition",
            )
    _check_cleanup(admin, [spec for spec in specs if spec.name in existing], kafka, timeout_s)
    missing = [
        NewTopic(spec.name, kafka.partitions, kafka.replication_factor, config=topic_config(spec, kafka))
        for spec in specs
        if spec.name not in existing
    ]
    if not missing:
        return
    for name, created in admin.create_topics(missing, request_timeout=timeout_s).items():
        try:
            created.result()
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise WatchfloorError(
                    f"topic {name} cannot be created ({error.args[0].str()})",
                    "check the broker's log and the permissions of this user",
                ) from error


def _check_cleanup(admin: AdminClient, specs: list[TopicSpec], kafka: KafkaSettings, timeout_s: float) -> None:
    """Refuse topics with another `cleanup.policy`: compaction would remove journal entries, deletion would remove state.

    A user without permission to read a topic's settings cannot check them; the chain works without it.
    """
    resources = [ConfigResource(ConfigResource.Type.TOPIC, spec.name) for spec in specs]
    if not resources:
        return
    answers = {
        resource.name: answer
        for resource, answer in admin.describe_configs(resources, request_timeout=timeout_s).items()
    }
    for spec in specs:
        try:
            config = answers[spec.name].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                log.warning("the settings of a topic cannot be read and are not checked", topic=spec.name)
                continue
            raise unreachable(kafka) from error
        found, wanted = config["cleanup.policy"].value, topic_config(spec, kafka)["cleanup.policy"]
        if spec.retention is Retention.SETTINGS and config["retention.ms"].value != "-1":
            log.warning(
                "a topic loses tenants whose row does not change: set its retention.ms to -1",
                topic=spec.name,
                retention_ms=config["retention.ms"].value,
            )
        if found != wanted:
            raise WatchfloorError(
                f"topic {spec.name} has cleanup.policy={found}, but it must be {wanted}: {_WHY[wanted]}",
                f"set it back: kafka-configs.sh --alter --entity-type topics --entity-name {spec.name} "
                f"--add-config cleanup.policy={wanted}",
            )
