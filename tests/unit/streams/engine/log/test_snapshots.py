"""When snapshots are taken: one partition a round under load, all that have changed when there is nothing to do."""

import pytest
from support.engine_life import topics_of

from common.settings.engine import ChangelogSettings, EngineSettings
from streams.engine.log.snapshots import Snapshots
from streams.engine.partition.partition import Partition
from streams.engine.state.partition_state import PartitionState, TableSpec

TOPICS = topics_of("a", outputs=("clean",))
INTERVAL_S = 0.25


class Worker:
    """Three partitions, all with something to save."""

    def __init__(self, **changelog: int) -> None:
        self.now_s = 1_000.0
        settings = EngineSettings(changelog=ChangelogSettings(interval_ms=round(INTERVAL_S * 1e3), **changelog))
        self.snapshots = Snapshots(TOPICS, settings, lambda: self.now_s)
        self.partitions = [
            Partition(number, TOPICS.sources, PartitionState((TableSpec("text", int, str),)), lambda _entry: "")
            for number in range(3)
        ]
        for partition in self.partitions:
            partition.ends = dict.fromkeys((TOPICS.journal, *TOPICS.outputs.values()), 0)
        self.take(force=True, changed=True)

    def take(self, *, force: bool = False, changed: bool = False) -> list[int]:
        for partition in self.partitions:
            partition.unsaved = partition.unsaved or changed
        return [snapshot.partition.number for snapshot in self.snapshots.take(self.partitions, force=force)]


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_nothing_is_due_before_its_interval(worker: Worker) -> None:
    worker.now_s += INTERVAL_S * 0.9
    assert worker.take(changed=True) == []


def test_one_partition_a_round_when_the_interval_has_brought_all_of_them(worker: Worker) -> None:
    worker.now_s += INTERVAL_S
    assert [worker.take(changed=True), worker.take(), worker.take(), worker.take()] == [[0], [1], [2], []]


def test_whoever_has_waited_for_twice_the_interval_is_not_put_off_again(worker: Worker) -> None:
    worker.now_s += 2 * INTERVAL_S
    assert worker.take(changed=True) == [0, 1, 2]


def test_with_nothing_else_to_do_all_that_have_changed(worker: Worker) -> None:
    worker.partitions[1].unsaved = True
    assert worker.take(force=True) == [1]


def test_many_changed_keys_do_not_wait() -> None:
    worker = Worker(keys_max=10)
    for key in range(10):
        worker.partitions[2].state["text"].put(key, "x")
    assert worker.take(changed=True) == [2]


@pytest.mark.parametrize("reason", ["fenced", "replay"])
def test_none_of_a_partition_that_is_not_ours_or_behind_its_own_journal(worker: Worker, reason: str) -> None:
    setattr(worker.partitions[0], reason, [None] if reason == "replay" else True)
    assert worker.take(force=True, changed=True) == [1, 2]
