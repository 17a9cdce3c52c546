"""What the tails of a partition's topics say, record by record: micro-batches to run again, what they wrote.

Pure: `streams.engine.takeover.recovery` reads, this module judges. It owns the rule by which an older owner's record
counts:

- Fenced output, journal and changelog have fences. Whatever an older generation wrote after a fence is skipped. A
  position counts as a fence too: it says from which offsets on its generation is the owner.
- The other outputs have no fences, since their readers do not follow them. The records of a micro-batch count there if
  they were made from the same micro-batch that the journal has under that number, and where the journal has none, if
  they continue it without a gap.
"""

from dataclasses import dataclass, field

from streams.engine.formats import (
    BATCH_HEADER,
    GENERATION_HEADER,
    JOURNAL_HEADER,
    JournalEntry,
    JournalFence,
    PartitionPosition,
    check_format,
    decode_journal,
)
from streams.engine.log.changelog import Changelog
from streams.engine.model import RawRecord
from streams.engine.spec import EngineTopics


@dataclass(slots=True)
class LogTails:
    """What was found in the tails so far.

    Args:
        changelog: of the partition; says from where on the others matter, and may be read further meanwhile.
    """

    topics: EngineTopics
    changelog: Changelog
    _highest_generation: int = 0
    _stale: int = 0
    entries: dict[int, JournalEntry] = field(default_factory=dict)
    written: dict[str, dict[int, int]] = field(default_factory=dict)
    """Output topic to micro-batch to the index of the last output that is there."""
    _fences: dict[str, int] = field(default_factory=dict)
    _trusted: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Unfenced output topic to the (generation, micro-batch) whose records count now."""

    @property
    def position(self) -> PartitionPosition:
        """How far the state has come."""
        return self.changelog.position

    @property
    def highest_generation(self) -> int:
        """The highest generation found anywhere."""
        return max(self._highest_generation, self.changelog.highest_generation)

    @property
    def stale(self) -> int:
        """Records that did not count."""
        return self._stale + self.changelog.stale

    def on_journal(self, record: RawRecord) -> None:
        """Take in a record of the journal.

        Raises:
            NewerFormatError: a later release has written to it.
        """
        entry = decode_journal(record.value or b"")
        if isinstance(entry, JournalFence):
            check_format(self.topics.journal, entry.written_by)
            self._note_fence(self.topics.journal, entry.generation)
        elif not self._is_stale(self.topics.journal, entry.generation):
            self.entries[entry.batch] = entry
            self._note_written(self.topics.journal, b"%d/0" % entry.batch)

    def on_fenced_output(self, record: RawRecord) -> None:
        """Take in a record of the output that has fences."""
        headers, topic = dict(record.headers), self.topics.feed
        generation = int(headers.get(GENERATION_HEADER, b"0"))
        if BATCH_HEADER not in headers:
            self._note_fence(topic, generation)
        elif not self._is_stale(topic, generation):
            entry = _copied_entry(headers)
            if entry is not None:
                self.entries[entry.batch] = entry
            self._note_written(topic, headers[BATCH_HEADER])

    def on_unfenced_output(self, topic: str, record: RawRecord) -> None:
        """Take in a record of an output without fences; only once journal and fenced output were read to the end."""
        headers = dict(record.headers)
        if BATCH_HEADER not in headers:
            return  # not written by a worker
        here = (int(headers.get(GENERATION_HEADER, b"0")), int(headers[BATCH_HEADER].partition(b"/")[0]))
        entry = _copied_entry(headers)
        if entry is not None and self._agrees(entry):
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

    def _note_fence(self, topic: str, generation: int) -> None:
        self._highest_generation = max(self._highest_generation, generation)
        self._fences[topic] = max(self._fences.get(topic, 0), generation)

    def _is_stale(self, topic: str, generation: int) -> bool:
        self._highest_generation = max(self._highest_generation, generation)
        if generation < max(self._fences.get(topic, 0), self.changelog.owner):
            self._stale += 1
            return True
        return False

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
        self.entries[entry.batch] = entry
        return True


def _copied_entry(headers: dict[str, bytes]) -> JournalEntry | None:
    """The journal entry that an output record repeats, if it does."""
    if JOURNAL_HEADER not in headers:
        return None
    entry = decode_journal(headers[JOURNAL_HEADER])
    return entry if isinstance(entry, JournalEntry) else None
