import gc
from collections.abc import Iterator

import pytest

from gateway.gc_tuning import GcTuning


@pytest.fixture(autouse=True)
def collector_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class Connection:
    """Refers to itself, as a connection's objects do."""

    alive = 0

    def __init__(self) -> None:
        self.me = self
        Connection.alive += 1

    def __del__(self) -> None:
        Connection.alive -= 1


def test_what_is_there_at_the_start_is_not_looked_at_again() -> None:
    GcTuning().settle()

    assert gc.get_freeze_count() > 1_000
    assert gc.get_threshold()[0] > 5_000


def test_no_full_collection_comes_of_itself_while_much_is_made_and_dropped() -> None:
    GcTuning().settle()
    before = gc.get_stats()[2]["collections"]

    kept = [{"seq": number, "inner": [number]} for number in range(300_000)]

    assert gc.get_stats()[2]["collections"] == before
    assert kept


def test_garbage_is_collected_when_as_many_connections_have_gone_as_are_left() -> None:
    garbage = GcTuning()
    garbage.settle()
    for number in range(1_000, 0, -1):
        Connection()
        garbage.connection_gone(left=number - 1)

    assert Connection.alive <= 500
