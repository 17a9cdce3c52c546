"""One table of one partition: a plain dictionary that remembers which keys changed.

A table belongs to one partition of one worker at a time. Reads and writes are dictionary operations; the
changed keys are encoded once, when the engine takes a snapshot for the changelog. Tables whose entities are
bounded are in `streams.engine.state.bounded_table`.
"""

from collections.abc import Callable, Hashable
from operator import itemgetter
from typing import Any, Generic, TypeVar

import msgspec

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

ChangelogRecord = tuple[bytes, bytes | None]
"""Key and value; None: the key is gone."""

SEPARATOR = b":"
_SIZES_MIN = 1_000
"""Records whose sizes count at least; with fewer keys than these older sizes count for longer."""


class TableSpec(msgspec.Struct, frozen=True):
    """A table's name, the types of its keys and values (both must survive MessagePack), and its bounds.

    A table with bounds knows when each key was last used (see `streams.engine.state.bounded_table`), one without does not.
    """

    name: str
    key_type: Any
    value_type: Any
    entities_per_tenant_max: int | None = None
    """Keys of one tenant; a new one beyond it pushes out the one that was not used for longest."""
    expire_after_s: int | None = None
    """Log time without use after which a key is gone."""
    use_interval_s: int = 86_400
    """A read counts as use where the last use is this long ago: reads more often change nothing."""
    tenant_of: Callable[[Any], Any] = itemgetter(0)
    """The tenant of a key."""

    @property
    def bounded(self) -> bool:
        """Whether the table has a bound."""
        return self.entities_per_tenant_max is not None or self.expire_after_s is not None


class Stored(msgspec.Struct, Generic[V], array_like=True):
    """A value of the changelog, bounded or not: a table may get its bound later, or lose it."""

    generation: int
    value: V | None
    """None: earlier versions deleted keys so."""
    used_us: int = 0
    """Log time of the last use, microseconds; 0: not known."""


class Table(Generic[K, V]):
    """One table of one partition."""

    def __init__(self, spec: TableSpec) -> None:
        self.spec = spec
        self._prefix = spec.name.encode() + SEPARATOR
        self._decode_key = msgspec.json.Decoder(spec.key_type).decode
        self._decode_value = msgspec.msgpack.Decoder(Stored[spec.value_type]).decode  # type: ignore[name-defined]
        self.data: dict[K, V] = {}
        self.dirty: set[K] = set()
        self.get = self.data.get
        """`get(key, default=None)`, the dictionary's own: the hot path pays for no indirection."""
        self._sized_records = self._sized_bytes = 0

    def put(self, key: K, value: V) -> None:
        """Store a value."""
        self.data[key] = value
        self.dirty.add(key)

    def changed(self, key: K) -> None:
        """The value of a key that is there was changed in place."""
        self.dirty.add(key)

    def delete(self, key: K) -> None:
        """Remove a key; a key that is not there is no error."""
        if self.data.pop(key, None) is not None:
            self.dirty.add(key)

    def __len__(self) -> int:
        return len(self.data)

    @property
    def encoded_bytes(self) -> int:
        """About how large the table is in a compacted changelog, keys and values.

        The number of keys times the mean size of the records read and written last: the size of every key
        would cost more memory than many a value.
        """
        return len(self.data) * self._sized_bytes // max(1, self._sized_records)

    def take_changes(self, generation: int) -> list[ChangelogRecord]:
        """Changelog records of every changed key; afterwards nothing counts as changed."""
        if not self.dirty:
            return []
        records = self._encode_changes(generation)
        sizes = [len(key) + len(value) for key, value in records if value is not None]
        self._note_sizes(len(sizes), sum(sizes))
        return records

    def load(self, key: bytes, value: bytes | None) -> None:
        """Apply one changelog record of this table (without its prefix); None removes the key."""
        decoded = self._decode_key(key)
        stored = None if value is None else self._decode_value(value)
        if stored is None or stored.value is None:
            self._forget(decoded)
        else:
            self._take_in(decoded, stored)
            self._note_sizes(1, len(self._prefix) + len(key) + len(value or b""))

    def touch(self, key: bytes) -> None:
        """Count a key, in its changelog form, as changed: its value is written again."""
        self.dirty.add(self._decode_key(key))

    def _encode_changes(self, generation: int) -> list[ChangelogRecord]:
        dirty, self.dirty = self.dirty, set()
        prefix, encode_key, encode, get = self._prefix, msgspec.json.encode, msgspec.msgpack.encode, self.data.get
        return [
            (prefix + encode_key(key), None if (value := get(key)) is None else encode((generation, value)))
            for key in dirty
        ]

    def _forget(self, key: K) -> None:
        self.data.pop(key, None)

    def _take_in(self, key: K, stored: Stored[V]) -> None:
        self.data[key] = stored.value  # type: ignore[assignment]  # the caller has looked

    def _note_sizes(self, records: int, size_bytes: int) -> None:
        self._sized_records += records
        self._sized_bytes += size_bytes
        if self._sized_records > 2 * len(self.data) + _SIZES_MIN:
            self._sized_records //= 2
            self._sized_bytes //= 2
