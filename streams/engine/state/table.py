"""One table of one partition: a plain dictionary that remembers which keys changed.

A table belongs to one partition of one worker at a time. Reads and writes are dictionary operations; the
changed keys are encoded once, when the engine takes a snapshot for the changelog. A value that cannot be encoded is a
defect of the application, and is left out then. Tables with bounds are in `streams.engine.state.bounded_table`.
"""

from collections.abc import Callable, Hashable, Iterable
from operator import itemgetter
from typing import Any, Generic, TypeVar

import msgspec
import structlog

log = structlog.get_logger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

ChangelogRecord = tuple[bytes, bytes | None]
"""Key and value; None: the key is gone."""

SEPARATOR = b":"
"""Between a table's name and a key."""
RESERVED_PREFIX = b"@"
"""Keys that begin with it belong to no table: position, fences, chunks of a snapshot."""
NOT_ENCODABLE = (msgspec.MsgspecError, ArithmeticError, ValueError, TypeError, RecursionError)
"""What the codecs raise for a value that they cannot encode, such as a number beyond 64 bits."""
_LEFT_OUT_LOGGED_MAX = 10
"""Keys that cannot be encoded, of one snapshot, that get a line in the log."""
_SIZES_MIN = 1_000
"""Records whose sizes count at least; with fewer keys than these older sizes count for longer."""


class TableSpec(msgspec.Struct, frozen=True):
    """A table's name, the types of its keys and values (both must survive MessagePack), and its bounds.

    A table with bounds knows when each key was last used, see `streams.engine.state.bounded_table`.
    """

    name: str
    key_type: Any
    value_type: Any
    keys_per_group_max: int | None = None
    """Keys of one group, such as a tenant; one more evicts the group's least recently used key."""
    expire_after_s: int | None = None
    """Log time without use after which a key is gone."""
    use_interval_s: int = 86_400
    """A read is noted as use only where the last noted use is this long ago."""
    group_of: Callable[[Any], Any] = itemgetter(0)
    """The group of a key."""
    group_name: str = "group"
    """What the log calls a group, such as `tenant_id`."""
    advice: str = ""
    """What an operator can do where keys are evicted because there are too many."""

    @property
    def bounded(self) -> bool:
        """Whether the table has a bound."""
        return self.keys_per_group_max is not None or self.expire_after_s is not None


class Stored(msgspec.Struct, Generic[V], array_like=True):
    """A value of the changelog. Bounded or not: a table may be given a bound later, or lose it."""

    generation: int
    value: V | None
    """None: earlier versions deleted keys in this way."""
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
        """`get(key, default=None)`: the dictionary's own method, so that the hot path has no indirection."""
        self._sized_records = self._sized_bytes = 0

    def put(self, key: K, value: V) -> None:
        """Store a value."""
        self.data[key] = value
        self.dirty.add(key)

    def changed(self, key: K) -> None:
        """Note that the value of an existing key was changed in place."""
        self.dirty.add(key)

    def delete(self, key: K) -> None:
        """Remove a key, if it is there."""
        if self.data.pop(key, None) is not None:
            self.dirty.add(key)

    def __len__(self) -> int:
        return len(self.data)

    @property
    def encoded_bytes(self) -> int:
        """About how large the table is in a compacted changelog, keys and values.

        The number of keys times the mean size of the records that were read and written last: to remember the size
        of every key would take more memory than many of the values.
        """
        return len(self.data) * self._sized_bytes // max(1, self._sized_records)

    def take_changes(self, generation: int) -> list[ChangelogRecord]:
        """Changelog records of every changed key; afterwards no key counts as changed."""
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
        try:
            return [
                (prefix + encode_key(key), None if (value := get(key)) is None else encode((generation, value)))
                for key in dirty
            ]
        except NOT_ENCODABLE:
            return self._encodable(dirty, lambda key: (generation, self.data[key]))

    def _encodable(self, keys: Iterable[K], content_of: Callable[[K], Any]) -> list[ChangelogRecord]:
        """The records of these keys, without those that cannot be encoded: the others must not wait for them."""
        records: list[ChangelogRecord] = []
        left_out: list[str] = []
        for key in keys:
            try:
                value = msgspec.msgpack.encode(content_of(key)) if key in self.data else None
                records.append((self._prefix + msgspec.json.encode(key), value))
            except NOT_ENCODABLE:
                left_out.append(repr(key)[:100])
        log.error(
            "values cannot be stored, the changelog keeps the ones before them",
            table=self.spec.name,
            count=len(left_out),
            keys=left_out[:_LEFT_OUT_LOGGED_MAX],
        )
        return records

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
