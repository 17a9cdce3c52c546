"""What the engine stores beside outputs and tables: journal records, positions, headers. No I/O."""

import msgspec

GENERATION_HEADER = "generation"
"""On every output record and tombstone: which owner of the partition wrote it."""
BATCH_HEADER = "batch"
"""On every output record: number of its micro-batch and index within it, `17/0`."""
JOURNAL_HEADER = "journal"
"""On the first output record of a micro-batch in each topic: a copy of its journal entry."""


class JournalEntry(msgspec.Struct, frozen=True, tag_field="type", tag="batch", omit_defaults=True):
    """What one micro-batch consists of."""

    generation: int
    batch: int
    spans: dict[str, tuple[int, int]]
    """Source topic to its first offset and the offset after its last."""
    tick_ms: int | None = None
    """Log time, Unix milliseconds, up to which the micro-batch fires the timers that are due."""
    late: int = 0
    """Records that came after a later one of another topic had been processed, or after a timer of a later
    time had been fired; and one where another database's history begins."""


class JournalFence(msgspec.Struct, frozen=True, tag_field="type", tag="fence"):
    """The start of a generation in the journal."""

    generation: int


class PartitionPosition(msgspec.Struct, frozen=True, array_like=True):
    """How far a partition's state has come; written with the state, in the same RecordBatch."""

    batch: int
    offsets: dict[str, int]
    """Source topic to the next offset to process."""
    journal_offset: int
    output_offsets: dict[str, int]
    """Output topic to the offset from which to look for outputs of later micro-batches."""
    last_order: tuple[int, int]
    """Commit order of the latest processed record."""
    progress: dict[str, tuple[int, int, list[str]]]
    """Source topic to the commit order of its latest record and the record identities at that order."""
    ticked_ms: int = 0
    """The latest time at which a timer that a tick has fired was due, Unix milliseconds."""


encode_journal = msgspec.json.Encoder().encode
decode_journal = msgspec.json.Decoder(JournalEntry | JournalFence).decode
