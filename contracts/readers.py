"""The readers' rule, by which every consumer of `noc.anomalies` sees each record exactly once.

A worker that was paused and continues may append records of a generation that a newer one has fenced off, and a worker
that takes over may repeat what its predecessor wrote last. A reader that applies this rule to each partition, from any
offset on, sees neither.
"""

from collections.abc import Iterable

from contracts.feed import GENERATION_HEADER, FeedRecord, Fence


def generation_of(headers: Iterable[tuple[str, bytes | None]] | None) -> int:
    """The writer's generation of a record; 0 where the header is missing.

    Args:
        headers: as the Kafka client returns them; some return None for a record without any.
    """
    for name, value in headers or ():
        if name == GENERATION_HEADER and value is not None:
            return int(value)
    return 0


class FeedRule:
    """Decides for each record whether a reader accepts it.

    Keeps one number for each partition and one for each tenant. A reader that starts in the middle of the log accepts
    nothing that it would otherwise have skipped, except repeats of records before its start.
    """

    def __init__(self) -> None:
        self._fence: dict[int, int] = {}
        self._last_seq: dict[int, int] = {}

    def accepts(self, partition: int, generation: int, record: FeedRecord | Fence) -> bool:
        """Whether this record is accepted. A fence never is; it raises the generation that later records need.

        Args:
            partition: the partition that the record was read from.
            generation: the record's `generation` header, see `generation_of`.
            record: the decoded record.
        """
        if isinstance(record, Fence):
            self._fence[partition] = max(self._fence.get(partition, 0), record.generation)
            return False
        if generation < self._fence.get(partition, 0):
            return False
        if record.seq <= self._last_seq.get(record.tenant_id, 0):
            return False
        self._last_seq[record.tenant_id] = record.seq
        return True

    def last_seq(self, tenant_id: int) -> int:
        """The seq of the last accepted record of a tenant, 0 where there was none."""
        return self._last_seq.get(tenant_id, 0)
