"""Commit order across topics: which buffered records may be processed now, and in which order. Pure.

As Kafka Streams does (KIP-695), a topic that lags behind its end offset is waited for, one that is caught up is not:
whatever a caught-up topic brings later was committed later, except for a record that is on its way between PostgreSQL
and Kafka. Such late records are counted and keep the place that the journal gives them.
"""

import sys
from collections import deque
from collections.abc import Sequence
from operator import attrgetter

from streams.engine.model import Entry

CommitOrder = tuple[int, int]
"""(commit LSN, LSN): ascending along the commit order of the whole database."""
Buffers = Sequence[deque[Entry]]
"""Per source topic its fetched entries that were not taken yet, in offset order."""

_BEFORE_ALL: CommitOrder = (-1, -1)


def take_ready(
    buffers: Buffers,
    lagging: Sequence[bool],
    *,
    wait: bool = True,
    horizon: CommitOrder | None = None,
    records_max: int = sys.maxsize,
) -> list[Entry]:
    """Take what may be processed now from the buffers, merged in commit order.

    Args:
        buffers: taken entries are removed.
        lagging: per buffer whether the broker has records of its topic that are not in it.
        wait: False takes everything there is, because a lagging topic was waited for long enough.
        horizon: no entry of a later order is taken, see `Partition.set_horizon`; None: there is no horizon.
        records_max: no more are taken from any buffer; none of the others is taken whose order is later than theirs.
    """
    filled = [buffer for buffer in buffers if buffer]
    if not filled:
        return []
    bound = _bound(buffers, lagging) if wait else None
    if bound is not None and bound != _BEFORE_ALL and all((each[0].commit_lsn, each[0].lsn) > bound for each in filled):
        # A buffer ends with what a restarted connector has begun to send again. Where that buffer is full, waiting
        # would never end. What the topic still brings, unless it is a repeat, lies after everything in its buffer.
        bound = _bound([sorted(buffer, key=_sort_key) for buffer in buffers], lagging)
    bound = min((each for each in (bound, horizon, _cut(filled, records_max)) if each is not None), default=None)
    if bound is None:
        if len(filled) == 1:
            taken = list(filled[0])  # a topic's own order is the commit order
            filled[0].clear()
            return taken
        taken = [entry for buffer in filled for entry in buffer]
        for buffer in filled:
            buffer.clear()
    else:
        taken = []
        for buffer in filled:
            room = records_max  # records of one order, such as those without an LSN, may be any number
            while buffer and room and (buffer[0].commit_lsn, buffer[0].lsn) <= bound:
                taken.append(buffer.popleft())
                room -= 1
    return in_commit_order(taken)


def latest_order(buffers: Buffers) -> CommitOrder:
    """The latest commit order of any buffered entry."""
    return max(((entry.commit_lsn, entry.lsn) for buffer in buffers for entry in buffer), default=_BEFORE_ALL)


def take_before(buffers: Buffers, ends: Sequence[int]) -> list[Entry]:
    """Take exactly the entries before the given end offsets, buffer by buffer: a journalled micro-batch."""
    taken = []
    for buffer, end in zip(buffers, ends, strict=True):
        while buffer and buffer[0].offset < end:
            taken.append(buffer.popleft())
    return taken


def in_commit_order(entries: list[Entry]) -> list[Entry]:
    """Sort the list in place; returns it."""
    entries.sort(key=_sort_key)
    return entries


def _bound(buffers: Sequence[Sequence[Entry]], lagging: Sequence[bool]) -> CommitOrder | None:
    """The order up to which no lagging topic can still bring a record; None where none lags."""
    bound: CommitOrder | None = None
    for buffer, lags in zip(buffers, lagging, strict=True):
        if lags:
            last = (buffer[-1].commit_lsn, buffer[-1].lsn) if buffer else _BEFORE_ALL
            bound = last if bound is None or last < bound else bound
    return bound


def _cut(filled: Buffers, records_max: int) -> CommitOrder | None:
    """The order up to which no buffer holds more than so many entries; None where none does.

    Not before the first of that buffer, so that something is taken even where the last was sent again.
    """
    cuts = [
        max(_commit_order(buffer[0]), _commit_order(buffer[records_max - 1]))
        for buffer in filled
        if len(buffer) > records_max
    ]
    return min(cuts, default=None)


_commit_order = attrgetter("commit_lsn", "lsn")
_sort_key = attrgetter("commit_lsn", "lsn", "source_index", "offset")
