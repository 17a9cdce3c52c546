"""What the tails of a partition's topics say, record by record: state, position, micro-batches to run again.

Pure: `streams.engine.recovery` reads, this judges. Owns the rule by which a record of an older owner counts:

- Feed, journal and changelog have fences. Behind a fence whatever an older generation wrote is skipped. A
  position counts as a fence too: it says from which offsets on its generation is the owner.
- The other outputs have none; their readers would not know what to make of it. A micro-batch's records count
  there if they were made from the same micro-batch as the journal has under that number, and where the
  journal has none, if they continue it without a gap.
"""

from dataclasses import dataclass, field

import msgspec

from streams.engine.appender import BATCH_HEADER, GENERATION_HEADER
from streams.engine.model import EngineTopics, JournalEntry, JournalFence, Position, RawRecord, decode_journal
from streams.engine.tables import PartitionState

JOURNAL_HEADER = "journal"
POSITION_KEY = b"@position"
FENCE_KEY = b"@fence:"
"""Followed by the generation: under compaction every fence must survive beside the others."""

_decode_position = msgspec.msgpack.Decoder(tuple[int, Position]).decode


class _Written(msgspec.Struct, array_like=True):
    """The beginning of every value of the changelog; what follows is skipped."""

    generation: int


_decode_written = msgspec.msgpack.Decoder(_Written).decode


def state_generation(record: RawRecord) -> int:
    """Which generation wrote a record of the changelog; a tombstone says it in a header.

    Raises:
        msgspec.MsgspecError, ValueError: no worker wrote it.
    """
    if record.value is None:
        return int(dict(record.headers).get(GENERATION_HEADER, b""))
    return _decode_written(record.value).generation


def encode_position(generation: int, position: Position) -> tuple[bytes, bytes]:
    """The changelog record that says how far the state beside it has come."""
    return POSITION_KEY, msgspec.msgpack.encode((generation, position))


@dataclass(slots=True)
class Tails:
    """What the reading of the tails has found so far.

    Args:
        topics: the engine's topics.
        state: empty tables, to be filled.
    """

    topics: EngineTopics
    state: PartitionState
    position: Position = field(default_factory=lambda: Position(0, {}, 0, {}, (0, 0), {}))
    seen: int = 0
    """The highest generation met anywhere."""
    stale: int = 0
    """Records that did not count."""
    displaced: set[bytes] = field(default_factory=set)
    """Changelog keys whose last record does not count. Compaction would keep that one and forget the good
    one, so they must be written again."""
    entries: dict[int, JournalEntry] = field(default_factory=dict)
    written: dict[str, dict[int, int]] = field(default_factory=dict)
    """Output topic to micro-batch to the index of the last output that is there."""
    _owner: int = 0
    """Generation that wrote the position."""
    _fences: dict[str, int] = field(default_factory=dict)
    _trusted: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Output topic without fences to (generation, micro-batch) of the records that count now."""

    def on_state(self, record: RawRecord) -> None:
        """Take in a record of the changelog."""
        key, value = record.key or b"", record.value
        generation = state_generation(record)
        if key.startswith(FENCE_KEY):
            self._fence(self.topics.state, generation)
        elif self._is_stale(generation, self._fences.get(self.topics.state, 0)):
            self.displaced.add(key)
        else:
            self.displaced.discard(key)
            if key == POSITION_KEY and value is not None:
                self._owner, self.position = _decode_position(value)
            else:
                self._load(key, value)

    def on_journal(self, record: RawRecord) -> None:
        """Take in a record of the journal."""
        entry = decode_journal(record.value or b"")
        if isinstance(entry, JournalFence):
            self._fence(self.topics.journal, entry.generation)
        elif not self._is_stale(entry.generation, max(self._fences.get(self.topics.journal, 0), self._owner)):
            self._note(entry)
            self._note_written(self.topics.journal, b"%d/0" % entry.batch)

    def on_feed(self, record: RawRecord) -> None:
        """Take in a record of the output topic that has fences."""
        headers, feed = dict(record.headers), self.topics.feed
        generation = int(headers.get(GENERATION_HEADER, b"0"))
        if BATCH_HEADER not in headers:
            self._fence(feed, generation)
        elif not self._is_stale(generation, max(self._fences.get(feed, 0), self._owner)):
            if JOURNAL_HEADER in headers:
                self._note(decode_journal(headers[JOURNAL_HEADER]))
            self._note_written(feed, headers[BATCH_HEADER])

    def on_other_output(self, topic: str, record: RawRecord) -> None:
        """Take in a record of an output topic without fences; only when journal and feed were read to the end."""
        headers = dict(record.headers)
        if BATCH_HEADER not in headers:
            return  # not written by a worker
        here = (int(headers.get(GENERATION_HEADER, b"0")), int(headers[BATCH_HEADER].partition(b"/")[0]))
        if JOURNAL_HEADER in headers:
            entry = decode_journal(headers[JOURNAL_HEADER])
            if isinstance(entry, JournalEntry) and self._agrees(entry):
                self._trusted[topic] = here
        if self._trusted.get(topic) == here:
            self._note_written(topic, headers[BATCH_HEADER])
        else:
            self.stale += 1

    def following(self) -> list[JournalEntry]:
        """The micro-batches after the position, without a hole."""
        found: list[JournalEntry] = []
        while (entry := self.entries.get(self.position.batch + 1 + len(found))) is not None:
            found.append(entry)
        return found

    def _fence(self, topic: str, generation: int) -> None:
        self.seen = max(self.seen, generation)
        self._fences[topic] = max(self._fences.get(topic, 0), generation)

    def _is_stale(self, generation: int, bar: int) -> bool:
        self.seen = max(self.seen, generation)
        if generation < bar:
            self.stale += 1
            return True
        return False

    def _load(self, key: bytes, value: bytes | None) -> None:
        try:
            self.state.load(key, value)
        except KeyError:  # a table of an earlier version of the application
            self.stale += 1

    def _note(self, entry: JournalEntry | JournalFence) -> None:
        if isinstance(entry, JournalEntry):
            self.entries[entry.batch] = entry

    def _note_written(self, topic: str, batch_header: bytes) -> None:
        number, _, index = batch_header.partition(b"/")
        written = self.written.setdefault(topic, {})
        written[int(number)] = max(written.get(int(number), -1), int(index))

    def _agrees(self, entry: JournalEntry) -> bool:
        """Whether a copied entry is the journal's, or continues it (then it is the journal's from now on)."""
        known = self.entries.get(entry.batch)
        if known is not None:
            return (known.spans, known.tick_ms) == (entry.spans, entry.tick_ms)
        before = self.following()
        if entry.batch != self.position.batch + 1 + len(before):
            return False
        ends = dict(self.position.offsets)
        for earlier in before:
            ends |= {topic: end for topic, (_, end) in earlier.spans.items()}
        if any(start != ends.get(topic, 0) for topic, (start, _) in entry.spans.items()):
            return False
        self._note(entry)
        return True
