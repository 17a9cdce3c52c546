"""What the tails of a partition's topics say, record by record: micro-batches to run again, what they wrote.

Pure: `streams.engine.takeover.recovery` reads, this judges. Owns the rule by which a record of an older owner counts:

- Feed, journal and changelog have fences. Behind a fence whatever an older generation wrote is skipped. A
  position counts as a fence too: it says from which offsets on its generation is the owner.
- The other outputs have none; their readers would not know what to make of it. A micro-batch's records count
  there if they were made from the same micro-batch as the journal has under that number, and where the
  journal has none, if they continue it without a gap.
"""

from dataclasses import dataclass, field

from streams.engine.kafka.appender import BATCH_HEADER, GENERATION_HEADER
from streams.engine.log.changelog import Changelog
from streams.engine.model import EngineTopics, JournalEntry, JournalFence, PartitionPosition, RawRecord, decode_journal

JOURNAL_HEADER = "journal"


@dataclass(slots=True)
class LogTails:
    """What the reading of the tails has found so far.

    Args:
        topics: the engine's topics.
        changelog: of the partition; says from where on the others matter, and may be read on meanwhile.
    """

    topics: EngineTopics
    changelog: Changelog
    _seen: int = 0
    _stale: int = 0
    entries: dict[int, JournalEntry] = field(default_factory=dict)
    written: dict[str, dict[int, int]] = field(default_factory=dict)
    """Output topic to micro-batch to the index of the last output that is there."""
    _fences: dict[str, int] = field(default_factory=dict)
    _trusted: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Output topic without fences to (generation, micro-batch) of the records that count now."""

    @property
    def position(self) -> PartitionPosition:
        """How far the state has come."""
        return self.changelog.position

    @property
    def seen(self) -> int:
        """The highest generation met anywhere."""
        return max(self._seen, self.changelog.seen)

    @property
    def stale(self) -> int:
        """Records that did not count."""
        return self._stale + self.changelog.stale

    def on_journal(self, record: RawRecord) -> None:
        """Take in a record of the journal."""
        entry = decode_journal(record.value or b"")
        if isinstance(entry, JournalFence):
            self._fence(self.topics.journal, entry.generation)
        elif not self._is_stale(entry.generation, max(self._fences.get(self.topics.journal, 0), self.changelog.owner)):
            self._note(entry)
            self._note_written(self.topics.journal, b"%d/0" % entry.batch)

    def on_feed(self, record: RawRecord) -> None:
        """Take in a record of the output topic that has fences."""
        headers, feed = dict(record.headers), self.topics.feed
        generation = int(headers.get(GENERATION_HEADER, b"0"))
        if BATCH_HEADER not in headers:
            self._fence(feed, generation)
        elif not self._is_stale(generation, max(self._fences.get(feed, 0), self.changelog.owner)):
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
            self._stale += 1

    def following(self) -> list[JournalEntry]:
        """The micro-batches after the position, without a hole."""
        found: list[JournalEntry] = []
        while (entry := self.entries.get(self.position.batch + 1 + len(found))) is not None:
            found.append(entry)
        return found

    def _fence(self, topic: str, generation: int) -> None:
        self._seen = max(self._seen, generation)
        self._fences[topic] = max(self._fences.get(topic, 0), generation)

    def _is_stale(self, generation: int, bar: int) -> bool:
        self._seen = max(self._seen, generation)
        if generation < bar:
            self._stale += 1
            return True
        return False

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
