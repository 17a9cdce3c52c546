"""What the engine stores can be read by later releases: earlier formats are, newer ones are refused in one line.

Also of streams/engine/spec.py and streams/replay/journal.py.
"""

import asyncio
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs
from support.memory_log import MemoryFetcher, MemoryLog
from support.partition_topics import COUNT, TOPICS, PartitionTopics

from common.errors import WatchfloorError
from common.version import __version__
from streams.engine.formats import FORMAT, NewerFormatError, PartitionPosition, Provenance, decode_journal
from streams.engine.log.changelog import Changelog, encode_state_fence
from streams.engine.model import OutputRecord
from streams.engine.spec import EngineSpec
from streams.engine.state.partition_state import PartitionState
from streams.replay.journal import JournalSummary, summarize

FORMAT_1_JOURNAL = (
    b'{"type":"fence","generation":3}',
    b'{"type":"batch","generation":3,"batch":4,"spans":{"a":[0,4]}}',
    b'{"type":"batch","generation":3,"batch":5,"spans":{"a":[4,7],"b":[0,2]},"tick_ms":1700,"late":1}',
)
FORMAT_1_STATE = (
    (b"@fence:3", b"\x92\x03\xc0"),
    (b"count:8", b"\x92\x03\x07"),
    (
        b"@position",
        b"\x92\x03\x97\x04\x82\xa1a\x04\xa1b\x00\x02\x82\xa4feed\x00\xa5clean\x00\x92()\x81\xa1a\x93()\x91\xa17\xcd\x06@",
    ),
)
"""As release 0.1.0 wrote them: bytes, so that no change of today's types changes them."""
NEWER = Provenance(FORMAT + 1, "9.9.9", "beef")


def left_by_the_first_release(digest: str = "") -> PartitionTopics:
    topics = PartitionTopics(digest)
    topics.append("journal", *(OutputRecord(b"0", value, ()) for value in FORMAT_1_JOURNAL))
    topics.append("state", *(OutputRecord(key, value, ()) for key, value in FORMAT_1_STATE))
    return topics


def test_journal_and_state_of_the_first_release_are_read() -> None:
    partition = left_by_the_first_release().recover()
    assert partition.state["count"].data == {8: 7}
    assert (partition.generation, partition.batch, partition.offsets, partition.ticked_ms) == (4, 4, [4, 0], 1600)
    (again,) = partition.replay
    assert (again.batch, again.spans, again.tick_ms, again.late) == (5, {"a": (4, 7), "b": (0, 2)}, 1700, 1)


def test_a_new_owner_says_who_it_is_in_journal_and_changelog() -> None:
    topics = left_by_the_first_release("cafe")
    topics.recover()
    own = Provenance(FORMAT, __version__, "cafe")
    fence: Any = decode_journal(topics.log.topics["journal", 0][-1].value or b"")
    assert (fence.generation, fence.written_by) == (4, own)
    changelog = Changelog()
    changelog.take_in(topics.log.topics["state", 0])
    assert changelog.written_by == Provenance(), "the state itself is still the first release's"
    topics.position(4)
    changelog.take_in(topics.log.topics["state", 0][-1:])
    assert changelog.written_by == own


def test_the_first_release_finds_in_the_new_records_what_it_looked_for() -> None:
    """It is a step back that a user may take: nothing that it reads has changed."""
    topics = PartitionTopics("cafe")
    topics.recover()
    journal = msgspec.json.decode(topics.log.topics["journal", 0][0].value or b"")
    key, value = encode_state_fence(1, Provenance(FORMAT, __version__, "cafe"))
    assert (journal["type"], journal["generation"]) == ("fence", 1)
    assert (key, msgspec.msgpack.decode(value or b"")[0]) == (b"@fence:1", 1)


