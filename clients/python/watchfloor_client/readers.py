"""The readers' rule: how every consumer of the Kafka topic `noc.anomalies` sees each record exactly once.

A worker that was paused and resumes may append records of a generation that a newer worker has fenced off, and
a worker that takes over a partition may repeat the last records of its predecessor. A reader that applies this
rule to each partition, from any offset on, shows neither. A record whose number cannot be right, because the log has no
room for the records before it, is not believed: it would hide all records that follow. Without I/O: bring any Kafka
client.
"""

from collections.abc import Iterable
from typing import Final

from watchfloor_client.contract import GENERATION_HEADER

HOLE_MAX: Final = 1_000
"""Numbers that may be missing between two records of a tenant without having been in the log."""
JUMP_MAX: Final = 10**9
"""The largest step of a tenant's numbers where the offsets are not known: a log of a week at 1,000 records a second."""


def generation_of(headers: Iterable[tuple[str, bytes | None]] | None) -> int:
    """The writer's generation of a record; 0 where the header is missing.

    Args:
        headers: as the Kafka client gives them; some give None for a record without any.

    Raises:
        ValueError: the header is not a number.
    """
    for name, value in headers or ():
        if name == GENERATION_HEADER and value is not None:
            return int(value)
    return 0


class FeedRule:
    """Decides record by record whether a reader shows it.

    Keeps one number for each partition and two for each tenant. A reader that starts in the middle of the log
    shows nothing that it would otherwise have skipped, except repeats of records before its start.

    >>> rule = FeedRule()
    >>> rule.accepts(0, 1, tenant_id=7, seq=1), rule.accepts(0, 1, tenant_id=7, seq=1)
    (True, False)
    >>> rule.fence(0, 2)
    >>> rule.accepts(0, 1, tenant_id=7, seq=2), rule.accepts(0, 2, tenant_id=7, seq=2)
    (False, True)
    """

    def __init__(self) -> None:
        self._fences: dict[int, int] = {}
        self._last_seqs: dict[int, int] = {}
        self._last_offsets: dict[int, int] = {}

    def fence(self, partition: int, generation: int) -> None:
        """Take note of a record of type `fence`, which is never shown: older generations of its partition end.

        Args:
            partition: the partition that the record was read from.
            generation: the field `generation` of the record.
        """
        self._fences[partition] = max(self._fences.get(partition, 0), generation)

    def believes(self, *, tenant_id: int, seq: int, offset: int | None = None) -> bool:
        """Whether the log can have held all records of the tenant between its last accepted one and this one.

        Args:
            tenant_id: of the record.
            seq: of the record.
            offset: of the record in its partition; None where it is not known, then only `JUMP_MAX` bounds the step.
        """
        before = self._last_offsets.get(tenant_id)
        # Offsets that go back are those of a log that has lost its end: then they say nothing about the numbers.
        room = JUMP_MAX if before is None or offset is None or offset <= before else offset - before + HOLE_MAX
        return seq - self._last_seqs.get(tenant_id, 0) <= room

    def accepts(self, partition: int, generation: int, *, tenant_id: int, seq: int, offset: int | None = None) -> bool:
        """Whether this record is to be shown; it counts as shown then.

        Args:
            partition: the partition that the record was read from.
            generation: the record's header, see `generation_of`.
            tenant_id: of the record.
            seq: of the record.
            offset: see `believes`.
        """
        last = self._last_seqs.get(tenant_id, 0)
        if generation < self._fences.get(partition, 0) or seq <= last:
            return False
        if seq != last + 1 and not self.believes(tenant_id=tenant_id, seq=seq, offset=offset):
            return False
        self._last_seqs[tenant_id] = seq
        if offset is not None:
            self._last_offsets[tenant_id] = offset
        return True

    def last_seq(self, tenant_id: int) -> int:
        """The seq of the last accepted record of a tenant, 0 where there was none."""
        return self._last_seqs.get(tenant_id, 0)
