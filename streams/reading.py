"""From a fetched record to an entry of the engine: decoded, placed in commit order, its time clamped."""

from collections.abc import Sequence

import msgspec

from contracts.envelope import ChangeDecoder
from streams.engine.model import Entry, Poison, RawRecord
from streams.metrics import WorkerMetrics


class Reader:
    """Decodes the records of the captured topics.

    Args:
        decoder: knows the tables and a customer's column names.
        tables: canonical table names by topic rank.
        future_ms_max: a commit time may lie this far ahead of the record's append time; one wrong clock
            must not move a tenant's time.
        metrics: where it counts.
    """

    def __init__(
        self, decoder: ChangeDecoder, tables: Sequence[str], *, future_ms_max: int, metrics: WorkerMetrics
    ) -> None:
        self._decode = decoder.decode
        self._tables = tuple(tables)
        self._future_ms_max = future_ms_max
        self._metrics = metrics

    def entry(self, rank: int, record: RawRecord) -> Entry:
        """The record's entry. Never raises: what cannot be read becomes a Poison.

        Snapshot rows and unreadable records have no place in commit order: they come first in their
        micro-batch and are never taken for repeats.
        """
        try:
            change = self._decode(self._tables[rank], record.value)
        except (msgspec.MsgspecError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            return Entry(0, 0, rank, record.offset, Poison(str(error), type(error).__name__), record)
        if change is None:
            return Entry(0, 0, rank, record.offset, None, record)
        if change.snapshot:
            return Entry(0, 0, rank, record.offset, change, record, change.lsn)
        latest_us = (record.timestamp + self._future_ms_max) * 1000
        if change.commit_us > latest_us:
            change = msgspec.structs.replace(change, commit_us=latest_us)
            self._metrics.clamped.inc()
        return Entry(change.commit_lsn, change.lsn, rank, record.offset, change, record)
