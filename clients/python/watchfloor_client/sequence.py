"""Which messages are new, where some are missing, and where to resume. Sans I/O.

A subscription's messages carry their tenant's `seq` and `prev_seq`, the seq of the previous message on the
same subscription; so a filtered subscription can distinguish a loss from a message that is not for it. A record
with several findings comes as several messages of one seq, distinguished by `part`. The same rules in
TypeScript are clients/typescript/src/sequence.ts; both are run through tests/support/sequence.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchfloor_client.events import Connected, Event, Gap, Message, Resumed
from watchfloor_client.readers import JUMP_MAX

LOST = "lost"
_NEW_LOG = "epoch_changed"
_UNSHOWN = frozenset({"pong", "refreshed"})


@dataclass(frozen=True, slots=True)
class Position:
    """The reader has everything up to `seq` of the log `epoch`, and `parts` messages of the record after it.

    Worth storing: a program that starts with it continues where it stopped.
    """

    epoch: str
    seq: int
    parts: int = 0


class SequenceTracker:
    """Follows one feed over all its connections.

    Call `opened` for each connection and pass every message of the server to `receive`.

    Args:
        start: where to continue; None to begin with what comes after the first sign-in.
    """

    def __init__(self, start: Position | None = None) -> None:
        self.epoch: str | None = start.epoch if start else None
        """The log that `seq` belongs to; None before the first connection."""
        self.seq = start.seq if start else 0
        """The reader has all of the subscription up to here, or was given a gap for it."""
        self._previous = self.seq
        """The `prev_seq` of the next message if nothing is lost before it."""
        self._parts = start.parts if start else 0
        """How many messages of the record `seq + 1` have come; 0 before its first one."""
        self._resuming = False
        """A resume was requested and is not answered yet: heartbeats do not cover what was missed."""
        self._newest_seq = 0
        """Of the feed, when this connection was signed in."""

    @property
    def position(self) -> Position | None:
        """Where to resume; None before the first connection."""
        return None if self.epoch is None else Position(self.epoch, self.seq, self._parts)

    def opened(self) -> Position | None:
        """A connection begins; returns where to resume, None on the first connection."""
        self._resuming = self.epoch is not None
        return self.position

    def receive(self, body: Mapping[str, Any]) -> list[Event]:
        """Process the next message of the server; returns the events for the reader.

        Messages without a seq (answers, notices, event_processed) are always new. A message whose numbers are
        malformed is passed on as it is.
        """
        kind = body.get("type")
        if not isinstance(kind, str):
            return []
        events = self._about_the_sequence(kind, body)
        if events is not None or kind in _UNSHOWN:
            return events or []
        seq, previous = _number(body, "seq"), _number(body, "prev_seq")
        if seq is None or previous is None:
            return [Message(kind, body)]
        if seq - self.seq > JUMP_MAX:
            return []  # no log holds that many records: believed, it would hide all messages that follow
        fresh, gap = self._accept(seq, previous, *_part(body))
        message: list[Event] = [Message(kind, body)] if fresh else []
        return [gap, *message] if gap is not None else message

    def _about_the_sequence(self, kind: str, body: Mapping[str, Any]) -> list[Event] | None:
        """The events of a message about the sequence itself; None for all others."""
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
        connected, before, self._newest_seq = Connected(tenant_id, epoch, seq), self.epoch, seq
        if before == epoch:
            # A server that does not know resume is silent about the past; the next `prev_seq` then shows the loss.
            self._previous = self.seq
            return [connected]
        self.epoch, self._resuming = epoch, False
        self._start_at(seq)
        return [connected] if before is None else [connected, Gap(None, None, _NEW_LOG)]

    def _resumed(self, body: Mapping[str, Any]) -> list[Event]:
        if not self._resuming:
            return []  # the new log was reported already, with connection_established
        self._resuming = False
        first, last = _number(body, "from"), _number(body, "to")
        if body.get("recovered") is True:
            return [] if first is None or last is None else [Resumed(first, last)]
        if first is not None and last is not None and last >= first - 1:
            return self._skipped(first, last, str(body.get("reason")))
        self._start_at(self._newest_seq if last is None else last)
        return [Gap(None, None, str(body.get("reason")))]

    def _skipped(self, first: int | None, last: int | None, reason: str) -> list[Event]:
        """Nobody can be given these messages: continue after them."""
        if first is None or last is None or not 0 < last - self.seq <= JUMP_MAX:
            return []
        # A record of which only some messages came is reported as missing: the others will not come.
        gap = Gap(self.seq + 1 if self._parts else max(first, self.seq + 1), last, reason)
        self._start_at(last)
        return [gap]

    def _moved_to(self, seq: int | None) -> None:
        """Another subscription begins at `seq`; everything of the one before it was sent."""
        if seq is not None and seq - self.seq <= JUMP_MAX:
            self._start_at(max(seq, self.seq))
            self._previous = seq

    def _heartbeat(self, seq: int | None) -> list[Event]:
        """All of this subscription up to `seq` was sent before it: a filtered reader resumes from there."""
        if seq is None or not 0 < seq - self.seq <= JUMP_MAX or self._resuming:
            return []
        gap: list[Event] = [Gap(self.seq + 1, self.seq + 1, LOST)] if self._parts else []
        # `_previous` stays: the next message names the one before it on this subscription, not this heartbeat.
        self._previous = self.seq + 1 if self._parts else self._previous
        self.seq, self._parts = seq, 0
        return gap

    def _accept(self, seq: int, previous: int, index: int, of: int) -> tuple[bool, Gap | None]:
        """Whether a message is new, and the gap before it; `index` counts the parts of its record from 0."""
        received = self._parts if seq == self.seq + 1 else 0
        if seq <= self.seq or index < received:
            return False, None
        first, last = self._previous + 1, min(previous, seq - 1)
        if self._parts and not received:
            first, last = self.seq + 1, max(last, self.seq + 1)
        if index > received:
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
    """Which one of a record's messages this is, from 0, and how many there are; most records are one message."""
    part = body.get("part")
    if not isinstance(part, Mapping):
        return 0, 1
    index, of = _number(part, "index"), _number(part, "of")
    return (0, 1) if index is None or of is None else (index, of)
