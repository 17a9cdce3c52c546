"""The part of a tenant's feed that is older than what is in memory, read from the log on demand.

Reads: one partition of `noc.anomalies`. First where the wanted records are, backwards in growing steps, of which only the
offsets are kept; then the records themselves, forwards and one page at a time. Guarantee: everything that was asked for,
each number once and as the readers' rule would show it, or the reason why not. Memory: eight bytes a record for each gap
that is known, and the pages that were read last.
"""

import asyncio
from array import array
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from common.errors import WatchfloorError
from common.settings.gateway import ResumeSettings
from contracts.messages import UnrecoverableReason
from contracts.topics import TopicNames, partition_of, tenant_key
from gateway.feed.history import History, StoredRecord
from gateway.feed.log_turns import LogTurns, UnrecoverableError
from gateway.kafka.kafka_clients import KafkaClients
from watchfloor_client.readers import generation_of

_STEP_MIN = 2_000
"""Offsets that the first step covers."""
_PAGE_BYTES = 1 << 20
_PAGES_BYTES_MAX = 32 << 20
"""Pages that are kept: clients that come back in the same storm want the same ones."""
_LOCATED_MAX = 100
"""Gaps that are kept, of one tenant each, for the same reason."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a tenant's feed, up to its newest record, and for whom."""

    tenant_id: int
    first: int
    last: int
    user: str = ""
    """Whose turn it is when the log is read."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where in the log records of a tenant are, without a gap."""

    tenant_id: int
    partition: TopicPartition
    first: int
    offsets: "array[int]"

    @property
    def last(self) -> int:
        """The seq of the last record."""
        return self.first + len(self.offsets) - 1

    def offset(self, seq: int) -> int:
        """Of a record of the span."""
        return self.offsets[seq - self.first]


class _Numbered(msgspec.Struct):
    """As much of a record as a search needs; each was decoded as a whole when it was live."""

    seq: int


_decode_number = msgspec.json.Decoder(_Numbered).decode


