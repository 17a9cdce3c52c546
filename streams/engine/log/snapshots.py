"""When a partition's changed keys go to the changelog, and what such a snapshot holds.

A snapshot is taken between two micro-batches and sent once the outputs of everything in it are acknowledged, as one
RecordBatch: the position first, then every changed key. Where that is too large, it is sent in steps
(`streams.engine.state.chunked_snapshot`).
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import structlog

from common.settings.engine import EngineSettings
from streams.engine.formats import GENERATION_HEADER
from streams.engine.log.changelog import encode_position
from streams.engine.model import OutputRecord
from streams.engine.partition.partition import Partition
from streams.engine.spec import EngineTopics
from streams.engine.state.chunked_snapshot import (
    BATCH_OVERHEAD_BYTES,
    RECORD_OVERHEAD_BYTES,
    split_into_chunks,
)
from streams.engine.state.table import ChangelogRecord

log = structlog.get_logger(__name__)


class Snapshot(NamedTuple):
    """What to append to the changelog of a partition, step by step; mostly all of it is in `whole`."""

    partition: Partition
    size_bytes: int
    """Keys and values of position and changed keys."""
    chunks: list[OutputRecord]
    """First: what does not fit into `whole`."""
    whole: list[ChangelogRecord]
    """One RecordBatch: the position, and the changed keys or what makes the chunks count."""
    rewritten: list[OutputRecord]
    """Then: what the chunks carried, as ordinary records."""
    obsolete: list[OutputRecord]
    """Last: tombstones of chunks, these and those of an earlier owner."""

    @property
    def in_steps(self) -> bool:
        """Whether it takes more than one RecordBatch."""
        return bool(self.chunks or self.obsolete)


class Snapshots:
    """Takes the snapshots that are due.

    Args:
        settings: interval, and number and size of changed keys that make a snapshot due.
        clock: Unix seconds.
    """

    def __init__(self, topics: EngineTopics, settings: EngineSettings, clock: Callable[[], float]) -> None:
        self._topics = topics
        self._interval_s = settings.changelog.interval_ms / 1e3
        self._keys_max = settings.changelog.keys_max
        self._batch_bytes_max = settings.changelog.batch_bytes_max
        self._chunk_bytes_max = min(settings.output.batch_bytes_max, settings.changelog.batch_bytes_max)
        self._clock = clock
        self._last_s: dict[int, float] = {}
        self._bytes_per_key: dict[int, float] = {}
        """Partition to what a key took in its latest snapshot."""

    def take(self, partitions: Iterable[Partition], *, force: bool) -> list[Snapshot]:
        """Snapshots of the partitions whose turn it is; afterwards they count as saved.

        None is taken of a partition that still runs journalled micro-batches again: its position would be behind what
        the output topics already have. Partitions that are due by their interval alone are taken one at a time:
        otherwise a round in which all of them are due would be slow. With `force`, because there is nothing else to do,
        every partition that has changed is taken.
        """
        changed = [each for each in partitions if each.unsaved and not each.fenced and not each.replay]
        if force or not changed:
            return [self._take(partition) for partition in changed]
        now_s = self._clock()
        waited_s = {each.number: now_s - self._last_s.get(each.number, 0.0) for each in changed}
        turn = max(waited_s, key=waited_s.__getitem__)
        return [
            self._take(each)
            for each in changed
            if waited_s[each.number] >= (1 if each.number == turn else 2) * self._interval_s or self._is_large(each)
        ]

    def _is_large(self, partition: Partition) -> bool:
        """Whether so much has changed that the snapshot must not wait."""
        keys = partition.state.dirty_count
        # At half of what fits: the next round may change as much again before this is asked again.
        return (
            keys >= self._keys_max or keys * self._bytes_per_key.get(partition.number, 0) >= self._batch_bytes_max / 2
        )

    def _take(self, partition: Partition) -> Snapshot:
        self._last_s[partition.number] = self._clock()
        partition.unsaved = False
        position = encode_position(partition.generation, partition.position(self._topics))
        whole: list[ChangelogRecord] = [position, *partition.state.take_changes(partition.generation)]
        size_bytes = sum([len(key) + len(value or b"") for key, value in whole])
        stored_bytes = size_bytes + len(whole) * RECORD_OVERHEAD_BYTES + BATCH_OVERHEAD_BYTES
        self._bytes_per_key[partition.number] = stored_bytes / len(whole)
        obsolete, partition.obsolete_chunks = sorted(partition.obsolete_chunks), set()
        if stored_bytes <= self._batch_bytes_max:
            return Snapshot(partition, size_bytes, [], whole, [], _tombstones(partition, obsolete))
        return self._in_chunks(partition, size_bytes, whole, obsolete)

    def _fits(self, key: bytes, value: bytes | None) -> bool:
        """Whether a record fits into a RecordBatch. One that does not is left out: the others must not wait for it."""
        length = len(key) + len(value or b"")
        if length + RECORD_OVERHEAD_BYTES + BATCH_OVERHEAD_BYTES <= self._batch_bytes_max:
            return True
        log.error(
            "a value is too large to be stored, the changelog keeps the one before it",
            key=_shown(key),
            bytes=length,
            bytes_max=self._batch_bytes_max,
        )
        return False

    def _in_chunks(
        self, partition: Partition, size_bytes: int, records: list[ChangelogRecord], obsolete: list[bytes]
    ) -> Snapshot:
        position, *changes = [each for each in records if self._fits(*each)]
        partition.chunked_snapshots += 1
        chunks, commit = split_into_chunks(
            partition.generation, partition.chunked_snapshots, changes, self._chunk_bytes_max
        )
        obsolete = [*obsolete, commit[0], *(chunk.key or b"" for chunk in chunks)]
        headers = _generation_headers(partition)
        rewritten = [OutputRecord(key, value, headers if value is None else ()) for key, value in changes]
        return Snapshot(partition, size_bytes, chunks, [position, commit], rewritten, _tombstones(partition, obsolete))


def _shown(key: bytes) -> str:
    """The beginning of a key, for a log line."""
    return key[:100].decode("utf-8", "replace")


def _tombstones(partition: Partition, keys: list[bytes]) -> list[OutputRecord]:
    """Records that delete these keys."""
    headers = _generation_headers(partition)
    return [OutputRecord(key, None, headers) for key in keys]


def _generation_headers(partition: Partition) -> list[tuple[str, bytes]]:
    return [(GENERATION_HEADER, b"%d" % partition.generation)]
