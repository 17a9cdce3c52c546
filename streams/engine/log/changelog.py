"""What a partition's changelog says, read record by record: the latest state, its position, who owns it.

Pure. Owns the rule by which a record of an older owner counts here: after a fence it does not. Values stay encoded
until the state is needed, since most records of a changelog are followed by a later one of their key. That keeps a warm
copy of another worker's partition small, and makes reading cheap.
"""

from collections.abc import Sequence

import msgspec

from streams.engine.formats import GENERATION_HEADER, PartitionPosition, Provenance, StateFence, check_format
from streams.engine.model import RawRecord
from streams.engine.state.chunked_snapshot import CHUNK_PREFIX, SnapshotChunks
from streams.engine.state.partition_state import PartitionState
from streams.engine.state.table import RESERVED_PREFIX, ChangelogRecord

POSITION_KEY = b"@position"
FENCE_KEY = b"@fence:"
"""Followed by the generation: under compaction every fence must survive beside the others."""

_RESERVED = RESERVED_PREFIX[0]
_PAIR, _TRIPLE = 0x92, 0x93
"""MessagePack: an array of generation and content, and of those and the last use."""
_ONE_BYTE, _UINT8, _UINT16 = 0x80, 0xCC, 0xCD
_NO_POSITION = PartitionPosition(0, {}, 0, {}, (0, 0), {})

_decode_position = msgspec.msgpack.Decoder(tuple[int, PartitionPosition]).decode
_decode_fence = msgspec.msgpack.Decoder(StateFence).decode


class _ValueStart(msgspec.Struct, array_like=True):
    """The beginning of every value; what follows is skipped."""

    generation: int


_decode_start = msgspec.msgpack.Decoder(_ValueStart).decode


def state_generation(record: RawRecord) -> int:
    """Which generation wrote a record of the changelog; a tombstone has it in a header.

    Raises:
        msgspec.MsgspecError, ValueError: no worker wrote it.
    """
    if record.value is None:
        return int(dict(record.headers).get(GENERATION_HEADER, b""))
    return _decode_start(record.value).generation


def encode_position(generation: int, position: PartitionPosition) -> ChangelogRecord:
    """The changelog record that says how far the state beside it has come."""
    return POSITION_KEY, msgspec.msgpack.encode((generation, position))


def encode_state_fence(generation: int, writer: Provenance) -> ChangelogRecord:
    """The changelog record that starts a generation."""
    return FENCE_KEY + b"%d" % generation, msgspec.msgpack.encode(StateFence(generation, writer))


class Changelog:
    """What was read of a partition's changelog so far, from its beginning, in order and without a gap."""

    def __init__(self) -> None:
        self.read_to = 0
        """The offset to read on from."""
        self.owner = 0
        """Generation that wrote the position."""
        self.written_by = Provenance()
        """Who wrote the position, and the state that belongs to it."""
        self.highest_generation = 0
        """Found in any record."""
        self.stale = 0
        """Records that did not count."""
        self._displaced: set[bytes] = set()
        """Keys whose last record does not count. Compaction would keep that one and remove the good one, so they must
        be written again."""
        self._fence = 0
        self._fenced_by = Provenance()
        """Who writes since the last fence."""
        self._position = b""
        self._decoded = _NO_POSITION
        self._latest: dict[bytes, bytes] = {}
        self._chunks = SnapshotChunks(self._put)

    def __len__(self) -> int:
        return len(self._latest)

    @property
    def position(self) -> PartitionPosition:
        """How far the state has come."""
        if self._position:
            self._decoded, self._position = _decode_position(self._position)[1], b""
        return self._decoded

    @property
    def lacks_position(self) -> bool:
        """Whether there are keys, which are only ever written together with a position, and no position."""
        return bool(self._latest) and self.position is _NO_POSITION

    @property
    def keys_to_rewrite(self) -> set[bytes]:
        """Keys that the next owner must write again, or delete: displaced ones, and those of chunked snapshots."""
        return {*self._displaced, *self._chunks.keys, *self._chunks.carried}

    def take_in(self, records: Sequence[RawRecord]) -> None:
        """Read on. This is most of a recovery's time: per record no more than a few dictionary operations.

        Raises:
            NewerFormatError: a later release has written to it.
        """
        latest, displaced = self._latest, self._displaced
        for record in records:
            key, value = record.key, record.value
            if not key or not value or key[0] == _RESERVED or not _PAIR <= value[0] <= _TRIPLE:
                self._take_in_special(record)
                continue
            generation = value[1]
            if generation >= _ONE_BYTE:
                generation = _long_generation(value)
            self.highest_generation = max(self.highest_generation, generation)
            if generation < self._fence:
                self.stale += 1
                displaced.add(key)
            else:
                latest[key] = value
                if displaced:
                    displaced.discard(key)
        if records:
            self.read_to = records[-1].offset + 1

    def load_into(self, state: PartitionState) -> None:
        """Fill empty tables with what was read; to be called once, at the end."""
        for key, value in self._latest.items():
            try:
                state.load(key, value)
            except KeyError:  # a table of an earlier version of the application
                self.stale += 1
        self._latest.clear()

    def _take_in_special(self, record: RawRecord) -> None:
        """A fence, a position, a chunk, a tombstone."""
        key, value, generation = record.key or b"", record.value, state_generation(record)
        self.highest_generation = max(self.highest_generation, generation)
        if key.startswith(FENCE_KEY):
            fenced_by = _decode_fence(value or b"").written_by or Provenance()
            check_format("the state", fenced_by)
            if generation >= self._fence:
                self._fence, self._fenced_by = generation, fenced_by
        elif generation < self._fence:
            self.stale += 1
            self._displaced.add(key)
        else:
            self._displaced.discard(key)
            if key.startswith(CHUNK_PREFIX):
                self._chunks.on_record(key, value)
            elif key == POSITION_KEY:
                self.owner, self._position = generation, value or b""
                self.written_by = self._fenced_by if generation == self._fence else Provenance()
            else:
                self._put(key, value)

    def _put(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._latest.pop(key, None)
        else:
            self._latest[key] = value


def _long_generation(value: bytes) -> int:
    """The generation of a value where it takes more than one byte."""
    if value[1] == _UINT8:
        return value[2]
    if value[1] == _UINT16:
        return value[2] << 8 | value[3]
    return _decode_start(value).generation
