"""When a partition's changed keys go to the changelog, and what such a snapshot holds.

A snapshot is taken between two micro-batches and sent once the outputs of everything in it are
acknowledged, as one RecordBatch: the position first, then every changed key.
"""

from collections.abc import Callable, Iterable

from streams.engine.model import EngineTopics
from streams.engine.partition import Partition
from streams.engine.tails import encode_position
from streams.engine.writer import Snapshot
from watchfloor.settings import WorkerSettings


class Snapshots:
    """Takes the snapshots that are due.

    Args:
        topics: the engine's topics.
        settings: interval and number of changed keys that make a snapshot due.
        clock: Unix seconds.
    """

    def __init__(self, topics: EngineTopics, settings: WorkerSettings, clock: Callable[[], float]) -> None:
        self._topics = topics
        self._interval_s = settings.changelog_interval_ms / 1e3
        self._keys_max = settings.changelog_keys_max
        self._clock = clock
        self._last_s: dict[int, float] = {}

    def take(self, partitions: Iterable[Partition], *, force: bool) -> list[Snapshot]:
        """Snapshots of the partitions whose turn it is; afterwards they count as saved.

        None of a partition that still runs journalled micro-batches again: its position would say less
        than what the output topics already have.

        Args:
            partitions: the owned ones.
            force: take every partition that has changed, because there is nothing else to do.
        """
        return [self._take(partition) for partition in partitions if self._due(partition, force=force)]

    def _due(self, partition: Partition, *, force: bool) -> bool:
        if not partition.unsaved or partition.fenced or partition.replay:
            return False
        waited_s = self._clock() - self._last_s.get(partition.number, 0.0)
        return force or waited_s >= self._interval_s or partition.state.dirty_count >= self._keys_max

    def _take(self, partition: Partition) -> Snapshot:
        self._last_s[partition.number] = self._clock()
        partition.unsaved = False
        position = encode_position(partition.generation, partition.position(self._topics))
        return partition, [position, *partition.state.take_changes(partition.generation)]