class Backfill:
    """Reads the log for clients that were away for long, and for those who read slowly.

    Args:
        history: what need not be looked for.
        limits: how many records may be read for one gap, and how many gaps at once.
        silence_s_max: how long the broker may be silent.
    """

    def __init__(self, clients: KafkaClients, history: History, limits: ResumeSettings, silence_s_max: float) -> None:
        self._clients = clients
        self._history = history
        self._turns = LogTurns(clients, limits.reads_max, silence_s_max)
        self._scan_records_max = limits.scan_records_max
        self._topic = TopicNames(clients.kafka.topic_prefix).anomalies
        self._partitions = 0
        """Of the topic; 0 where it is not known."""
        self._searching: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._located: OrderedDict[int, Located] = OrderedDict()
        self._pages: OrderedDict[tuple[int, int], list[StoredRecord]] = OrderedDict()
        self._pages_bytes = 0

    async def locate(self, span: Span) -> Located:
        """Where all records of a span are; the last ones may be missing where they are in the history.

        Raises:
            UnrecoverableError: some of them are not in the log any more, or it cannot be read.
        """
        tenant_id = span.tenant_id
        # One search of a tenant at a time: those who wait for it find what it has found.
        async with self._searching[tenant_id]:
            oldest = self._history.oldest(tenant_id)
            last, above = (oldest.seq - 1, oldest.offset) if oldest else (span.last, None)
            known = self._located.get(tenant_id)
            if known is not None and known.first <= span.first and last <= known.last:
                return known
            # What leaves the history while the log is read has not to be looked for again.
            newer = self._history.offsets(tenant_id)
            try:
                partition = await self._partition(tenant_id)
                offsets = await self._search(replace(span, last=last), partition, above)
            except UnrecoverableError as error:
                self._partitions = 0  # there may be others by now
                if error.reason is UnrecoverableReason.UNAVAILABLE:
                    _log.warning("the past could not be read", tenant_id=tenant_id)
                raise
            found = Located(tenant_id, partition, span.first, offsets + newer)
            self._located.pop(tenant_id, None)
            self._located[tenant_id] = found
            if len(self._located) > _LOCATED_MAX:
                self._located.popitem(last=False)
            return found

    async def page(self, located: Located, seq: int, user: str) -> Sequence[StoredRecord]:
        """Some records from a seq on, at least one, in order.

        Raises:
            UnrecoverableError: they are not in the log any more, or it cannot be read.
        """
        async with self._turns.turn(located.tenant_id, user):
            known = self._kept(located.tenant_id, seq)
            if known:
                return known
            async with self._turns.consumer() as consumer:
                records, size = await self._read_page(consumer, located, seq)
            self._keep(located.tenant_id, records, size)
            return records

    def clear(self) -> None:
        """The log is another one."""
        self._partitions = 0
        self._located.clear()
        self._pages.clear()
        self._pages_bytes = 0

    async def _partition(self, tenant_id: int) -> TopicPartition:
        if not self._partitions:
            try:
                topics = await asyncio.to_thread(self._clients.describe, [self._topic])
            except WatchfloorError as error:
                raise UnrecoverableError(UnrecoverableReason.UNAVAILABLE) from error
            if self._topic not in topics:
                raise UnrecoverableError(UnrecoverableReason.UNAVAILABLE)
            self._partitions = len(topics[self._topic].partitions)
        return TopicPartition(self._topic, partition_of(tenant_id, self._partitions))

    async def _read_page(
        self, consumer: AIOKafkaConsumer, located: Located, seq: int
    ) -> tuple[list[StoredRecord], int]:
        records: list[StoredRecord] = []
        at, size, above = located.offset(seq), 0, located.offsets[-1] + 1
        while not records and at < above:
            async for read, read_to in self._turns.records(consumer, located.partition, at, above):
                at = read_to
                for record in read:
                    following = seq + len(records)
                    if following <= located.last and record.offset == located.offset(following):
                        records.append(
                            StoredRecord(following, following - 1, record.offset, record.timestamp, record.value or b"")
                        )
                        size += len(records[-1].value)
                if size >= _PAGE_BYTES:
                    break
        if not records:
            raise UnrecoverableError(UnrecoverableReason.TOO_OLD)
        return records, size

    async def _search(self, span: Span, partition: TopicPartition, before: int | None) -> "array[int]":
        """The offsets of the records of a span, all of which lie below an offset where one is known."""
        turn = partial(self._turns.turn, span.tenant_id, span.user)
        async with turn(), self._turns.consumer() as consumer:
            first = (await consumer.beginning_offsets([partition]))[partition]
            end = (await consumer.end_offsets([partition]))[partition]
        above = end if before is None else min(end, before)
        step, scanned, search = max(_STEP_MIN, 2 * (span.last - span.first + 1)), 0, _Search(span)
        # Done where an older number of the tenant was met, or its first one. Where a worker took over within what
        # was read, one step more: a record of the one before it may stand at the lower end, its rightful copy below.
        met, enough = False, False
        while above > first and not enough:
            below = max(first, above - step)
            scanned += above - below
            if scanned > self._scan_records_max:
                raise UnrecoverableError(UnrecoverableReason.TOO_OLD)
            at, search.lowest = below, span.last + 1
            while at < above:  # one turn each
                async with turn(), self._turns.consumer() as consumer:
                    async for read, read_to in self._turns.records(consumer, partition, at, above):
                        search.take(read)
                        at = read_to
            met_before, met = met, met or search.lowest < max(span.first, 2)
            enough = met and (met_before or len(search.generations) == 1)
            above, step = below, 2 * step
        return search.offsets()

    def _kept(self, tenant_id: int, seq: int) -> Sequence[StoredRecord]:
        for key, page in self._pages.items():
            if key[0] == tenant_id and page[0].seq <= seq <= page[-1].seq:
                self._pages.move_to_end(key)
                return page[seq - page[0].seq :]
        return ()

    def _keep(self, tenant_id: int, page: list[StoredRecord], size: int) -> None:
        before = self._pages.pop((tenant_id, page[0].seq), None)
        self._pages_bytes += size - sum(len(stored.value) for stored in before or ())
        self._pages[tenant_id, page[0].seq] = page
        while self._pages_bytes > _PAGES_BYTES_MAX and len(self._pages) > 1:
            self._pages_bytes -= sum(len(stored.value) for stored in self._pages.popitem(last=False)[1])


class _Search:
    """What a walk back through a partition has found."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._key = tenant_key(span.tenant_id)
        self._found: dict[int, tuple[int, int]] = {}
        """Seq to generation and offset."""
        self.generations: set[int] = set()
        self.lowest = 0
        """The lowest seq of the step, of whatever was met of the tenant."""

    def take(self, records: Sequence[ConsumerRecord]) -> None:
        """Note where the wanted ones are.

        Of several records of one number the one of the newest generation counts, and of these the first: that is
        what the readers' rule shows, whether or not the fence between them lies in the part that was read.
        """
        for record in records:
            if record.key != self._key:
                continue
            try:
                seq = _decode_number(record.value or b"").seq
                generation = generation_of(record.headers)
            except (msgspec.DecodeError, ValueError):  # also a fence, which has no number
                continue
            self.generations.add(generation)
            self.lowest = min(self.lowest, seq)
            if self._span.first <= seq <= self._span.last:
                known, offset = self._found.get(seq), record.offset
                # A step goes over older records than the steps before it, each from its lower end up.
                if known is None or generation > known[0] or (generation == known[0] and offset < known[1]):
                    self._found[seq] = (generation, offset)

    def offsets(self) -> "array[int]":
        """Of all wanted records.

        Raises:
            UnrecoverableError: some were not met.
        """
        wanted = range(self._span.first, self._span.last + 1)
        if len(self._found) != len(wanted):
            raise UnrecoverableError(UnrecoverableReason.TOO_OLD)
        return array("q", (self._found[seq][1] for seq in wanted))
