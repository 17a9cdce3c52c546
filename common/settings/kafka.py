"""The settings of the Kafka cluster."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from common.settings.model import Positive, Section


class KafkaSettings(Section):
    """The cluster that every process uses."""

    bootstrap_servers: str = "127.0.0.1:9092"
    topic_prefix: str = "noc"
    partitions: Positive = 4
    """The same for every tenant-keyed topic, so that a tenant lives in one partition everywhere."""
    replication_factor: Positive = 1
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """Every process, and every client in it, signs in at the brokers with these settings."""
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None
    """A file whose content is the password, read for each new client; used if `sasl_password` is not set."""
    ssl_ca_file: Path | None = None
    """Certificate authority of the brokers, PEM; without it those that the system trusts."""
    ssl_certificate_file: Path | None = None
    """Client certificate for brokers that ask for one, with its chain, PEM."""
    ssl_key_file: Path | None = None
    """Its private key, PEM (PKCS #8)."""
    ssl_key_password: SecretStr | None = None
    feed_retention_hours: Positive = 24 * 7
    processed_retention_minutes: Positive = 60
    long_retention_days: Positive = 90
    """Of the audit trail and the dead letters."""
    tenant_topic_bytes_max: Positive = 256 * 1024 * 1024
    """Per partition of the captured `tenant` topic. Its rows are kept regardless of their age, so that a gateway that
    starts later still knows each tenant's limit; only beyond this size are the oldest rows deleted."""
