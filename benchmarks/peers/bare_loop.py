"""The work on a bare confluent-kafka loop: dictionaries, a changelog topic, offsets committed after a flush.

The upper limit of plain Python, not a stream engine: one process, not exact (after a crash it repeats what came
since the last commit), and it drops and restores its state at every rebalance. Restoring is included, because
without it the changelog would be useless.
"""

import signal
import sys
import time
from collections.abc import Iterable
from types import FrameType

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from meter import Meter, Run, settings_from_argv
from work import PersonTrack, TenantCount, admit, decode, finding, track
from world import key

COMMIT_S = 1.0
BATCH_EVENTS_MAX = 4_000
POLL_S = 0.02
RESTORE_POLL_S = 0.2

_encode = msgspec.json.encode
_decode_tenant = msgspec.json.Decoder(TenantCount).decode
_decode_person = msgspec.json.Decoder(PersonTrack).decode


class State:
    """Both tables, and the partition of each changed key."""

    def __init__(self) -> None:
        self.tenants: dict[int, TenantCount] = {}
        self.persons: dict[int, PersonTrack] = {}
        self.changed_tenants: dict[int, int] = {}
        self.changed_persons: dict[int, int] = {}

    def restore(self, broker: str, topic: str, partitions: Iterable[int]) -> None:
        """Read the changelog of these partitions to its end."""
        self.tenants.clear()
        self.persons.clear()
        reader = Consumer({"bootstrap.servers": broker, "group.id": "restore", "enable.partition.eof": True})
        left = set(partitions)
        reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in left])
        while left:
            for message in reader.consume(BATCH_EVENTS_MAX, RESTORE_POLL_S):
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    left.discard(message.partition())
                elif error is None:
                    self._load(message.key(), message.value())
        reader.close()

    def write(self, producer: Producer, topic: str) -> None:
        """Send every changed key to the changelog."""
        for tenant, partition in self.changed_tenants.items():
            producer.produce(topic, _encode(self.tenants[tenant]), b"t%d" % tenant, partition)
        for person, partition in self.changed_persons.items():
            producer.produce(topic, _encode(self.persons[person]), b"p%d" % person, partition)
        self.changed_tenants.clear()
        self.changed_persons.clear()

    def _load(self, name: bytes, value: bytes) -> None:
        if name[:1] == b"t":
            self.tenants[int(name[1:])] = _decode_tenant(value)
        else:
            self.persons[int(name[1:])] = _decode_person(value)


def process(messages: list[Message], state: State, producer: Producer, output: str, meter: Meter) -> None:
    """Fold a batch into the state and send its findings."""
    tenants, persons = state.tenants, state.persons
    changed_tenants, changed_persons = state.changed_tenants, state.changed_persons
    for message in messages:
        event = decode(message.value())
        row = event.after
        at_s, tenant, person, partition = row.ts.timestamp(), row.tenant_id, row.person_id, message.partition()
        tenants[tenant], scored = admit(tenants.get(tenant), at_s)
        changed_tenants[tenant] = partition
        if not scored:
            meter.dropped += 1
            continue
        persons[person], verdict = track(persons.get(person), row.lat, row.lon, at_s)
        changed_persons[person] = partition
        if verdict is not None:
            meter.findings += 1
            producer.produce(output, finding(row, verdict, event.ts_us), key(tenant))


def loop(run: Run, meter: Meter) -> None:
    """Run until SIGTERM."""
    changelog = f"{run.group}-state"
    consumer = Consumer(
        {
            "bootstrap.servers": run.broker,
            "group.id": run.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": run.broker,
            "linger.ms": 5,
            "enable.idempotence": True,
            "queue.buffering.max.messages": 1_000_000,
            "partitioner": "murmur2_random",
        }
    )
    state = State()
    stopping: list[int] = []

    def on_assign(_consumer: Consumer, partitions: list[TopicPartition]) -> None:
        state.restore(run.broker, changelog, [each.partition for each in partitions])

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stopping.append(number)

    signal.signal(signal.SIGTERM, on_signal)
    consumer.subscribe([run.source], on_assign=on_assign)
    commit_at_s, uncommitted = time.monotonic() + COMMIT_S, False
    while not stopping:
        messages = [each for each in consumer.consume(BATCH_EVENTS_MAX, POLL_S) if each.error() is None]
        if messages:
            meter.start()
            process(messages, state, producer, run.output, meter)
            state.write(producer, changelog)
            meter.add(len(messages))
            uncommitted = True
        producer.poll(0)
        if uncommitted and time.monotonic() >= commit_at_s:
            producer.flush()
            consumer.commit(asynchronous=True)
            commit_at_s, uncommitted = time.monotonic() + COMMIT_S, False
    producer.flush()
    consumer.close()


if __name__ == "__main__":
    arguments = settings_from_argv(sys.argv)
    loop(arguments, Meter(arguments))
