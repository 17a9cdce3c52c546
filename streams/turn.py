"""The micro-batch that is being processed, with the tables of its partition.

Created for one micro-batch and dropped with it.
"""

from streams.engine.partition.micro_batch import MicroBatch
from streams.state.tables import TenantTables


class Turn:
    """A micro-batch that the application is processing."""

    __slots__ = ("batch", "failed", "oldest_us", "tables")

    def __init__(self, batch: MicroBatch, tables: TenantTables) -> None:
        self.batch = batch
        self.tables = tables
        self.failed: dict[int, bytes | None] = {}
        """The key of each failed record, by the `id` of its entry."""
        self.oldest_us = 0
        """The commit time of the oldest scored row, microseconds since 1970; 0 if none was scored."""
