"""Per-partition tables: plain dictionaries that remember which keys changed.

A table belongs to one partition of one worker at a time. Reads and writes are dictionary operations; the
changed keys are encoded once, when the engine takes a snapshot for the changelog.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

_SEPARATOR = b":"


class TableSpec(msgspec.Struct, frozen=True):
    """A table's name and the types of its keys and values; both must survive MessagePack."""

    name: str
    key_type: Any
    value_type: Any


class Table(Generic[K, V]):
    """One table of one partition."""

    def __init__(self, spec: TableSpec) -> None:
        self._prefix = spec.name.encode() + _SEPARATOR
        self._decode_key = msgspec.json.Decoder(spec.key_type).decode
        self._decode_value = msgspec.msgpack.Decoder(tuple[int, spec.value_type | None]).decode  # type: ignore[name-defined]
        self.data: dict[K, V] = {}
        self.dirty: set[K] = set()
        self.get = self.data.get
        """`get(key, default=None)`, the dictionary's own: the hot path pays for no indirection."""

    def put(self, key: K, value: V) -> None:
        """Store a value; also call it after changing a stored value in place."""
        self.data[key] = value
        self.dirty.add(key)

    def delete(self, key: K) -> None:
        """Remove a key; a key that is not there is no error."""
        if self.data.pop(key, None) is not None:
            self.dirty.add(key)

    def __len__(self) -> int:
        return len(self.data)

    def take_changes(self, generation: int) -> Iterator[tuple[bytes, bytes | None]]:
        """Changelog key and value of every changed key, None where it is gone; afterwards nothing is changed."""
        dirty, self.dirty = self.dirty, set()
        encode_key, encode_value, get = msgspec.json.encode, msgspec.msgpack.encode, self.data.get
        for key in dirty:
            value = get(key)
            yield self._prefix + encode_key(key), None if value is None else encode_value((generation, value))

    def load(self, key: bytes, value: bytes | None) -> None:
        """Apply one changelog record of this table (without its prefix); None removes the key."""
        decoded = self._decode_key(key)
        stored = None if value is None else self._decode_value(value)[1]
        if stored is None:  # also as earlier versions said it: a value that is null
            self.data.pop(decoded, None)
        else:
            self.data[decoded] = stored

    def touch(self, key: bytes) -> None:
        """Count a key, in its changelog form, as changed: its value is written again."""
        decoded = self._decode_key(key)
        self.dirty.add(decoded)


class PartitionState:
    """All tables of one partition."""

    def __init__(self, specs: tuple[TableSpec, ...]) -> None:
        self.tables: Mapping[str, Table[Any, Any]] = {spec.name: Table(spec) for spec in specs}
        self._derived: dict[type[Any], Any] = {}

    def __getitem__(self, name: str) -> Table[Any, Any]:
        return self.tables[name]

    def derived(self, build: type[D]) -> D:
        """The application's own view of these tables, built once from what was recovered.

        Args:
            build: a class whose constructor takes this state, such as typed access with indexes.
        """
        view = self._derived.get(build)
        if view is None:
            view = self._derived[build] = build(self)  # type: ignore[call-arg]
        return cast(D, view)

    @property
    def dirty_count(self) -> int:
        """Keys that the next snapshot will write."""
        return sum(len(table.dirty) for table in self.tables.values())

    def take_changes(self, generation: int) -> Iterator[tuple[bytes, bytes | None]]:
        """Changelog records of every changed key of every table."""
        for table in self.tables.values():
            yield from table.take_changes(generation)

    def load(self, key: bytes, value: bytes | None) -> None:
        """Apply one changelog record; None removes the key. Raises KeyError for a table that does not exist (any more)."""
        name, _, rest = key.partition(_SEPARATOR)
        self.tables[name.decode()].load(rest, value)

    def touch(self, key: bytes) -> None:
        """Write this changelog key again with the next snapshot."""
        name, _, rest = key.partition(_SEPARATOR)
        self.tables[name.decode()].touch(rest)
