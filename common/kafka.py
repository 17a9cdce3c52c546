"""What every process needs of Kafka: client parameters, the failure to report, and the epoch of the feed."""

from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from common.errors import WatchfloorError
from common.settings.kafka import KafkaSettings


class TopicMissingError(WatchfloorError):
    """The feed's topic does not exist."""


def librdkafka_config(kafka: KafkaSettings, **more: Any) -> dict[str, Any]:
    """Parameters of a confluent-kafka client; `more` takes names with `_` for `.`."""
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
        "log_level": 0,  # what fails is raised; librdkafka's own lines on standard error would say it again
    }
    if kafka.security_protocol.startswith("SASL"):
        config |= {"sasl.mechanism": kafka.sasl_mechanism, "sasl.username": kafka.sasl_username}
        config["sasl.password"] = kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
    if kafka.ssl_ca_file:
        config["ssl.ca.location"] = str(kafka.ssl_ca_file)
    return config | {name.replace("_", "."): value for name, value in more.items()}


def aiokafka_config(kafka: KafkaSettings) -> dict[str, Any]:
    """Parameters of an aiokafka client, consumer or producer."""
    config: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.startswith("SASL"):
        config |= {"sasl_mechanism": kafka.sasl_mechanism, "sasl_plain_username": kafka.sasl_username}
        config["sasl_plain_password"] = kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
    if kafka.security_protocol in ("SSL", "SASL_SSL"):
        from aiokafka.helpers import create_ssl_context

        config["ssl_context"] = create_ssl_context(cafile=str(kafka.ssl_ca_file) if kafka.ssl_ca_file else None)
    return config


def feed_epoch(kafka: KafkaSettings, feed_topic: str, *, timeout_s: float = 10.0) -> str:
    """The identity of the log behind the feed's numbers: the id of its topic.

    A recreated topic has another id, so readers learn that old positions mean nothing in it.

    Raises:
        TopicMissingError: there is no such topic.
        WatchfloorError: no broker answers.
    """
    admin = AdminClient(librdkafka_config(kafka))
    topics = TopicCollection([feed_topic])
    try:
        described = admin.describe_topics(topics, request_timeout=timeout_s)[feed_topic].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise TopicMissingError(
                f"topic {feed_topic} is missing", "start a worker once, it makes the topics"
            ) from error
        raise unreachable(kafka) from error
    return str(described.topic_id)


def unreachable(kafka: KafkaSettings) -> WatchfloorError:
    """The failure to report when no broker answers."""
    return WatchfloorError(
        f"no Kafka broker answers at {kafka.bootstrap_servers}",
        "start it, or set kafka.bootstrap_servers to where it is",
    )
