"""The part of a tenant's feed that is older than what is in memory, read from the log on demand.

Reads: one partition of `noc.anomalies`, backwards in growing steps, in a thread. Guarantee: everything that was asked
for, each number once and as the readers' rule would show it, or the reason why not. On failure of the broker: the
reason is `unavailable`, and the next read connects anew.
"""

import asyncio
import time
from dataclasses import dataclass

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from common.settings.gateway import ResumeSettings
from contracts.messages import UnrecoverableReason
from contracts.topics import TopicNames, partition_of, tenant_key
from gateway.feed.history import StoredRecord
from gateway.kafka.kafka_clients import KafkaClients
from watchfloor_client.readers import generation_of

_POLL_S = 0.5
_CONSUME_MAX = 500
_STEP_MIN = 2_000
"""Offsets that the first step covers."""
_PAUSE_S = 0.001
"""After each part, so that the live feed gets the interpreter."""

_log = structlog.get_logger(__name__)


class UnrecoverableError(Exception):
    """The part cannot be read."""

    def __init__(self, reason: UnrecoverableReason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a tenant's feed."""

    tenant_id: int
    first: int
    last: int
    before_offset: int | None
    """All of it lies below this offset of the partition; None where that is not known."""


class _Numbered(msgspec.Struct):
    """As much of a record as a search needs; each was decoded as a whole when it was live."""

    seq: int


_decode_number = msgspec.json.Decoder(_Numbered).decode


@dataclass(slots=True)
class _Candidate:
    generation: int
    stored: StoredRecord


class Backfill:
    """Reads the log for clients that were away for long, one at a time.

    Args:
        limits: how many records may be read for one gap.
        silence_s_max: how long the broker may be silent.
    """

    def __init__(self, clients: KafkaClients, limits: ResumeSettings, silence_s_max: float) -> None:
        self._clients = clients
        self._scan_records_max = limits.scan_records_max
        self._silence_s_max = silence_s_max
        self._topic = TopicNames(clients.kafka.topic_prefix).anomalies
        self._turn = asyncio.Lock()
        self._recent: tuple[int, list[StoredRecord]] | None = None
        """The last part that was read, of a tenant: clients that come back in the same storm want the end of it."""

    async def read(self, span: Span) -> list[StoredRecord]:
        """All records of a span, in order of their seq.

        Raises:
            UnrecoverableError: some of them are not in the log any more, or it cannot be read.
        """
        async with self._turn:
            if self._recent is not None and self._recent[0] == span.tenant_id:
                known = self._recent[1]
                if known[0].seq <= span.first and span.last <= known[-1].seq:
                    return known[span.first - known[0].seq : span.last - known[0].seq + 1]
            try:
                found = await asyncio.to_thread(self._read, span)
            except KafkaException as error:
                _log.warning("the past could not be read", error=str(error), tenant_id=span.tenant_id)
                raise UnrecoverableError(UnrecoverableReason.UNAVAILABLE) from error
            self._recent = (span.tenant_id, found)
            return found

    def clear(self) -> None:
        """The log is another one."""
        self._recent = None

    def _read(self, span: Span) -> list[StoredRecord]:
        consumer = self._clients.search_consumer()
        try:
            return _Search(consumer, self._topic, span, self._scan_records_max, self._silence_s_max).run()
        finally:
            consumer.close()


class _Search:
    """One walk back through a partition. Blocks; runs in a thread."""

    def __init__(self, consumer: Consumer, topic: str, span: Span, scan_records_max: int, silence_s_max: float) -> None:
        self._consumer = consumer
        self._topic = topic
        self._span = span
        self._scan_records_max = scan_records_max
        self._silence_s_max = silence_s_max
        self._key = tenant_key(span.tenant_id)
        self._found: dict[int, _Candidate] = {}
        self._generations: set[int] = set()
        self._scanned = 0

    def run(self) -> list[StoredRecord]:
        span, timeout_s = self._span, self._silence_s_max
        known = self._consumer.list_topics(self._topic, timeout=timeout_s).topics[self._topic]
        partition = partition_of(span.tenant_id, len(known.partitions))
        first, end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=timeout_s)
        above = end if span.before_offset is None else min(end, span.before_offset)
        step = max(_STEP_MIN, 2 * (span.last - span.first + 1))
        # Done where an older number of the tenant was met, or its first one. Where a worker took over within what
        # was read, one step more: a record of the one before it may stand at the lower end, its rightful copy below.
        met, enough = False, False
        while above > first and not enough:
            below = max(first, above - step)
            self._scanned += above - below
            if self._scanned > self._scan_records_max:
                raise UnrecoverableError(UnrecoverableReason.TOO_OLD)
            met_before, met = met, met or self._scan(partition, below, above) < max(span.first, 2)
            enough = met and (met_before or len(self._generations) == 1)
            above, step = below, 2 * step
        records = [self._found[seq].stored for seq in range(span.first, span.last + 1) if seq in self._found]
        if len(records) != span.last - span.first + 1:
            raise UnrecoverableError(UnrecoverableReason.TOO_OLD)
        return records

    def _scan(self, partition: int, below: int, above: int) -> int:
        """Take the tenant's records from an offset up to another one; the lowest seq among them."""
        self._consumer.assign([TopicPartition(self._topic, partition, below)])
        lowest, at, silent_since = self._span.last + 1, below, time.monotonic()
        while at < above:
            messages = self._consumer.consume(_CONSUME_MAX, timeout=_POLL_S)
            if not messages:
                if time.monotonic() - silent_since > self._silence_s_max:
                    raise UnrecoverableError(UnrecoverableReason.UNAVAILABLE)
                continue
            silent_since = time.monotonic()
            for message in messages:
                error = message.error()
                if error is not None:
                    if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's name for it
                        raise KafkaException(error)
                    return lowest  # what is left below `above` are the markers of transactions
                at = message.offset() + 1
                if at <= above and message.key() == self._key:
                    lowest = min(lowest, self._take(message))
            time.sleep(_PAUSE_S)
        return lowest

    def _take(self, message: Message) -> int:
        """Keep a record if it is wanted; its seq.

        Of several records of one number the one of the newest generation counts, and of these the first: that is
        what the readers' rule shows, whether or not the fence between them lies in the part that was read.
        """
        value = message.value() or b""
        try:
            seq = _decode_number(value).seq
            generation = generation_of(message.headers())
        except (msgspec.DecodeError, ValueError):  # also a fence, which has no number
            return self._span.last + 1
        self._generations.add(generation)
        if self._span.first <= seq <= self._span.last:
            known = self._found.get(seq)
            stored = StoredRecord(seq, seq - 1, message.offset(), message.timestamp()[1], value)
            # A step goes over older records than the steps before it, each from its lower end up.
            if known is None or (generation, -stored.offset) > (known.generation, -known.stored.offset):
                self._found[seq] = _Candidate(generation, stored)
        return seq
