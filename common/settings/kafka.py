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
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_file: Path | None = None
    feed_retention_hours: Positive = 24 * 7
    processed_retention_minutes: Positive = 60
    long_retention_days: Positive = 90
    """Of the audit trail and the dead letters."""
    tenant_topic_bytes_max: Positive = 256 * 1024 * 1024
    """Per partition of the captured `tenant` topic. Its rows are kept regardless of their age, so that a gateway that
    starts later still knows each tenant's limit; only beyond this size are the oldest rows deleted."""
