"""What every process needs of Kafka: client parameters, the failure to report, and the epoch of the feed.

Owns how a client signs in: `librdkafka_config`, `aiokafka_config` and `java_config` say the same in three dialects.
"""

from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from common.credentials import secret_text
from common.errors import WatchfloorError
from common.settings.kafka import KafkaSettings

_REASON_WAIT_S: Final = 3.0
_REASON_CHARACTERS_MAX: Final = 200


class TopicMissingError(WatchfloorError):
    """The feed's topic does not exist."""


@dataclass(frozen=True, slots=True)
class _SignIn:
    """What of the settings counts for their `security_protocol`; None where it does not."""

    user: str | None
    password: str | None
    ca: str | None
    certificate: str | None
    key: str | None
    key_password: str | None


def _sign_in(kafka: KafkaSettings) -> _SignIn:
    sasl, tls = kafka.security_protocol.startswith("SASL"), kafka.security_protocol.endswith("SSL")

    def file(path: Path | None) -> str | None:
        return str(path) if tls and path else None

    return _SignIn(
        user=(kafka.sasl_username or "") if sasl else None,
        password=secret_text("kafka.sasl_password", kafka.sasl_password, kafka.sasl_password_file) if sasl else None,
        ca=file(kafka.ssl_ca_file),
        certificate=file(kafka.ssl_certificate_file),
        key=file(kafka.ssl_key_file),
        key_password=kafka.ssl_key_password.get_secret_value() if tls and kafka.ssl_key_password else None,
    )


def librdkafka_config(kafka: KafkaSettings, **more: Any) -> dict[str, Any]:
    """Parameters of a confluent-kafka client; `more` takes names with `_` for `.`."""
    sign_in = _sign_in(kafka)
    config = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
        "sasl.mechanism": None if sign_in.user is None else kafka.sasl_mechanism,
        "sasl.username": sign_in.user,
        "sasl.password": sign_in.password,
        "ssl.ca.location": sign_in.ca,
        "ssl.certificate.location": sign_in.certificate,
        "ssl.key.location": sign_in.key,
        "ssl.key.password": sign_in.key_password,
        "log_level": 0,  # what fails is raised; librdkafka's own lines on standard error would say it again
    }
    set_values = {name: value for name, value in config.items() if value is not None}
    return set_values | {name.replace("_", "."): value for name, value in more.items()}


def aiokafka_config(kafka: KafkaSettings) -> dict[str, Any]:
    """Parameters of an aiokafka client: consumer, producer, or the client below them.

    Raises:
        WatchfloorError: a file of the settings cannot be read.
    """
    sign_in = _sign_in(kafka)
    config: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "security_protocol": kafka.security_protocol,
    }
    if sign_in.user is not None:
        config |= {"sasl_mechanism": kafka.sasl_mechanism, "sasl_plain_username": sign_in.user}
        config["sasl_plain_password"] = sign_in.password
    if kafka.security_protocol.endswith("SSL"):
        from aiokafka.helpers import create_ssl_context

        try:
            config["ssl_context"] = create_ssl_context(
                cafile=sign_in.ca,
                certfile=sign_in.certificate,
                keyfile=sign_in.key,
                password=sign_in.key_password or "",  # or OpenSSL would ask for it on the terminal
            )
        except OSError as error:
            raise WatchfloorError(
                f"the certificates for Kafka cannot be read ({error})",
                "correct kafka.ssl_ca_file, kafka.ssl_certificate_file, kafka.ssl_key_file and kafka.ssl_key_password",
            ) from error
    return config


def java_config(kafka: KafkaSettings) -> dict[str, str]:
    """Parameters of a Java client, without the addresses; nothing for a cluster that asks for nothing.

    Raises:
        WatchfloorError: a file of the settings cannot be read.
    """
    if kafka.security_protocol == "PLAINTEXT":
        return {}
    sign_in = _sign_in(kafka)
    values: dict[str, str] = {"security.protocol": kafka.security_protocol}
    if sign_in.user is not None:
        values["sasl.mechanism"] = kafka.sasl_mechanism
        values["sasl.jaas.config"] = login_module(kafka.sasl_mechanism, sign_in.user, sign_in.password or "")
    if sign_in.ca:
        values |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": sign_in.ca}
    if sign_in.certificate and sign_in.key:
        # Java wants both in one file, or their texts.
        values |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": secret_text(
                "kafka.ssl_certificate_file", None, Path(sign_in.certificate)
            ),
            "ssl.keystore.key": secret_text("kafka.ssl_key_file", None, Path(sign_in.key)),
        }
        if sign_in.key_password:
            values["ssl.key.password"] = sign_in.key_password
    return values


def login_module(mechanism: str, user: str, password: str, **more: str) -> str:
    r"""Java's sentence about who signs in: the value of `sasl.jaas.config`.

    >>> login_module("PLAIN", "me", 'a"b')
    'org.apache.kafka.common.security.plain.PlainLoginModule required username="me" password="a\\"b";'
    """
    module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
    options = {"username": user, "password": password} | more
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in options.items()}
    said = " ".join(f'{name}="{value}"' for name, value in escaped.items())
    return f"org.apache.kafka.common.security.{module} required {said};"


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
    """The failure to report when no broker can be used: why, as a client that tries again is told.

    Blocks for up to three seconds. The clients' own failures only say that the time was over.
    """
    where = kafka.bootstrap_servers
    error = _why_not(kafka)
    if error is not None and error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 - the client's public name of it
        return WatchfloorError(
            f"Kafka at {where} refuses user {kafka.sasl_username or '(none)'} ({_short(error)})",
            "correct kafka.sasl_username, kafka.sasl_password (or kafka.sasl_password_file) and kafka.sasl_mechanism",
        )
    # The only failure of a client whose connections are ended without a word: the other side expects another protocol.
    hung_up = error is not None and error.code() == KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
    if error is not None and (hung_up or "SSL" in error.str().upper().replace("SASL_SSL://", "")):
        why = "it ends the connection" if hung_up else _short(error)
        return WatchfloorError(
            f"Kafka at {where} cannot be spoken to as {kafka.security_protocol} ({why})",
            "set kafka.security_protocol to what the brokers' listener asks for; for TLS also kafka.ssl_ca_file and, "
            "where they ask for a certificate, kafka.ssl_certificate_file and kafka.ssl_key_file",
        )
    return WatchfloorError(
        f"no Kafka broker answers at {where}", "start it, or set kafka.bootstrap_servers to where it is"
    )


def _why_not(kafka: KafkaSettings) -> KafkaError | None:
    """The first reason for which a connection fails; None if none does within `_REASON_WAIT_S`."""
    reasons: list[KafkaError] = []
    client = Producer(librdkafka_config(kafka) | {"error_cb": reasons.append})
    deadline = monotonic() + _REASON_WAIT_S
    while not reasons and monotonic() < deadline:
        client.poll(0.1)
    return reasons[0] if reasons else None


def _short(error: KafkaError) -> str:
    """The reason without the client's own names of itself and the address, which the message already has."""
    text = " ".join(error.str().split())
    return text.rpartition("bootstrap: ")[2][:_REASON_CHARACTERS_MAX]
