"""Decodes the records of captured topics into entries, with their commit order and a clamped commit time.

The commit time comes from PostgreSQL's clock, which may be wrong and must not advance a tenant's log time. If it is
more than `future_ms_max` later than the time at which the record was appended to its topic, the append time counts
instead; the feed shows both.
"""

from collections.abc import Sequence

import msgspec

from contracts.envelope import ChangeDecoder
from streams.engine.model import Entry, RawRecord, UnreadableRecord
from streams.metrics import WorkerMetrics


class CdcRowReader:
    """Decodes the records of the captured topics.

    Args:
        tables: the canonical table names by source index.
        future_ms_max: how far a commit time may be ahead of the record's append time.
    """

    def __init__(
        self, decoder: ChangeDecoder, tables: Sequence[str], *, future_ms_max: int, metrics: WorkerMetrics
    ) -> None:
        self._decode = decoder.decode
        self._tables = tuple(tables)
        self._future_ms_max = future_ms_max
        self._metrics = metrics

    def entry(self, source_index: int, record: RawRecord) -> Entry:
        """The entry of a record. Never raises: an unreadable one becomes an entry with an UnreadableRecord.

        A snapshot row comes before everything that was committed after the snapshot and never counts as a repeat.
        An unreadable record has no LSN and comes first in its micro-batch.
        """
        try:
            change = self._decode(self._tables[source_index], record.value)
        except (msgspec.MsgspecError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            return Entry(0, 0, source_index, record.offset, UnreadableRecord(str(error), type(error).__name__), record)
        if change is None:
            return Entry(0, 0, source_index, record.offset, None, record)
        if change.commit_us > (record.timestamp + self._future_ms_max) * 1000 and record.timestamp >= 0:
            change = msgspec.structs.replace(
                change, commit_us=record.timestamp * 1000, claimed_commit_us=change.commit_us
            )
            self._metrics.clamped.inc()
        if change.snapshot:
            return Entry(change.commit_lsn, 0, source_index, record.offset, change, record, change.lsn)
        return Entry(change.commit_lsn, change.lsn, source_index, record.offset, change, record)
