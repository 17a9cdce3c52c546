"""The only writer of the feed: numbers each outcome, encodes it once, stores the tenant and appends the record.

Reads: the outcomes of handlers, in their order.
Writes: noc.anomalies, noc.processed, noc.dead-letters, through the micro-batch; the tenant's last sequence number.
Guarantee: the bytes of the feed depend only on the outcomes; only the latencies of clean events use the clock, which
is read once for each micro-batch. A record that cannot be encoded leaves no gap in the numbers.
On failure: if the message of an outcome is too large or cannot be encoded, its source record becomes a dead letter.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog

from common.settings.worker import FeedSettings
from contracts.dead_letters import RECORDS_LEFT_OUT_HEADER, VALUE_LEFT_OUT_HEADER, dead_letter_headers
from contracts.feed import ProcessedBatch, ProcessedEvent, cloudevent_headers, encode_record
from contracts.topics import TopicNames, tenant_key
from streams.feed.records import RECORDS, Number
from streams.metrics import WorkerMetrics
from streams.outcomes import (
    AbsenceFound,
    EventClean,
    FeedOutcome,
    FindingRaised,
    Outcomes,
    RecordFailed,
    RecordsLeftOut,
    TicketStatusChanged,
    TimerFailed,
)
from streams.rate_limit.dead_letter_limit import DeadLetterLimit, tenant_of
from streams.state.entities import TenantState
from streams.turn import Turn

log = structlog.get_logger(__name__)


class RecordTooLargeError(Exception):
    """A feed record is larger than the settings allow; its source record becomes a dead letter."""


class OutputTopics(NamedTuple):
    """The output topics and the source topics."""

    names: TopicNames
    sources: tuple[str, ...]
    """The source topics by index, for the headers of dead letters."""
    tables: tuple[str, ...]
    """The canonical table of each source, for the metrics."""


class FeedWriter:
    """Writes the outcomes of a micro-batch.

    Args:
        epoch: the identity of the feed's log.
        clock: returns the time in seconds since 1970.
        dead_letter_limit: which failed records get a dead letter of their own.
    """

    def __init__(
        self,
        topics: OutputTopics,
        epoch: str,
        clock: Callable[[], float],
        metrics: WorkerMetrics,
        limits: FeedSettings,
        dead_letter_limit: DeadLetterLimit,
    ) -> None:
        self._topics = topics
        self._epoch = epoch
        self._clock = clock
        self._metrics = metrics
        self._limits = limits
        self._dead_letter_limit = dead_letter_limit
        self._clean: dict[int, list[EventClean]] = {}

    def write(self, turn: Turn, outcomes: Outcomes) -> None:
        """Write outcomes in their order.

        If `outcomes` is a generator that raises, what it yielded before is written.
        """
        for outcome in outcomes:
            if type(outcome) is EventClean:
                clean = self._clean.get(outcome.tenant_id)
                if clean is None:
                    clean = self._clean[outcome.tenant_id] = []
                clean.append(outcome)
            elif type(outcome) is RecordFailed:
                self._write_dead_letter(turn, outcome)
            elif type(outcome) is RecordsLeftOut:
                self._write_left_out(turn, outcome)
            elif type(outcome) is TimerFailed:
                self._count_failed_timer(outcome.tenant_id, outcome.detector, outcome.exception_class)
            else:
                self._write_message(turn, outcome)  # type: ignore[arg-type]  # all other outcomes are handled above

    def flush(self, turn: Turn) -> None:
        """Write the clean events of the micro-batch, in one or a few records for each tenant, and measure its latency."""
        now_us = round(self._clock() * 1e6)
        if turn.oldest_us:
            self._metrics.detection_seconds.observe(max(0.0, (now_us - turn.oldest_us) / 1e6))
        count = self._limits.processed_events_max
        for tenant_id, events in self._clean.items():
            for part, start in enumerate(range(0, len(events), count)):
                record = ProcessedBatch(
                    tenant_id=tenant_id,
                    batch=turn.batch.number,
                    part=part,
                    events=[
                        ProcessedEvent(
                            each.event_id,
                            each.event_type,
                            each.site_id,
                            each.client_id,
                            (now_us - each.commit_us) / 1000,
                        )
                        for each in events[start : start + count]
                    ],
                )
                turn.batch.emit(self._topics.names.processed, tenant_key(tenant_id), encode_record(record))
        self._clean = {}

    def _write_message(self, turn: Turn, outcome: FeedOutcome) -> None:
        """Append a message. If that fails, its source record becomes a dead letter, or a timer's failure is counted.

        Raises:
            Exception: the message of a ticket's status failed. It is the first one about its row, so the row has failed.
        """
        try:
            self._append(turn, outcome)
        except (RecordTooLargeError, msgspec.MsgspecError, ArithmeticError, ValueError) as error:
            if isinstance(outcome, TicketStatusChanged):
                raise
            if isinstance(outcome, FindingRaised):  # the entry of this row, or of an event that had waited
                self._write_dead_letter(turn, RecordFailed.by(outcome.entry, outcome.change.table, error))
            else:
                detector = outcome.detector if isinstance(outcome, AbsenceFound) else "rate_limit"
                self._count_failed_timer(outcome.tenant_id, detector, type(error).__name__)

    def _append(self, turn: Turn, outcome: FeedOutcome) -> None:
        """Append a message to the feed, then store its number as the tenant's last.

        Raises:
            RecordTooLargeError: the message is too large; nothing was appended.
        """
        tenants = turn.tables.tenants
        tenant_id = (
            outcome.change.row.tenant_id
            if isinstance(outcome, FindingRaised | TicketStatusChanged)
            else outcome.tenant_id
        )
        tenant = tenants.get(tenant_id) or TenantState()
        record = RECORDS[type(outcome)](outcome, Number(tenant.seq + 1, self._epoch))
        value = encode_record(record)
        if len(value) > self._limits.record_bytes_max:
            raise RecordTooLargeError(
                f"its message would take {len(value)} bytes, the limit is {self._limits.record_bytes_max}"
            )
        turn.batch.emit(self._topics.names.anomalies, tenant_key(tenant_id), value, cloudevent_headers(record))
        tenant.seq = record.seq
        tenants.put(tenant_id, tenant)
        self._metrics.messages.labels(type(record).__struct_config__.tag).inc()
        if isinstance(outcome, FindingRaised | AbsenceFound):
            for draft in outcome.drafts:
                self._metrics.findings.labels(draft.finding_type).inc()

    def _write_dead_letter(self, turn: Turn, failure: RecordFailed) -> None:
        """Append the original record to the dead letters, with its reason and an id that the log also has."""
        entry, batch = failure.entry, turn.batch
        turn.failed[id(entry)] = entry.record.key
        self._metrics.dead_letters.labels(self._topics.tables[entry.source_index]).inc()
        tenant_id = tenant_of(entry.record.key)
        if not self._dead_letter_limit.admit(turn.tables, tenant_id, entry.record.timestamp):
            report = self._dead_letter_limit.leave_out(turn.tables, tenant_id, entry.source_index, entry.offset)
            if report is not None:
                self._write_left_out(turn, report)
            return
        topic = self._topics.sources[entry.source_index]
        headers = dead_letter_headers(
            topic=topic,
            partition=batch.partition,
            offset=entry.offset,
            reason=failure.reason,
            detector=failure.detector,
            exception_class=failure.exception_class,
        )
        key, value = entry.record.key, entry.record.value
        if len(key or b"") + len(value or b"") > self._limits.dead_letter_bytes_max:
            headers.append((VALUE_LEFT_OUT_HEADER, b"%d" % len(value or b"")))
            key, value = None, None
        batch.emit(self._topics.names.dead_letters, key, value, headers)
        log.warning(
            "dead letter",
            correlation_id=dict(headers)["correlation_id"].decode(),
            topic=topic,
            partition=batch.partition,
            offset=entry.offset,
            detector=failure.detector,
            error=failure.exception_class,
        )

    def _write_left_out(self, turn: Turn, outcome: RecordsLeftOut) -> None:
        """Append one dead letter that says where the failed records are that have none of their own."""
        topics = self._topics.sources
        offsets = {topics[source_index]: ranges for source_index, ranges in outcome.offsets.items()}
        first_index, ((first_offset, _), *_) = next(iter(outcome.offsets.items()))
        headers = dead_letter_headers(
            topic=topics[first_index],
            partition=turn.batch.partition,
            offset=first_offset,
            reason=f"{outcome.records} failed records beyond the tenant's limit of dead letters; the value says where they are",
            detector="dead_letter_limit",
            exception_class="TooManyDeadLetters",
        )
        headers.append((RECORDS_LEFT_OUT_HEADER, b"%d" % outcome.records))
        value = msgspec.json.encode({"tenant_id": outcome.tenant_id, "count": outcome.records, "offsets": offsets})
        turn.batch.emit(self._topics.names.dead_letters, tenant_key(outcome.tenant_id), value, headers)
        log.warning("dead letters left out", tenant_id=outcome.tenant_id, count=outcome.records, topics=list(offsets))

    def _count_failed_timer(self, tenant_id: int, detector: str, exception_class: str) -> None:
        self._metrics.timers_failed.inc()
        log.error("a detector's timer raised", detector=detector, error=exception_class, tenant_id=tenant_id)
