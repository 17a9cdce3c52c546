"""Client parameters from the settings, and the identity of the feed's log."""

import ssl

import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import SecretStr

import common.kafka as module
from common.errors import WatchfloorError
from common.kafka import TopicMissingError, aiokafka_config, feed_epoch, librdkafka_config, unreachable
from common.settings.kafka import KafkaSettings

PLAIN = KafkaSettings(bootstrap_servers="k1:9092,k2:9092")
SECURE = KafkaSettings(security_protocol="SASL_SSL", sasl_username="me", sasl_password=SecretStr("word"))


def test_a_plain_cluster_needs_its_address_only() -> None:
    assert librdkafka_config(PLAIN) == {
        "bootstrap.servers": "k1:9092,k2:9092",
        "security.protocol": "PLAINTEXT",
        "log_level": 0,
    }
    assert aiokafka_config(PLAIN) == {"bootstrap_servers": "k1:9092,k2:9092", "security_protocol": "PLAINTEXT"}


def test_further_parameters_are_named_with_underscores() -> None:
    config = librdkafka_config(PLAIN, group_id="g", enable_auto_commit=False)
    assert (config["group.id"], config["enable.auto.commit"]) == ("g", False)


def test_both_clients_sign_in_at_a_secured_cluster() -> None:
    confluent, aio = librdkafka_config(SECURE), aiokafka_config(SECURE)
    assert (confluent["sasl.mechanism"], confluent["sasl.username"], confluent["sasl.password"]) == (
        "SCRAM-SHA-512",
        "me",
        "word",
    )
    assert (aio["sasl_mechanism"], aio["sasl_plain_username"], aio["sasl_plain_password"]) == (
        "SCRAM-SHA-512",
        "me",
        "word",
    )
    assert isinstance(aio["ssl_context"], ssl.SSLContext)


class Described:
    """The answer of a broker about one topic."""

    def __init__(self, answer: str | KafkaError) -> None:
        self.topic_id = answer
        self._answer = answer

    def result(self) -> "Described":
        if isinstance(self._answer, KafkaError):
            raise KafkaException(self._answer)
        return self


def answer(monkeypatch: pytest.MonkeyPatch, answer: str | KafkaError) -> list[str]:
    asked: list[str] = []

    class Admin:
        def __init__(self, _config: object) -> None:
            pass

        def describe_topics(self, topics: object, **_: object) -> dict[str, Described]:
            asked.append(str(topics))
            return {"shadow.anomalies": Described(answer)}

    monkeypatch.setattr(module, "AdminClient", Admin)
    monkeypatch.setattr(module, "TopicCollection", lambda names: names[0])
    return asked


def test_the_epoch_is_the_id_of_the_topic_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, "xHVzvT")
    assert feed_epoch(PLAIN, "shadow.anomalies") == "xHVzvT"
    assert asked == ["shadow.anomalies"]


def test_a_missing_topic_is_another_failure_than_a_missing_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    with pytest.raises(TopicMissingError, match=r"topic shadow\.anomalies is missing"):
        feed_epoch(PLAIN, "shadow.anomalies")
    answer(monkeypatch, KafkaError(KafkaError._TRANSPORT))
    with pytest.raises(WatchfloorError, match="no Kafka broker answers at k1:9092") as caught:
        feed_epoch(PLAIN, "shadow.anomalies")
    assert not isinstance(caught.value, TopicMissingError)


def test_who_is_not_reached_is_named() -> None:
    assert str(unreachable(PLAIN)) == (
        "no Kafka broker answers at k1:9092,k2:9092: start it, or set kafka.bootstrap_servers to where it is"
    )
