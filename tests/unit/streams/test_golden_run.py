"""A recorded log says today what it said when it was recorded, byte for byte.

The recording does not change with the code: where a test fails here, the feed's readers would see something else than
before. `tests/golden/feed_run/record.py` says how to record anew what changes on purpose.
"""

from typing import Any

import pytest
from support.golden_replays import Replays, promised, said_of, state_of, written
from support.golden_run import (
    Place,
    Recording,
    Said,
    by_topic,
    counted_digest,
    counts_of,
    difference,
    read_digests,
    read_recording,
    tenant_of,
)
from support.memory_log import MemoryLog

DIGESTS = read_digests()
REPLAYS = Replays(DIGESTS["epoch"], DIGESTS["clock_s"], DIGESTS["worker"])
PLACES: list[Place] = [
    (topic, int(partition)) for topic, places in DIGESTS["by_the_journal"].items() for partition in places
]
PARTITIONS = sorted({partition for _, partition in PLACES})
FEED = PLACES[0][0]


@pytest.fixture(scope="module")
def recording() -> Recording:
    return read_recording()


@pytest.fixture(scope="module")
def replayed(recording: Recording) -> dict[int, tuple[dict[Place, list[Said]], dict[str, Any]]]:
    return {partition: REPLAYS.by_the_journal(recording.log(), partition) for partition in PARTITIONS}


def same(problem: str) -> None:
    """Fail with the words that say what differs, and no trace: it is not the test that is of interest."""
    if problem:
        pytest.fail(problem, pytrace=False)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0]}-{place[1]}")
def test_a_replay_by_the_journal_says_what_was_recorded(place: Place, recording: Recording, replayed: Any) -> None:
    said = replayed[place[1]][0].get(place, [])
    same(difference(recording.marks(place), said))
    assert counted_digest(said) == DIGESTS["by_the_journal"][place[0]][str(place[1])]


def test_its_micro_batches_go_as_they_went(replayed: Any) -> None:
    assert {str(partition): went for partition, (_, went) in replayed.items()} == DIGESTS["micro_batches"]


def test_what_the_recording_is_said_to_cover_is_what_it_covers(recording: Recording, replayed: Any) -> None:
    assert (
        counts_of(each for outputs, _ in replayed.values() for said in outputs.values() for each in said)
        == DIGESTS["covers"]
    )
    counts = {(each.topic, each.partition): len(each.values) for each in recording.inputs}
    assert by_topic(counts) == DIGESTS["inputs"]


def test_without_the_journal_the_log_says_the_same_where_nothing_came_late(recording: Recording) -> None:
    said: dict[Place, list[Said]] = {}
    for partition in PARTITIONS:
        if not DIGESTS["micro_batches"][str(partition)]["late_records"]:
            said |= REPLAYS.by_the_log(recording.log(), partition)
    assert len({partition for _, partition in said}) > 1
    for (topic, partition), records in said.items():
        if topic == FEED:
            marks = recording.marks((topic, partition))
            for tenant in sorted(set(marks.tenants)):
                mine = [each for each in records if tenant_of(each.key) == tenant]
                same(difference(marks.of_tenant(tenant), mine, batches=False))
    assert promised(said) == DIGESTS["without_the_journal"]


@pytest.fixture(scope="module")
def recovered(recording: Recording) -> MemoryLog:
    log = recording.log()
    REPLAYS.by_a_worker(log, PARTITIONS)
    return log


def test_a_worker_that_recovers_from_the_journal_writes_what_was_recorded(
    recording: Recording, recovered: MemoryLog
) -> None:
    found: dict[Place, Any] = {}
    for place in PLACES:
        records = written(recovered, place)
        same(difference(recording.marks(place), said_of(records)))
        found[place] = counted_digest(records)
    assert by_topic(found) == DIGESTS["written_by_a_recovered_worker"], "the engine's headers or its fences differ"


def test_what_it_remembers_then_is_what_was_recorded(recovered: MemoryLog) -> None:
    tables = {
        partition: state_of(recovered, DIGESTS["state_topic"], int(partition))
        for partition in DIGESTS["state_of_a_recovered_worker"]
    }
    assert tables == DIGESTS["state_of_a_recovered_worker"]
