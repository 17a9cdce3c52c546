"""What the application reads from a micro-batch's entries as a whole. Pure."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from contracts.envelope import Change
from streams.engine.model import Entry


def keys_in_log_order(entries: Sequence[Entry], chosen: AbstractSet[int]) -> dict[int, bytes | None]:
    """Index, in the order of the log, and record key of each chosen entry.

    Args:
        entries: of a micro-batch.
        chosen: the `id`s of some.
    """
    if not chosen:
        return {}
    return {index: entry.record.key for index, entry in enumerate(_in_log_order(entries)) if id(entry) in chosen}


def log_ms(entries: Sequence[Entry]) -> int:
    """Commit time of the last streamed row, Unix milliseconds; 0 where there is none."""
    for entry in reversed(entries):
        if isinstance(entry.change, Change) and not entry.change.snapshot:
            return entry.change.commit_us // 1000
    return 0


def _in_log_order(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, with each unreadable one after the record that precedes it in its topic.

    In a micro-batch the unreadable ones come first, because they have no LSN. There even a few would look like many
    failures in a row.
    """
    latest: dict[int, tuple[int, int]] = {}
    placed: list[tuple[tuple[int, int], int, int, Entry]] = []
    for entry in sorted(entries, key=lambda each: each.offset):
        if entry.commit_lsn:
            latest[entry.source_index] = (entry.commit_lsn, entry.lsn)
        placed.append((latest.get(entry.source_index, (0, 0)), entry.source_index, entry.offset, entry))
    return [entry for *_, entry in sorted(placed, key=lambda each: each[:3])]
