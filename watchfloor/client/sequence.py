"""Which messages are new, and where some are missing. Sans I/O.

A subscription's messages carry their tenant's `seq` and `prev_seq`, the seq of the message before on the
same subscription; so a filtered subscription can tell a loss from a message that is not for it. A record
with several findings comes as several messages of one seq, told apart by `part`.
"""

from collections.abc import Mapping
from typing import Any

from watchfloor.client.events import Gap


class SequenceTracker:
    """Follows one feed over all its connections."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        """The log that `seq` counts in; None before the first connection."""
        self.seq = 0
        """The last message that was passed on, or where the first connection started."""
        self._parts_seen = 0
        self._parts_of = 0
        """Of the record `seq`; equal where it came whole."""

    def established(self, epoch: str, seq: int) -> Gap | None:
        """Note where a connection starts; returns what was missed since the one before.

        Without filters every number since then was a message of this reader; with filters some of them
        may have been for others.
        """
        before, self.epoch = self.epoch, epoch
        first_missed = self.seq + 1 if self._parts_seen == self._parts_of else self.seq
        if before is not None and before == epoch and seq < first_missed:
            return None
        self.seq, self._parts_seen, self._parts_of = seq, 0, 0
        if before is None:
            return None
        if before != epoch:
            return Gap(None, None, "the log behind the feed is a new one")
        return Gap(first_missed, seq, "disconnected")

    def accept(self, message: Mapping[str, Any]) -> tuple[bool, Gap | None]:
        """Whether a message is new, and the gap before it.

        Messages without a seq (answers, event_processed) are always new.
        """
        seq, previous = message.get("seq"), message.get("prev_seq")
        if not isinstance(seq, int) or not isinstance(previous, int):
            return True, None
        index, of = _part(message)
        if (
            seq < self.seq
            or (seq == self.seq and index <= self._parts_seen)
            or (seq == self.seq and not self._parts_of)
        ):
            return False, None
        gap = Gap(self.seq + 1, previous, "lost") if self.seq < previous < seq else None
        self.seq, self._parts_seen, self._parts_of = seq, index, of
        return True, gap


def _part(message: Mapping[str, Any]) -> tuple[int, int]:
    """Which one it is (from 1) and how many there are of a record's messages; most records are one."""
    part = message.get("part")
    if not isinstance(part, Mapping):
        return 1, 1
    index, of = part.get("index"), part.get("of")
    return (index + 1, of) if isinstance(index, int) and isinstance(of, int) else (1, 1)
