"""Row changes of the running stack, as they stand in Kafka."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from common.kafka import librdkafka_config
from common.settings.kafka import KafkaSettings
from contracts.envelope import Change, ChangeDecoder
from contracts.topics import CAPTURED_TABLES, TopicNames

WAIT_S = 20.0


class Records:
    """Reads the captured topics from where they end now."""

    def __init__(self, kafka: KafkaSettings, *, from_start: bool = False) -> None:
        names = TopicNames(kafka.topic_prefix)
        self.consumer = Consumer(librdkafka_config(kafka, group_id="test", enable_auto_commit=False))
        metadata = self.consumer.list_topics(timeout=10).topics
        parts = [
            TopicPartition(names.captured(table), partition)
            for table in CAPTURED_TABLES
            for partition in metadata[names.captured(table)].partitions
        ]
        self.partitions = len(parts) // len(CAPTURED_TABLES)
        for part in parts:
            # Asked for now, not at the first fetch: what a test writes next must lie behind it.
            part.offset = OFFSET_BEGINNING if from_start else self.consumer.get_watermark_offsets(part, timeout=10)[1]
        self.consumer.assign(parts)

    def read(self, tenant_id: int, count: int, *, wait_s: float = WAIT_S) -> list[tuple[Message, Change | None]]:
        """The next records with this tenant's key, at most `count`, in the order of their arrival."""
        found: list[tuple[Message, Change | None]] = []
        deadline = time.monotonic() + wait_s
        while len(found) < count and time.monotonic() < deadline:
            record = self.consumer.poll(0.1)
            if record is None or record.error() or record.key() != b'{"tenant_id":%d}' % tenant_id:
                continue
            table = str(record.topic()).rpartition(".")[2]
            found.append((record, ChangeDecoder().decode(table, record.value())))
        return found

    def changes(self, tenant_id: int, count: int) -> list[Change]:
        """As `read`, only the changes, all of them."""
        found = [change for _, change in self.read(tenant_id, count) if change is not None]
        assert len(found) == count
        return found
