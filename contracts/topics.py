"""The topics of the pipeline: their names, keys and retention classes.

Every producer of a tenant-keyed topic uses these key bytes and this partitioner, so that everything of a tenant is in
the partition with the same number of every topic.
"""

from dataclasses import dataclass
from enum import StrEnum

from contracts.rows import ROW_TYPES

CAPTURED_TABLES = tuple(ROW_TYPES)
"""The canonical tables, reference data first: ties in commit order are broken in this order."""

_SETTINGS_TABLES = frozenset({"tenant", "policy"})


class Retention(StrEnum):
    """How long a topic keeps its records; the settings give each class its duration."""

    FEED = "feed"
    SHORT = "short"
    LONG = "long"
    SETTINGS = "settings"
    """Rows that configure a tenant: kept without a limit in time, since nothing else repeats an old one."""
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to create; the partition count and replication factor are the cluster's settings."""

    name: str
    retention: Retention


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Topic names under one prefix, `noc` unless the settings say otherwise."""

    prefix: str = "noc"

    def captured(self, table: str) -> str:
        """The topic of a canonical table's change envelopes."""
        return f"{self.prefix}.public.{table}"

    @property
    def anomalies(self) -> str:
        """The operators' feed."""
        return f"{self.prefix}.anomalies"

    @property
    def processed(self) -> str:
        """Events that were scored and found clean."""
        return f"{self.prefix}.processed"

    @property
    def journal(self) -> str:
        """What each micro-batch consisted of."""
        return f"{self.prefix}.journal"

    @property
    def state(self) -> str:
        """The changelog of the worker's tables."""
        return f"{self.prefix}.state-changelog"

    @property
    def dead_letters(self) -> str:
        """Records that could not be read or processed."""
        return f"{self.prefix}.dead-letters"

    @property
    def revocations(self) -> str:
        """Users and tokens that are no longer let in."""
        return f"{self.prefix}.revocations"

    @property
    def receipts(self) -> str:
        """Which message was written to whom, received by whom and looked at by whom."""
        return f"{self.prefix}.receipts"

    @property
    def audit(self) -> str:
        """Sensitive actions and refused attempts."""
        return f"{self.prefix}.audit"

    def all_specs(self) -> list[TopicSpec]:
        """Every topic that the chain needs, captured tables first."""
        return [
            *(
                TopicSpec(self.captured(table), Retention.SETTINGS if table in _SETTINGS_TABLES else Retention.FEED)
                for table in CAPTURED_TABLES
            ),
            TopicSpec(self.anomalies, Retention.FEED),
            TopicSpec(self.processed, Retention.SHORT),
            TopicSpec(self.journal, Retention.FEED),
            TopicSpec(self.state, Retention.COMPACT),
            TopicSpec(self.dead_letters, Retention.LONG),
            TopicSpec(self.revocations, Retention.COMPACT),
            TopicSpec(self.receipts, Retention.FEED),
            TopicSpec(self.audit, Retention.LONG),
        ]


def tenant_key(tenant_id: int) -> bytes:
    """The record key of a tenant, byte for byte what Debezium's JsonConverter writes.

    >>> tenant_key(3)
    b'{"tenant_id":3}'
    """
    return b'{"tenant_id":%d}' % tenant_id


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 hash, as an unsigned integer (Austin Appleby's MurmurHash2, seed 0x9747b28c).

    >>> murmur2(b"21") - 2**32
    -973932308
    """
    length = len(data)
    mask = 0xFFFFFFFF
    m = 0x5BD1E995
    h = (0x9747B28C ^ length) & mask
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little")
        k = (k * m) & mask
        k ^= k >> 24
        k = (k * m) & mask
        h = ((h * m) & mask) ^ k
    if whole < length:
        h ^= int.from_bytes(data[whole:], "little")
        h = (h * m) & mask
    h ^= h >> 13
    h = (h * m) & mask
    h ^= h >> 15
    return h


def partition_of(tenant_id: int, partitions: int) -> int:
    """The partition of a tenant, as the Java client's default partitioner chooses it for the tenant's key."""
    return partition_of_key(tenant_key(tenant_id), partitions)


def partition_of_key(key: bytes, partitions: int) -> int:
    """The partition of a record's key, by the same rule."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
