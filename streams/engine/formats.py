"""What the engine stores beside outputs and tables: journal records, positions, fences, headers. No I/O.

Everything between two fences was written by one process. So the fence of a generation, in the journal and in the
changelog, says for all of it in which format it is, and which release with which code and settings wrote it. Journal
entries and positions need not repeat that.
"""

import msgspec

from common.errors import WatchfloorError
from common.version import __version__

FORMAT = 2
"""Of the journal and the changelog, as this release writes them.

1: fences name no format; this is how releases up to 0.1.0 wrote.
2: fences name format, release and digest; a journal entry may have spans of topics that are ordered by arrival.
"""

GENERATION_HEADER = "generation"
"""On every output record and tombstone: which owner of the partition wrote it."""
BATCH_HEADER = "batch"
"""On every output record: number of its micro-batch and index within it, `17/0`."""
JOURNAL_HEADER = "journal"
"""On the first output record of a micro-batch in each topic: a copy of its journal entry."""


class Provenance(msgspec.Struct, frozen=True):
    """Who wrote the records of a generation. The defaults are those of format 1."""

    format: int = 1
    release: str = ""
    """Version of the program; empty: not known."""
    digest: str = ""
    """Of everything that decides the outputs, see `EngineSpec.digest`; empty: not known."""


class NewerFormatError(WatchfloorError):
    """A later release has written records that this one cannot read."""

    def __init__(self, what: str, written_by: Provenance) -> None:
        super().__init__(
            f"{what} is in format {written_by.format}, written by release {written_by.release or 'unknown'}; "
            f"this release ({__version__}) reads formats up to {FORMAT}",
            "run that release or a later one; nothing was changed",
        )


def check_format(what: str, written_by: Provenance) -> None:
    """Refuse to read what a later release has written in a newer format.

    Raises:
        NewerFormatError: the format is newer than this release.
    """
    if written_by.format > FORMAT:
        raise NewerFormatError(what, written_by)


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
    """The start of a generation in the journal. Later formats may add fields; these stay."""

    generation: int
    written_by: Provenance = Provenance()


class StateFence(msgspec.Struct, frozen=True, array_like=True):
    """The value of the changelog record that starts a generation. Later formats may only append to it."""

    generation: int
    written_by: Provenance | None = None
    """None: format 1 said nothing here."""


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