@pytest.mark.parametrize("topic", ["journal", "state"])
def test_a_newer_format_is_refused_in_one_line_and_nothing_is_written(topic: str) -> None:
    topics = left_by_the_first_release()
    if topic == "journal":
        written_by = b'{"format":%d,"release":"9.9.9","digest":"beef","more":[1]}' % NEWER.format
        fence = b'{"type":"fence","generation":4,"written_by":%s,"more":{}}' % written_by
        topics.append("journal", OutputRecord(b"0", fence, ()))
    else:
        value = msgspec.msgpack.encode((4, NEWER, "more"))
        topics.append("state", OutputRecord(b"@fence:4", value, ()))
    before = dict(topics.log.ends)
    with pytest.raises(NewerFormatError) as refused:
        topics.recover()
    assert topics.log.ends == before, "whoever can read it must find it as it was"
    assert isinstance(refused.value, WatchfloorError), "the worker says it in one line"
    for part in (
        f"format {NEWER.format}",
        "release 9.9.9",
        f"this release ({__version__})",
        f"up to {FORMAT}",
        "run that",
    ):
        assert part in str(refused.value)


def test_a_journal_in_a_newer_format_is_not_replayed() -> None:
    log = MemoryLog()
    fence = b'{"type":"fence","generation":1,"written_by":{"format":%d,"release":"9.9.9"}}' % NEWER.format
    log.append("journal", 0, [OutputRecord(b"0", fence, ())])
    with pytest.raises(NewerFormatError, match=r"journal is in format \d+, written by release 9\.9\.9"):
        summary_of(log, "")


def test_going_on_with_other_code_or_settings_is_logged_once_per_takeover() -> None:
    topics = left_by_the_first_release("cafe")
    with capture_logs() as lines:
        topics.recover()
        topics.position(4)
        topics.recover()
    (line,) = [each for each in lines if each["event"] == "the state was written with other code or settings"]
    assert (line["partition"], line["digest"], line["own_digest"]) == (0, "", "cafe")


def summary_of(log: MemoryLog, digest: str) -> JournalSummary:
    spec = EngineSpec(TOPICS, (COUNT,), lambda *_: pytest.fail("not read"), str, lambda _: pytest.fail("none"), digest)
    fetcher: Any = MemoryFetcher(log, lambda: 9)
    return asyncio.run(summarize(spec, fetcher, 0))


def two_releases() -> MemoryLog:
    log, entry = MemoryLog(), b'{"type":"batch","generation":%d,"batch":%d,"spans":{}}'
    log.append("journal", 0, [OutputRecord(b"0", value, ()) for value in FORMAT_1_JOURNAL[:1]])
    log.append("journal", 0, [OutputRecord(b"0", entry % (3, number), ()) for number in (1, 2)])
    for generation, digest in ((4, b"cafe"), (6, b"cafe"), (7, b"beef")):
        written_by = b'{"format":2,"release":"1.0","digest":"%s"}' % digest
        fence = b'{"type":"fence","generation":%d,"written_by":%s}' % (generation, written_by)
        log.append(
            "journal", 0, [OutputRecord(b"0", fence, ()), OutputRecord(b"0", entry % (generation, generation), ())]
        )
        log.append("journal", 0, [OutputRecord(b"0", entry % (3, generation + 1), ())])  # late: fenced off
    return log


def test_a_summary_says_where_the_live_run_used_other_code_or_settings() -> None:
    unknown, other = summary_of(two_releases(), "cafe").doubts()
    assert unknown == "from micro-batch 1 on it is not known which code and settings the live run used"
    assert other == "from micro-batch 7 on the live run used other code or settings (release 1.0, digest beef)"
    assert summary_of(two_releases(), "beef").others == {Provenance(): 1, Provenance(2, "1.0", "cafe"): 4}


def test_a_position_without_its_later_fields_is_read() -> None:
    """The first position that was ever written had no time of a tick."""
    value = msgspec.msgpack.encode((1, [4, {"a": 4}, 2, {}, [4, 4], {}]))
    changelog, state = Changelog(), PartitionState((COUNT,))
    log = MemoryLog()
    log.append("state", 0, [OutputRecord(b"@position", value, ())])
    changelog.take_in(log.topics["state", 0])
    changelog.load_into(state)
    assert changelog.position == PartitionPosition(4, {"a": 4}, 2, {}, (4, 4), {})
