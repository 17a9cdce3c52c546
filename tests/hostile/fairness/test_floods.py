"""A tenant's flood delays its neighbours by no more than its own way through the capture, and loses nothing of theirs.

PostgreSQL's log has one order: what is committed after 60,000 rows is decoded after them. How long that takes depends on
the machine, so it is measured here, and the neighbours may wait two seconds longer. A neighbour in another partition
waits for nothing else; one in the same partition also for the worker to learn the flood's rows.
"""

import time
from collections.abc import Callable, Iterator

import pytest
from hostile.fairness import floods
from hostile.fairness.neighbours import Neighbour, during, found, neighbours, tenant_in, worst
from support.stack import RunningStack
from support.waiting import until

from contracts.topics import TopicNames, tenant_key

EXTRA_S_MAX = 2.0
ROWS = 60_000
PARTITIONS = 4
RESIDENT_BYTES_MAX = 300 << 20
"""Of the worker: 110 MiB without a flood, 140 after all of these."""
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def flooder(flooded: RunningStack) -> int:
    tenant = tenant_in(0, PARTITIONS)
    with flooded.connection() as session, flooded.processing(site=1, person=1, assignment=1):
        found(session, tenant)
    return tenant


@pytest.fixture(scope="module")
def others(flooded: RunningStack) -> Iterator[list[Neighbour]]:
    """One in the flooder's partition and one in another."""
    with neighbours(flooded, tenant_in(1, PARTITIONS), tenant_in(0, PARTITIONS)) as made:
        yield made


def flood(stack: RunningStack, others: list[Neighbour], table: str, rows: int, attack: Callable[[], None]) -> None:
    """Attack, and hold the neighbours' latencies against the time that the flood itself takes."""
    sample = f'watchfloor_worker_events_total{{table="{table}"}}'
    passed_s = 0.0

    def attack_and_wait() -> None:
        nonlocal passed_s
        before, begun_s = stack.worker_metric(sample), time.monotonic()
        attack()
        until(lambda: stack.worker_metric(sample) >= before + rows, "the worker has had the flood", within_s=120)
        passed_s = time.monotonic() - begun_s

    calm, hot = during(others, attack_and_wait, calm_s=2, settle_s=2, within_s=60)
    for name, before, latencies in zip(("another partition", "the same partition"), calm, hot, strict=True):
        figures = f"{name}: calm {worst(before)}, flooded {worst(latencies)}, the flood took {passed_s:.1f} s"
        print(figures)
        assert stack.worker_metric("process_resident_memory_bytes") < RESIDENT_BYTES_MAX
        assert worst(latencies)[1] <= passed_s + EXTRA_S_MAX, figures


def test_statements_of_many_rows(flooded: RunningStack, flooder: int, others: list[Neighbour]) -> None:
    with flooded.connection() as session:
        for attack in (floods.one_insert, floods.one_update, floods.one_delete):
            flood(flooded, others, "location", ROWS, lambda attack=attack: attack(session, flooder, ROWS))
    assert flooded.worker_metric(f'watchfloor_worker_rate_limited_total{{tenant="{flooder}"}}') > ROWS
    for each in others:
        assert not flooded.worker_metric(f'watchfloor_worker_rate_limited_total{{tenant="{each.tenant}"}}')


@pytest.mark.parametrize(
    ("attack", "table", "rows"),
    [
        (floods.single_commits, "location", ROWS // 3),
        (floods.references, "person", ROWS),
        (floods.large_rows, "ticket", 2_000),
    ],
    ids=["single_commits", "references", "large_rows"],
)
def test_other_floods(
    flooded: RunningStack, flooder: int, others: list[Neighbour], attack: floods.Flood, table: str, rows: int
) -> None:
    with flooded.connection() as session:
        flood(flooded, others, table, rows, lambda: attack(session, flooder, rows))


def test_a_hundred_thousand_tombstones(flooded: RunningStack, flooder: int, others: list[Neighbour]) -> None:
    """They come from Kafka itself, so the neighbours wait for the worker only."""
    topic, records = TopicNames("noc").captured("location"), 100_000
    attack = floods.tombstones
    flood(
        flooded,
        others,
        "location",
        records,
        lambda: attack(flooded.kafka_client(), topic, tenant_key(flooder), 0, records),
    )
