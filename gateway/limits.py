"""How many events a second each tenant may have scored: what `connection_established` says of it.

Reads: the captured `tenant` topic, every partition from its start, no consumer group. Writes: nothing.
Guarantee: once read, a tenant's limit is that of its newest change in the log. On failure: what was known
stays, and the topic is read again from its start. The worker limits by its own state; nobody is limited here.
"""

import asyncio
import time

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from contracts.envelope import ChangeDecoder
from contracts.rows import Tenant
from contracts.topics import TopicNames
from gateway.consuming import partitions_of, silent_s, stop_consumer
from gateway.metrics import GatewayMetrics
from watchfloor.errors import WatchfloorError
from watchfloor.kafka import aiokafka_config
from watchfloor.settings import Settings

_TABLE = "tenant"
_RETRY_S = 1.0
_POLL_MS = 1_000
_MISSING_S = 30.0  # a topic that is not there may be made later
_PATIENCE = 6  # times the allowed silence, before the brokers are looked up anew

_log = structlog.get_logger(__name__)


class TenantLimits:
    """The tenants that have a limit of their own.

    Args:
        decoder: knows the customer's column names.
        default: for the others, events per second.
        metrics: counts what cannot be read.
    """

    def __init__(self, decoder: ChangeDecoder, default: int, metrics: GatewayMetrics) -> None:
        self._decoder = decoder
        self._default = default
        self._metrics = metrics
        self._own: dict[int, int] = {}

    def copy(self) -> "TenantLimits":
        """The same limits, to fold further without a change to these."""
        other = TenantLimits(self._decoder, self._default, self._metrics)
        other._own = dict(self._own)
        return other

    def of(self, tenant_id: int) -> int:
        """Events per second that are scored of a tenant."""
        return self._own.get(tenant_id, self._default)

    def take(self, value: bytes | None) -> None:
        """A record of the topic, in the log's order.

        That order and not the database's decides: what a restarted connector repeats is followed by all that
        came after it, and another database behind the topics begins again with low positions.
        """
        try:
            change = self._decoder.decode(_TABLE, value)
        except (msgspec.DecodeError, ValueError, LookupError) as error:
            # The worker makes a dead letter of it; a sign-in must not fail for it.
            self._metrics.tenants_unreadable.inc()
            _log.warning("a tenant's change cannot be read", error=str(error))
            return
        if change is None or not isinstance(change.row, Tenant):
            return
        own = None if change.op == "d" else change.row.max_events_per_second
        if own is None:
            self._own.pop(change.row.tenant_id, None)
        else:
            self._own[change.row.tenant_id] = max(0, own)


class LimitsReader:
    """Keeps the tenants' limits as the log says.

    Args:
        settings: of the process.
        metrics: counts what cannot be read.
    """

    def __init__(self, settings: Settings, metrics: GatewayMetrics) -> None:
        self._kafka = settings.kafka
        self._limits = settings.gateway
        self._topic = TopicNames(settings.kafka.topic_prefix).captured(_TABLE)
        decoder = ChangeDecoder({name: table.columns for name, table in settings.source.tables.items()})
        self._current = TenantLimits(decoder, settings.worker.max_events_per_second, metrics)
        self.known = False
        """Whether the topic was read to its end once, or found missing."""

    def of(self, tenant_id: int) -> int:
        """Events per second that are scored of a tenant."""
        return self._current.of(tenant_id)

    async def run(self) -> None:
        """Read until cancelled; never fails for want of a broker."""
        while True:
            try:
                found = await asyncio.to_thread(partitions_of, self._kafka, [self._topic])
                if self._topic in found:
                    await self._read(found[self._topic])
                self.known = True  # the topic is missing: everybody has the default
                await asyncio.sleep(_MISSING_S)
            except (KafkaError, OSError, WatchfloorError) as error:
                _log.debug("the tenants' limits are read again", error=type(error).__name__)
                await asyncio.sleep(_RETRY_S)

    async def _read(self, partitions: list[TopicPartition]) -> None:
        """The topic from its start on, without end.

        Raises:
            KafkaError: the broker fails or is silent for long, or a position is not in the log any more.
        """
        consumer = AIOKafkaConsumer(
            **aiokafka_config(self._kafka),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            request_timeout_ms=self._limits.broker_silence_s_max * 1000,
        )
        try:
            await consumer.start()
            consumer.assign(partitions)
            first = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, first[partition])
            connected_at = time.time()
            # Read anew, the topic begins with old values: nobody is told them. And it may have lost a change that
            # was known here, since it is kept for a while only.
            fresh = self._current.copy()
            behind = {partition for partition in partitions if first[partition] < ends[partition]}
            while True:
                if not behind:
                    self._current, self.known = fresh, True
                await self._poll(consumer, fresh, connected_at)
                behind = {partition for partition in behind if await consumer.position(partition) < ends[partition]}
        finally:
            await stop_consumer(consumer)

    async def _poll(self, consumer: AIOKafkaConsumer, fresh: TenantLimits, connected_at: float) -> None:
        polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=self._limits.poll_records_max)
        for records in polled.values():
            for record in records:
                fresh.take(record.value)
        if polled:
            await asyncio.sleep(0)  # the sockets' turn
        elif silent_s(consumer, connected_at) > self._limits.broker_silence_s_max * _PATIENCE:
            raise KafkaConnectionError("the broker did not come back")
