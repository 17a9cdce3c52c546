"""Client parameters from the settings, and the identity of the feed's log."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import SecretStr

import common.kafka as module
from common.errors import WatchfloorError
from common.kafka import TopicMissingError, aiokafka_config, feed_epoch, java_config, librdkafka_config, unreachable
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


REASONS = {
    "nobody there": (
        KafkaError._TRANSPORT,
        "Connect to ipv4#10.0.0.1:9092 failed: Connection refused",
        "no Kafka broker",
    ),
    "wrong password": (
        KafkaError._AUTHENTICATION,
        "sasl_ssl://k1:9092/bootstrap: SASL authentication error: invalid credentials",
        "Kafka at k1:9092,k2:9092 refuses user me (SASL authentication error: invalid credentials)",
    ),
    "wrong authority": (
        KafkaError._SSL,
        "sasl_ssl://k1:9092/bootstrap: SSL handshake failed: certificate verify failed",
        "cannot be spoken to as SASL_SSL (SSL handshake failed",
    ),
    "wrong protocol": (KafkaError._ALL_BROKERS_DOWN, "0/1 brokers are down", "as SASL_SSL (it ends the connection)"),
}


@pytest.mark.parametrize("case", REASONS)
def test_the_failure_says_why_no_broker_can_be_used(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    code, text, told = REASONS[case]

    class Client:
        def __init__(self, config: dict[str, Any]) -> None:
            self._told = config["error_cb"]

        def poll(self, _timeout_s: float) -> None:
            self._told(KafkaError(code, text))

    monkeypatch.setattr(module, "Producer", Client)
    kafka = SECURE.model_copy(update={"bootstrap_servers": "k1:9092,k2:9092"})
    failure = unreachable(kafka)
    assert told in failure.problem
    assert "word" not in str(failure).replace("password", "")


def test_the_password_may_be_in_a_file_and_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "password"
    kafka = SECURE.model_copy(update={"sasl_password": None, "sasl_password_file": file})
    for password in ("first", "second"):
        file.write_text(f"{password}\n")
        assert librdkafka_config(kafka)["sasl.password"] == password
        assert aiokafka_config(kafka)["sasl_plain_password"] == password
        assert f'password="{password}"' in java_config(kafka)["sasl.jaas.config"]
    file.unlink()
    with pytest.raises(WatchfloorError, match=r"kafka\.sasl_password cannot be read \(No such file"):
        librdkafka_config(kafka)


def test_certificates_that_cannot_be_read_are_one_failure(tmp_path: Path) -> None:
    with pytest.raises(WatchfloorError, match="the certificates for Kafka cannot be read"):
        aiokafka_config(KafkaSettings(security_protocol="SSL", ssl_ca_file=tmp_path / "none.pem"))


def test_what_the_protocol_does_not_use_is_not_given_to_a_client() -> None:
    unused = SECURE.model_copy(update={"security_protocol": "PLAINTEXT", "ssl_ca_file": Path("/none")})
    for config in (librdkafka_config(unused), aiokafka_config(unused), java_config(unused)):
        assert not [name for name in config if "sasl" in name or "ssl" in name]
