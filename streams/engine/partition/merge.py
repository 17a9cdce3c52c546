"""Commit order across topics: which buffered records may be processed now, and in which order. Pure.

As Kafka Streams does (KIP-695), a topic that lags behind its end offset is waited for, one that is
caught up is not: whatever of a caught-up topic comes later has been committed later, except for a record
that is on its way between PostgreSQL and Kafka. Such late ones are counted and keep the place that the
journal gives them.
"""

from collections import deque
from collections.abc import Sequence
from operator import attrgetter

from streams.engine.model import Entry

Order = tuple[int, int]
"""(commit LSN, LSN): ascending along the commit order of the whole database."""

_NOWHERE: Order = (-1, -1)


def cut(
    buffers: Sequence[deque[Entry]], lagging: Sequence[bool], *, wait: bool = True, horizon: Order | None = None
) -> list[Entry]:
    """Take from the buffers what may be processed now, merged in commit order.

    Args:
        buffers: per source topic its fetched entries, in offset order; taken entries are removed.
        lagging: per source topic whether the broker has records that are not in its buffer.
        wait: False takes everything there is, because a lagging topic was waited for long enough.
        horizon: nothing behind it is taken, see `reach`; None: there is none.
    """
    filled = [buffer for buffer in buffers if buffer]
    if not filled:
        return []
    bound = _bound(buffers, lagging) if wait else None
    if bound is not None and bound != _NOWHERE and all((each[0].commit_lsn, each[0].lsn) > bound for each in filled):
        # A buffer ends with what a restarted connector has begun to send again. Waiting would be for ever where
        # the buffer is full: what the topic still brings and was not there yet lies behind all that it has.
        bound = _bound([sorted(buffer, key=_place) for buffer in buffers], lagging)
    if horizon is not None:
        bound = horizon if bound is None or horizon < bound else bound
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
            while buffer and (buffer[0].commit_lsn, buffer[0].lsn) <= bound:
                taken.append(buffer.popleft())
    return _in_order(taken)


def reach(buffers: Sequence[deque[Entry]]) -> Order:
    """The latest place in the commit order that any buffered entry has."""
    return max(((entry.commit_lsn, entry.lsn) for buffer in buffers for entry in buffer), default=_NOWHERE)


def take_spans(buffers: Sequence[deque[Entry]], ends: Sequence[int]) -> list[Entry]:
    """Take exactly the entries below the given end offsets: a journalled micro-batch, run again."""
    taken = []
    for buffer, end in zip(buffers, ends, strict=True):
        while buffer and buffer[0].offset < end:
            taken.append(buffer.popleft())
    return _in_order(taken)


def _bound(buffers: Sequence[Sequence[Entry]], lagging: Sequence[bool]) -> Order | None:
    """The order up to which no lagging topic can still bring a record; None where none lags."""
    bound: Order | None = None
    for buffer, lags in zip(buffers, lagging, strict=True):
        if lags:
            reach = (buffer[-1].commit_lsn, buffer[-1].lsn) if buffer else _NOWHERE
            bound = reach if bound is None or reach < bound else bound
    return bound


def _in_order(entries: list[Entry]) -> list[Entry]:
    entries.sort(key=_place)
    return entries


_place = attrgetter("commit_lsn", "lsn", "source_index", "offset")
