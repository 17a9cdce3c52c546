"""Which messages are new, where some are missing, and where to resume. Sans I/O.

A subscription's messages carry their tenant's `seq` and `prev_seq`, the seq of the message before on the
same subscription; so a filtered subscription can tell a loss from a message that is not for it. A record
with several findings comes as several messages of one seq, told apart by `part`. The same rules in
TypeScript are clients/typescript/src/sequence.ts; both are run through tests/support/sequence.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchfloor_client.events import Connected, Event, Gap, Message, Resumed

LOST = "lost"
_NEW_LOG = "epoch_changed"
_UNSHOWN = frozenset({"pong", "refreshed"})


@dataclass(frozen=True, slots=True)
class Position:
    """Everything up to `seq` of the log `epoch` was had, and `parts` messages of the record after it.

    Worth storing: a program that starts with it goes on where it was.
    """

    epoch: str
    seq: int
    parts: int = 0


class SequenceTracker:
    """Follows one feed over all its connections.

    Call `opened` for each connection and hand every message of the server to `hear`.

    Args:
        start: where to go on; None to begin with what comes after the first sign-in.
    """

    def __init__(self, start: Position | None = None) -> None:
        self.epoch: str | None = start.epoch if start else None
        """The log that `seq` counts in; None before the first connection."""
        self.seq = start.seq if start else 0
        """All of the subscription up to here was had, or was told as a gap."""
        self._previous = self.seq
        """What the next message names as its `prev_seq` if nothing is lost before it."""
        self._parts = start.parts if start else 0
        """Messages had of the record `seq + 1`, where it is not whole yet."""
        self._resuming = False
        """Asked for the past, not answered yet: heartbeats tell nothing of it."""
        self._stands_at = 0
        """The feed itself, when this connection was signed in."""

    @property
    def position(self) -> Position | None:
        """Where the reader stands; None before the first connection."""
        return None if self.epoch is None else Position(self.epoch, self.seq, self._parts)

    def opened(self) -> Position | None:
        """A connection begins; returns what to resume from, None where there is no past."""
        self._resuming = self.epoch is not None
        return self.position

    def hear(self, body: Mapping[str, Any]) -> list[Event]:
        """Take the next message of the server; returns what the reader is to be told.

        Messages without a seq (answers, notices, event_processed) are always new. What is malformed in a way
        that a sequence cannot use is passed on as it is.
        """
        kind = body.get("type")
        if not isinstance(kind, str):
            return []
        told = self._of_the_sequence(kind, body)
        if told is not None or kind in _UNSHOWN:
            return told or []
        seq, previous = _number(body, "seq"), _number(body, "prev_seq")
        if seq is None or previous is None:
            return [Message(kind, body)]
        fresh, gap = self._accept(seq, previous, *_part(body))
        message: list[Event] = [Message(kind, body)] if fresh else []
        return [gap, *message] if gap is not None else message

    def _of_the_sequence(self, kind: str, body: Mapping[str, Any]) -> list[Event] | None:
        """What messages about the sequence itself tell; None for all others."""
        match kind:
            case "connection_established":
                return self._established(body)
            case "resumed":
                return self._resumed(body)
            case "gap":
                return self._skipped(_number(body, "from"), _number(body, "to"), str(body.get("reason")))
            case "heartbeat":
                return self._heartbeat(_number(body, "seq"))
            case "subscribed":
                self._moved_to(_number(body, "seq"))
                return None
            case _:
                return None

    def _established(self, body: Mapping[str, Any]) -> list[Event]:
        tenant_id, epoch, seq = _number(body, "tenant_id"), body.get("epoch"), _number(body, "seq")
        if tenant_id is None or not isinstance(epoch, str) or seq is None:
            return []
        connected, before, self._stands_at = Connected(tenant_id, epoch, seq), self.epoch, seq
        if before == epoch:
            # A server that knows no resume says nothing of the past; the next `prev_seq` then shows the loss.
            self._previous = self.seq
            return [connected]
        self.epoch, self._resuming = epoch, False
        self._start_at(seq)
        return [connected] if before is None else [connected, Gap(None, None, _NEW_LOG)]

    def _resumed(self, body: Mapping[str, Any]) -> list[Event]:
        if not self._resuming:
            return []  # the new log was told already, with connection_established
        self._resuming = False
        first, last = _number(body, "from"), _number(body, "to")
        if body.get("recovered") is True:
            return [] if first is None or last is None else [Resumed(first, last)]
        if first is not None and last is not None and last >= first - 1:
            return self._skipped(first, last, str(body.get("reason")))
        self._start_at(self._stands_at if last is None else last)
        return [Gap(None, None, str(body.get("reason")))]

    def _skipped(self, first: int | None, last: int | None, reason: str) -> list[Event]:
        """These are given to nobody: go on behind them."""
        if first is None or last is None or last <= self.seq:
            return []
        # A record of which some messages came is missing as a whole: those that came may come alone.
        gap = Gap(self.seq + 1 if self._parts else max(first, self.seq + 1), last, reason)
        self._start_at(last)
        return [gap]

    def _moved_to(self, seq: int | None) -> None:
        """Another subscription begins at `seq`; what the one before had to show was sent."""
        if seq is not None:
            self._start_at(max(seq, self.seq))
            self._previous = seq

    def _heartbeat(self, seq: int | None) -> list[Event]:
        """All of this subscription up to `seq` was sent before: a filtered reader resumes from there."""
        if seq is None or seq <= self.seq or self._resuming:
            return []
        gap: list[Event] = [Gap(self.seq + 1, self.seq + 1, LOST)] if self._parts else []
        # `_previous` stays: the next message names the one before it on this subscription, not this place.
        self._previous = self.seq + 1 if self._parts else self._previous
        self.seq, self._parts = seq, 0
        return gap

    def _accept(self, seq: int, previous: int, index: int, of: int) -> tuple[bool, Gap | None]:
        """Whether a message is new, and the gap before it; `index` counts the parts of its record from 0."""
        begun = self._parts if seq == self.seq + 1 else 0
        if seq <= self.seq or index < begun:
            return False, None
        first, last = self._previous + 1, min(previous, seq - 1)
        if self._parts and not begun:
            first, last = self.seq + 1, max(last, self.seq + 1)
        if index > begun:
            first, last = min(first, seq) if last >= first else seq, seq
        self._previous = seq
        whole = index + 1 >= of
        self.seq, self._parts = (seq, 0) if whole else (seq - 1, index + 1)
        return True, Gap(first, last, LOST) if last >= first else None

    def _start_at(self, seq: int) -> None:
        self.seq = self._previous = seq
        self._parts = 0


def _number(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _part(body: Mapping[str, Any]) -> tuple[int, int]:
    """Which one it is, from 0, and how many there are of a record's messages; most records are one."""
    part = body.get("part")
    if not isinstance(part, Mapping):
        return 0, 1
    index, of = _number(part, "index"), _number(part, "of")
    return (0, 1) if index is None or of is None else (index, of)
