"""The reader of the log: positions, silence, reconnection, missing topics, on a cluster made of values."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from support.fake_kafka import FakeCluster, until

from common.errors import WatchfloorError
from common.settings.gateway import ReaderSettings
from gateway.kafka import log_reader as module
from gateway.kafka.log_reader import Interruption, LogReader, Polled, ReadFrom, RecordHandler

LIMITS = ReaderSettings(broker_silence_s_max=1, broker_wait_s_max=1, poll_records_max=2)


class Notes(RecordHandler):
    """Writes down what a handler is called with."""

    def __init__(self, topics: Mapping[str, ReadFrom], *, optional: bool = False, goes_on: bool = True) -> None:
        super().__init__(topics, optional=optional)
        self.goes_on = goes_on
        self.topic_ids: Mapping[str, str] = {}
        self.taken: list[tuple[str, int, int]] = []
        self.lag: Mapping[str, int] = {}
        self.calls: list[object] = []

    @property
    def offsets(self) -> list[int]:
        return [offset for _, _, offset in self.taken]

    def begin(self, topic_ids: Mapping[str, str]) -> bool:
        same, self.topic_ids = topic_ids == self.topic_ids, topic_ids
        self.calls.append("begin")
        return self.goes_on and same

    def take(self, polled: Polled, lag: Mapping[str, int]) -> None:
        self.taken += [
            (partition.topic, partition.partition, record.offset)
            for partition, records in polled.items()
            for record in records
        ]
        self.lag = lag

    def caught_up(self) -> None:
        self.calls.append("caught up")

    def missing(self) -> None:
        self.calls.append("missing")

    def interrupted(self, why: Interruption, error: Exception) -> None:
        assert str(error) or type(error)
        self.calls.append(why)

    def resumed(self) -> None:
        self.calls.append("resumed")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    monkeypatch.setattr(module, "MISSING_RETRY_S", 0.01)


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    made = FakeCluster(t=2)
    yield made
    assert made.consumers == made.stopped


def follow(
    cluster: FakeCluster, notes: Notes, story: Callable[[LogReader], Awaitable[None]], *, open_first: bool = False
) -> None:
    """Run a reader beside a story."""

    async def run() -> None:
        reader = LogReader(cluster, LIMITS, notes)
        if open_first:
            await reader.open()
        running = asyncio.create_task(reader.run())
        try:
            await story(reader)
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await reader.close()
        assert not reader.answering

    asyncio.run(run())


def fill(cluster: FakeCluster, count: int, partition: int = 0) -> None:
    for number in range(count):
        cluster.append("t", b"x", partition=partition, at=float(number))


@pytest.mark.parametrize(
    ("start", "first"),
    [
        (ReadFrom(), 0),
        (ReadFrom(newest=3), 4),
        (ReadFrom(newest=99), 0),
        (ReadFrom(newest=0), 7),
        (ReadFrom(seconds_ago=0.0), 7),
    ],
)
def test_a_topic_is_read_from_where_the_handler_says(cluster: FakeCluster, start: ReadFrom, first: int) -> None:
    async def story(reader: LogReader) -> None:
        await until(lambda: reader.answering)
        fill(cluster, 1)
        await until(lambda: 7 in notes.offsets)

    fill(cluster, 7)
    notes = Notes({"t": start})
    follow(cluster, notes, story)
    assert notes.offsets == list(range(first, 8))


def test_records_that_are_older_than_a_time_are_passed_over(cluster: FakeCluster) -> None:
    async def story(reader: LogReader) -> None:
        await until(lambda: reader.answering)

    now = time.time()
    for ago_s in (60, 20, 5):
        cluster.append("t", b"x", at=now - ago_s)
    cluster.append("t", b"x", partition=1, at=now - 60)
    notes = Notes({"t": ReadFrom(seconds_ago=30)})
    follow(cluster, notes, story)
    assert notes.taken == [("t", 0, 1), ("t", 0, 2)]


def test_it_has_caught_up_when_all_partitions_have_and_says_so_after_each_portion(cluster: FakeCluster) -> None:
    async def story(reader: LogReader) -> None:
        await until(lambda: reader.answering)
        assert len(notes.taken) == 7
        assert notes.calls == ["begin", "caught up"]
        assert notes.lag == {"t": 0}
        fill(cluster, 1)
        await until(lambda: notes.calls == ["begin", "caught up", "caught up"])

    fill(cluster, 5)
    fill(cluster, 2, partition=1)
    notes = Notes({"t": ReadFrom()})
    follow(cluster, notes, story)


def test_markers_at_the_end_of_a_log_do_not_keep_it_behind(cluster: FakeCluster) -> None:
    async def story(reader: LogReader) -> None:
        await until(lambda: reader.answering)

    fill(cluster, 3)
    cluster.topics["t"].partitions[TopicPartition("t", 0)].hidden = {1, 2}
    notes = Notes({"t": ReadFrom()})
    follow(cluster, notes, story)
    assert (notes.offsets, notes.lag) == ([0], {"t": 0})


def test_an_absent_broker_is_waited_for(cluster: FakeCluster) -> None:
    async def story(reader: LogReader) -> None:
        await until(lambda: cluster.consumers > 2)
        assert not reader.answering
        cluster.answers = True
        await until(lambda: reader.answering)

    cluster.answers = False
    notes = Notes({"t": ReadFrom()})
    follow(cluster, notes, story)
    attempts = notes.calls.index("begin")
    assert notes.calls[:attempts] == [Interruption.NO_CONNECTION] * attempts
    assert notes.calls[attempts:] == ["begin", "caught up", "resumed"]


def test_the_start_fails_where_no_broker_answers_in_time(cluster: FakeCluster) -> None:
    cluster.answers = False
    with pytest.raises(WatchfloorError, match="no Kafka broker answers"):
        asyncio.run(LogReader(cluster, LIMITS, Notes({"t": ReadFrom()})).open())


def test_the_start_fails_where_a_topic_is_missing(cluster: FakeCluster) -> None:
    with pytest.raises(WatchfloorError, match="the topic other is missing"):
        asyncio.run(LogReader(cluster, LIMITS, Notes({"t": ReadFrom(), "other": ReadFrom()})).open())


def test_an_optional_topic_is_looked_for_again(cluster: FakeCluster) -> None:
    async def story(reader: LogReader) -> None:
        await until(lambda: notes.calls.count("missing") > 1)
        cluster.topics["u"] = FakeCluster(u=1).topics["u"]
        await until(lambda: reader.answering)

    notes = Notes({"u": ReadFrom()}, optional=True)
    follow(cluster, notes, story)
    assert set(notes.calls) == {"missing", "begin", "caught up"}


def test_a_silent_broker_is_noticed_and_nothing_is_lost_or_repeated(cluster: FakeCluster) -> None:
    async def story(reader: LogReader) -> None:
        cluster.answers = False
        await until(lambda: not reader.answering)
        fill(cluster, 2)
        cluster.answers = True
        await until(lambda: reader.answering)
        await until(lambda: len(notes.taken) == 5)
        assert cluster.consumers == 1

    fill(cluster, 3)
    notes = Notes({"t": ReadFrom()})
    follow(cluster, notes, story, open_first=True)
    assert notes.offsets == list(range(5))
    assert notes.calls[:4] == ["begin", "caught up", Interruption.SILENCE, "resumed"]


def test_a_broker_that_stays_away_is_looked_up_anew(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(reader: LogReader) -> None:
        cluster.answers = False
        await until(lambda: cluster.consumers > 3)
        fill(cluster, 1)
        cluster.answers = True
        await until(lambda: reader.answering and len(notes.taken) == 1)

    monkeypatch.setattr(module, "RECONNECT_AFTER", 1.0)
    notes = Notes({"t": ReadFrom()})
    follow(cluster, notes, story, open_first=True)
    assert Interruption.LOST in notes.calls
    assert notes.calls[-1] == "resumed"


def test_a_loop_that_stood_still_is_no_silence(cluster: FakeCluster) -> None:
    """What was fetched before is handed on although the last answer is old."""

    async def story(reader: LogReader) -> None:
        reader._connected_at = time.time() - 3
        fill(cluster, 1)
        await until(lambda: len(notes.taken) == 1)

    cluster.answered_ago_s = 3.0
    notes = Notes({"t": ReadFrom()})
    follow(cluster, notes, story, open_first=True)
    assert notes.offsets == [0]


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_lost_connection_goes_on_where_it_was_or_begins_again_as_the_handler_wants(
    cluster: FakeCluster, goes_on: bool
) -> None:
    async def story(reader: LogReader) -> None:
        cluster.failures.append(KafkaConnectionError("away"))
        await until(lambda: "resumed" in notes.calls)
        fill(cluster, 1)
        await until(lambda: notes.offsets[-1] == 3)
        assert reader.answering

    fill(cluster, 3)
    notes = Notes({"t": ReadFrom()}, goes_on=goes_on)
    follow(cluster, notes, story, open_first=True)
    assert notes.offsets == ([0, 1, 2, 3] if goes_on else [0, 1, 2, 0, 1, 2, 3])
    assert notes.calls[2] is Interruption.LOST


@pytest.mark.parametrize("away", [False, True], ids=["while it reads", "while it was away"])
def test_where_retention_was_faster_what_is_left_is_read(cluster: FakeCluster, away: bool) -> None:
    async def story(reader: LogReader) -> None:
        cluster.answers = not away
        if away:
            cluster.failures.append(KafkaConnectionError("away"))
            await until(lambda: cluster.consumers > 1)
        cluster.topics["t"].partitions[TopicPartition("t", 0)].first = 6
        fill(cluster, 8)
        cluster.answers = True
        await until(lambda: reader.answering and notes.offsets[-1] == 8)

    fill(cluster, 1)
    notes = Notes({"t": ReadFrom()})
    follow(cluster, notes, story, open_first=True)
    assert notes.offsets == [0, 6, 7, 8]


@pytest.mark.parametrize("records", [1, 9], ids=["shorter than the old one", "longer than the old one"])
def test_after_a_silence_the_handler_hears_of_another_log_before_its_records(
    cluster: FakeCluster, records: int
) -> None:
    async def story(reader: LogReader) -> None:
        cluster.answers = False
        await until(lambda: not reader.answering)
        cluster.topics["t"].make_anew()
        fill(cluster, records)
        cluster.answers = True
        await until(lambda: reader.answering)
        assert notes.calls.count("begin") == 2

    fill(cluster, 3)
    notes = Notes({"t": ReadFrom()})
    follow(cluster, notes, story, open_first=True)
    assert notes.offsets == [0, 1, 2, *range(records)]


def test_handlers_that_override_nothing_are_read_for_too(cluster: FakeCluster) -> None:
    async def story() -> None:
        reader = LogReader(cluster, LIMITS, RecordHandler({"t": ReadFrom()}))
        running = asyncio.create_task(reader.run())
        await until(lambda: reader.answering)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    fill(cluster, 2)
    asyncio.run(story())
