"""What the gateway itself writes to Kafka: receipts and audit records.

Reads: nothing. Writes: `noc.receipts` and `noc.audit`, keyed by tenant. Guarantee: each record at most once and
acknowledged by all replicas; receipts are best effort, an audit record that the broker does not take is in the
log. On failure: while no broker answers both wait in a queue with a bound; of receipts the oldest go, an audit
record that finds no room goes to the log, without the user's id and address. Both are counted. Nobody ever waits
for it.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from common.kafka import librdkafka_config
from common.settings.gateway import GatewaySettings
from common.settings.kafka import KafkaSettings
from contracts.audit import AuditRecord, audit_key, encode_audit
from contracts.receipts import ReceiptBatch, encode_receipts, receipt_headers
from contracts.topics import TopicNames, partition_of_key, tenant_key
from gateway.metrics import GatewayMetrics

_POLL_S = 0.05
_IN_FLIGHT_MAX = 500
"""Of each topic: what librdkafka holds besides the queue here."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()
    audit: AuditRecord | None = None
    """What it says, so that the log can say it instead."""


class Waiting:
    """Receipts that wait for a broker; with too many bytes the oldest go.

    Args:
        bytes_max: of all values together; a single record always has room.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._records: deque[Outgoing] = deque()
        self.bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._records)

    def put(self, record: Outgoing) -> int:
        """Add a record; returns how many older ones went for it."""
        self._records.append(record)
        self.bytes += len(record.value)
        gone = 0
        while self.bytes > self._bytes_max and len(self._records) > 1:
            self.bytes -= len(self._records.popleft().value)
            gone += 1
        self.dropped += gone
        return gone

    @property
    def oldest(self) -> Outgoing:
        """The record whose turn it is; raises IndexError where there is none."""
        return self._records[0]

    def take(self) -> Outgoing:
        """Take the oldest record out; raises IndexError where there is none."""
        record = self._records.popleft()
        self.bytes -= len(record.value)
        return record


class Sender(Protocol):
    """The part of a Kafka producer that is used here."""

    def produce(self, topic: str, **more: object) -> None:
        """Queue a record; raises BufferError where there is no room."""
        ...

    def poll(self, timeout: float) -> int:
        """Serve delivery reports."""
        ...

    def flush(self, timeout: float) -> int:
        """Wait for what is under way; returns how much is left."""
        ...

    def purge(self) -> None:
        """Give up what is under way; `poll` then reports it as failed."""
        ...


class Publisher:
    """The gateway's producer. Its methods never wait and never fail.

    Args:
        kafka: the cluster.
        limits: bounds of the queues.
        metrics: what was written, dropped and waits.
        sender: a producer; a new one where it is None.
    """

    def __init__(
        self, kafka: KafkaSettings, limits: GatewaySettings, metrics: GatewayMetrics, sender: Sender | None = None
    ) -> None:
        names = TopicNames(kafka.topic_prefix)
        self._receipts_topic, self._audit_topic = names.receipts, names.audit
        self._partitions = kafka.partitions
        self._metrics = metrics
        self._stop_s_max = limits.drain.publish_s_max
        self._audit_max = limits.audit.queue_records_max
        self._receipts = Waiting(limits.receipts.queue_bytes_max)
        self._audits: deque[Outgoing] = deque()
        self._in_flight = {self._receipts_topic: 0, self._audit_topic: 0}
        self._sender: Sender = sender or cast(Sender, Producer(_config(kafka)))

    @property
    def waiting(self) -> dict[str, int]:
        """Records that no broker has taken yet, by topic: `receipts` and `audit`."""
        return {
            "receipts": len(self._receipts) + self._in_flight[self._receipts_topic],
            "audit": len(self._audits) + self._in_flight[self._audit_topic],
        }

    def receipts(self, batch: ReceiptBatch) -> None:
        """Write receipts, as far as there is room."""
        key = tenant_key(batch.tenant_id)
        record = Outgoing(self._receipts_topic, key, encode_receipts(batch), receipt_headers(batch))
        self._metrics.receipts.labels("dropped").inc(self._receipts.put(record))
        self._hand_over()

    def audit(self, record: AuditRecord) -> None:
        """Write an audit record; without room for it the log has it."""
        outgoing = Outgoing(self._audit_topic, audit_key(record), encode_audit(record), (), record)
        if len(self._audits) >= self._audit_max:
            self._to_the_log(outgoing, "the queue is full")
            return
        self._audits.append(outgoing)
        self._hand_over()

    async def run(self) -> None:
        """Serve the producer until cancelled."""
        while True:
            self.serve()
            await asyncio.sleep(_POLL_S)

    def serve(self) -> None:
        """Take note of what was delivered and hand over what there is room for."""
        self._sender.poll(0)
        self._hand_over()
        for topic, count in self.waiting.items():
            self._metrics.publish_waiting.labels(topic).set(count)

    async def close(self) -> None:
        """Let the broker take what is left, for as long as the settings say; of the rest the log has the audit records."""
        deadline = asyncio.get_running_loop().time() + self._stop_s_max
        while any(self.waiting.values()) and asyncio.get_running_loop().time() < deadline:
            self.serve()
            await asyncio.to_thread(self._sender.flush, _POLL_S)
        left = self.waiting
        if not any(left.values()):
            return
        _log.warning("not everything reached the broker", **left)
        self._sender.purge()
        self._sender.poll(0)
        while self._audits:
            self._to_the_log(self._audits.popleft(), "the gateway stops and no broker answers")

    def _hand_over(self) -> None:
        while self._audits and self._has_room(self._audit_topic):
            if not self._produce(self._audits[0]):
                return
            self._audits.popleft()
        while len(self._receipts) and self._has_room(self._receipts_topic):
            if not self._produce(self._receipts.oldest):
                return
            self._receipts.take()

    def _has_room(self, topic: str) -> bool:
        return self._in_flight[topic] < _IN_FLIGHT_MAX

    def _produce(self, record: Outgoing) -> bool:
        """Hand over a record; False where the producer is full."""

        def delivered(error: KafkaError | None, _message: Message) -> None:
            self._in_flight[record.topic] -= 1
            self._delivered(record, error)

        try:
            self._sender.produce(
                record.topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                partition=partition_of_key(record.key, self._partitions),
                on_delivery=delivered,
            )
        except BufferError:
            return False
        except KafkaException as error:  # such as a record that is too large: it would never be taken
            self._delivered(record, error.args[0])
            return True
        self._in_flight[record.topic] += 1
        return True

    def _delivered(self, record: Outgoing, error: KafkaError | None) -> None:
        if record.audit is not None:
            if error is None:
                self._metrics.audit.labels("written").inc()
            else:
                self._to_the_log(record, error.name())
        else:
            self._metrics.receipts.labels("written" if error is None else "dropped").inc()

    def _to_the_log(self, outgoing: Outgoing, why: str) -> None:
        record = outgoing.audit
        if record is None:
            return
        self._metrics.audit.labels("log_only").inc()
        # Logs hold nothing personal: who it was can be told from the connection and the correlation id only.
        said = {
            "time": record.time,
            "action": record.action,
            "allowed": record.allowed,
            "reason": record.reason,
            "tenant_id": record.tenant_id,
            "connection": record.connection,
            "endpoint": record.endpoint,
            "correlation_id": record.correlation_id,
            "count": record.count,
        }
        _log.warning("an audit record is only here", why=why, audit=said)


def _config(kafka: KafkaSettings) -> dict[str, object]:
    return librdkafka_config(
        kafka,
        client_id="watchfloor-gateway",
        acks="all",
        enable_idempotence=True,
        linger_ms=50,
        compression_type="gzip",  # the only codec that every reader has, the gateways' own reader among them
        # Until it is taken, or this process ends: what is too much is dropped from the queues here, by their rules.
        message_timeout_ms=0,
        queue_buffering_max_messages=2 * _IN_FLIGHT_MAX + 100,
    )
