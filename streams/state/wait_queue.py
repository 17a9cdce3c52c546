"""Waiting events in the order in which they arrived, and how they are stored over a restart."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from contracts.envelope import Change
from contracts.rows import ROW_TYPES
from streams.engine.model import Entry, SourceRecord

TABLE = "waiting"


class WaitingEvent(msgspec.Struct, frozen=True, array_like=True):
    """A waiting row change, with all that is needed to judge it, or to make it a dead letter, after a restart."""

    due_ms: int
    """When it is judged without what it waits for; not before an earlier event of its tenant."""
    needs: list[str]
    """What was missing when it arrived; empty if it only waits behind another event of its person."""
    site_id: int | None
    person_id: int | None
    table: str
    op: str
    before: bytes | None
    """The rows as MessagePack with canonical names."""
    after: bytes
    commit_lsn: int
    lsn: int
    commit_us: int
    claimed_commit_us: int | None
    txid: int | None
    source_index: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    """The key of the source record, for its dead letter."""


class WaitQueue:
    """The waiting events of a tenant, numbered in the order in which they arrived."""

    __slots__ = ("_needs", "_persons", "events")

    def __init__(self, events: Iterable[tuple[int, WaitingEvent]] = ()) -> None:
        self.events: dict[int, WaitingEvent] = {}
        self._persons: Counter[int | None] = Counter()
        self._needs: Counter[tuple[str, int | None]] = Counter()
        """How many events lack each row, by the names of `streams.detection.reference_wait` and its id."""
        for number, event in sorted(events):
            self.add(number, event)

    def add(self, number: int, event: WaitingEvent) -> None:
        """Append an event."""
        self.events[number] = event
        self._persons[event.person_id] += 1
        self._needs.update(_needs_of(event))

    def remove(self, number: int) -> None:
        """Remove an event at any position."""
        event = self.events.pop(number)
        _subtract(self._persons, event.person_id)
        for need in _needs_of(event):
            _subtract(self._needs, need)

    def has(self, person_id: int | None) -> bool:
        """Whether an event of this person is waiting."""
        return person_id is not None and self._persons[person_id] > 0

    def lacks(self, name: str, row_id: int | None) -> bool:
        """Whether an event lacked this row when it arrived."""
        return self._needs[name, row_id] > 0


def _needs_of(event: WaitingEvent) -> list[tuple[str, int | None]]:
    return [(name, event.site_id if name == "site" else event.person_id) for name in event.needs]


def _subtract(counts: Counter[Any], key: Any) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]


def waiting_event(entry: Entry, needs: Iterable[str], due_ms: int) -> WaitingEvent:
    """The stored form of an entry whose change has a new row."""
    change, record = entry.change, entry.record
    return WaitingEvent(
        due_ms,
        list(needs),
        change.after.site_id,
        change.after.person_id,
        change.table,
        change.op,
        None if change.before is None else _encode_row(change.before),
        _encode_row(change.after),
        change.commit_lsn,
        change.lsn,
        change.commit_us,
        change.claimed_commit_us,
        change.txid,
        entry.source_index,
        entry.offset,
        record.timestamp,
        record.key,
        record.value,
    )


def _encode_row(row: Any) -> bytes:
    """Encode a row by the names of its fields, because a customer's column names could not be decoded again."""
    return msgspec.msgpack.encode(msgspec.structs.asdict(row))


def entry_of(event: WaitingEvent) -> Entry:
    """The entry of a stored event: the same change, with the part of its record that a dead letter needs."""
    row_type = ROW_TYPES[event.table]
    before = None if event.before is None else msgspec.msgpack.decode(event.before, type=row_type)
    after = msgspec.msgpack.decode(event.after, type=row_type)
    change = Change(
        event.table,
        event.op,  # type: ignore[arg-type]  # it was valid when it arrived
        before,
        after,
        after,
        event.commit_lsn,
        event.lsn,
        event.commit_us,
        snapshot=False,
        txid=event.txid,
        claimed_commit_us=event.claimed_commit_us,
    )
    record = SourceRecord(event.offset, event.timestamp_ms, event.key, event.value)
    return Entry(event.commit_lsn, event.lsn, event.source_index, event.offset, change, record)
