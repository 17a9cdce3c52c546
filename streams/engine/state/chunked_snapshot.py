"""Snapshots that do not fit into one RecordBatch: written in chunks that count only once all are there.

A RecordBatch is stored whole or not at all, so the changed keys and the position normally share one. Where they are too
many, this happens instead, each step acknowledged before the next:

1. the keys are written in chunk records, each under a key of its own, so that they displace nothing;
2. one RecordBatch holds the position and how many chunks belong to it: from here on they count;
3. the same keys are written as ordinary records, in as many RecordBatches as it takes;
4. the chunks and their commit record are deleted, by tombstones.

A crash before 2 leaves chunks that do not count; one after it leaves chunks that say the same as what step 3 was about
to write. The next owner writes their keys again and deletes them. Compaction removes a chunk only after its tombstone,
which means: after its keys have been written as ordinary records. Pure.
"""

from collections.abc import Callable, Iterable

import msgspec

from streams.engine.model import OutputRecord
from streams.engine.state.table import ChangelogRecord

CHUNK_KEY = b"@part:"
"""Followed by generation, number of the snapshot and index: never used twice."""
COMMIT_KEY = b"@parts:"
"""Followed by generation and number of the snapshot."""
CHUNK_PREFIX = b"@part"
"""What both begin with."""

RECORD_OVERHEAD_BYTES = 32
"""A record takes at most this much beside its key and value."""
BATCH_OVERHEAD_BYTES = 64
"""The header of a RecordBatch takes at most this much."""

_decode_chunk = msgspec.msgpack.Decoder(tuple[int, list[bytes | None]]).decode
_decode_commit = msgspec.msgpack.Decoder(tuple[int, int]).decode


def split_into_chunks(
    generation: int, number: int, records: Iterable[ChangelogRecord], bytes_max: int
) -> tuple[list[OutputRecord], ChangelogRecord]:
    """The chunks that carry these records, and the commit record that makes them count.

    Args:
        generation: of the owner.
        number: tells the owner's chunked snapshots apart.
        records: ordinary changelog records.
        bytes_max: about how large a chunk may be; only one that carries a single record may be larger.
    """
    chunks: list[OutputRecord] = []
    pairs: list[bytes | None] = []
    size = 0

    def close() -> None:
        key = b"%s%d:%d:%d" % (CHUNK_KEY, generation, number, len(chunks))
        chunks.append(OutputRecord(key, msgspec.msgpack.encode((generation, pairs)), ()))

    for key, value in records:
        length = len(key) + len(value or b"") + RECORD_OVERHEAD_BYTES
        if pairs and size + length > bytes_max:
            close()
            pairs, size = [], 0
        pairs += (key, value)
        size += length
    if pairs:
        close()
    commit = b"%s%d:%d" % (COMMIT_KEY, generation, number)
    return chunks, (commit, msgspec.msgpack.encode((generation, len(chunks))))


class SnapshotChunks:
    """The chunks that were found in a changelog, read from its beginning.

    Args:
        load: applies an ordinary changelog record; its value is None where the key is gone.
    """

    def __init__(self, load: Callable[[bytes, bytes | None], None]) -> None:
        self._load = load
        self._values: dict[bytes, bytes] = {}
        """Chunks that are not committed (yet)."""
        self._carried: dict[bytes, list[bytes]] = {}
        """Commit record to the keys that its chunks carried."""
        self.keys: set[bytes] = set()
        """Changelog keys of chunks and commit records that nobody has deleted."""

    @property
    def carried(self) -> list[bytes]:
        """Keys whose last good record may be in a chunk; a new owner must write them again."""
        return [key for keys in self._carried.values() for key in keys]

    def on_record(self, key: bytes, value: bytes | None) -> None:
        """Take in a record under one of these keys, of an owner that counts."""
        if value is None:
            self.keys.discard(key)
            self._values.pop(key, None)
            self._carried.pop(key, None)
            return
        self.keys.add(key)
        if key.startswith(CHUNK_KEY):
            self._values[key] = value
        else:
            self._carried[key] = self._apply(key, _decode_commit(value)[1])

    def _apply(self, commit: bytes, count: int) -> list[bytes]:
        """Apply the chunks where their commit record stands; returns the keys that they carried.

        A chunk that is missing was deleted further on in the log, so its keys come again before that.
        """
        keys: list[bytes] = []
        for index in range(count):
            value = self._values.pop(b"%s%s:%d" % (CHUNK_KEY, commit.removeprefix(COMMIT_KEY), index), None)
            pairs = [] if value is None else _decode_chunk(value)[1]
            for key, record in zip(pairs[::2], pairs[1::2], strict=True):
                assert key is not None  # noqa: S101 - only values may be
                self._load(key, record)
                keys.append(key)
        return keys
