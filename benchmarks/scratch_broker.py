"""A Kafka broker for one benchmark, with the embedded stack's archives, runtime and configuration.

Owns the broker's life cycle, and creating, deleting and reading topics. Everything is on loopback and in a
temporary directory.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from common.paths import default_cache_dir
from deploy.embedded.broker import Broker
from deploy.embedded.child import Child
from deploy.embedded.jars import JarCache, read_lock
from deploy.embedded.java import Java
from deploy.embedded.options import StackOptions
from deploy.embedded.ports import choose
from deploy.embedded.processes import RecordFile
from deploy.embedded.waiting import wait_until

PARTITIONS = 4
HEAP_MIB = 512
_CLUSTER_ID = "YmVuY2htYXJrLWNsdXN0ZQ"
_START_S_MAX = 60.0
_STOP_S_MAX = 30.0
_ADMIN_S_MAX = 30.0
_READ_RECORDS = 5_000
_READ_POLL_S = 0.2

COMPACTED = {"cleanup.policy": "compact", "max.message.bytes": str(16 << 20)}
"""A changelog: one RecordBatch holds all changed keys of a snapshot (`streams.topics`)."""


class ScratchBroker:
    """A running broker: its `host:port` for clients, the class path of its Java archives, and its process."""

    def __init__(self, address: str, class_path: str, child: Child) -> None:
        self.address = address
        self.class_path = class_path
        self._child = child
        self._admin = AdminClient({"bootstrap.servers": address, "log_level": 0})

    @property
    def pid(self) -> int | None:
        """The broker's process id."""
        return self._child.pid

    def create(self, topics: Mapping[str, Mapping[str, str]]) -> None:
        """Create topics, given as name and configuration, and wait until they have leaders."""
        wanted = [NewTopic(name, PARTITIONS, 1, config=dict(config)) for name, config in topics.items()]
        for created in self._admin.create_topics(wanted, request_timeout=_ADMIN_S_MAX).values():
            created.result()
        wait_until(
            lambda: all(self._has_leaders(name) for name in topics),
            what="the topics",
            timeout_s=_ADMIN_S_MAX,
        )

    def delete(self, prefix: str) -> None:
        """Delete every topic whose name starts with `prefix`, including the internal topics of an engine."""
        names = [name for name in self._admin.list_topics(timeout=_ADMIN_S_MAX).topics if name.startswith(prefix)]
        for deleted in self._admin.delete_topics(names, request_timeout=_ADMIN_S_MAX).values() if names else ():
            with contextlib.suppress(KafkaException):  # an engine that has just stopped may be deleting its own topics
                deleted.result()

    def finding_ids(self, topic: str, count: int, wait_s: float) -> list[int]:
        """The ids of all findings in a topic, including repeats, in the order of reading.

        Waits until there are `count`, at most `wait_s`, then reads to the end of the topic.
        """
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": "runner",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
        ids: list[int] = []
        at_end: set[int] = set()
        deadline_s = time.monotonic() + wait_s
        while len(at_end) < PARTITIONS or (len(ids) < count and time.monotonic() < deadline_s):
            for message in consumer.consume(_READ_RECORDS, _READ_POLL_S):
                if message.error() is not None:
                    at_end.add(message.partition())
                    continue
                at_end.discard(message.partition())
                body = json.loads(message.value())
                if "id" in body:  # not a fence
                    ids.append(body["id"])
        consumer.close()
        return ids

    def _has_leaders(self, name: str) -> bool:
        topic = self._admin.list_topics(name, timeout=_ADMIN_S_MAX).topics[name]
        leaders = [partition.leader for partition in topic.partitions.values()]
        return len(leaders) == PARTITIONS and all(leader >= 0 for leader in leaders)


@contextlib.contextmanager
def scratch_broker(directory: Path) -> Iterator[ScratchBroker]:
    """A new broker with its data below `directory`.

    Raises:
        WatchfloorError: an archive cannot be downloaded, or the broker does not start.
    """
    jars = JarCache(default_cache_dir(), read_lock())
    jars.ensure()
    java, taken = Java(jars), set[int]()
    ports = choose([], taken), choose([], taken)
    broker = Broker(java, directory / "kafka", directory / "kafka.properties", *ports)
    broker.prepare(_CLUSTER_ID, lambda: False)
    spec = broker.spec(directory / "kafka.log", StackOptions(kafka_heap_mib=HEAP_MIB, stop_timeout_s=_STOP_S_MAX))
    child = Child(spec, RecordFile(directory / "processes.json"))
    child.start()

    try:
        wait_until(
            broker.answers,
            what="the scratch broker",
            timeout_s=_START_S_MAX,
            alive=lambda: child.check(f"see {spec.log}"),
        )
        yield ScratchBroker(broker.address, jars.class_path(), child)
    finally:
        child.stop()
