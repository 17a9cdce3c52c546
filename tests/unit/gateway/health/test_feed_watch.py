"""Clients are told when the feed is not live, by what, and when it is again; not of every blink."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages import FeedState, FeedStatus
from gateway.health.feed_watch import FeedWatch, Symptoms
from gateway.session.replies import iso

FINE = Symptoms()
NO_WORKER = Symptoms(worker_serves=False)


def watch() -> FeedWatch:
    return FeedWatch(behind_s=5, hold_s=3, repeat_s=30)


def run(story: FeedWatch, symptoms: Symptoms, seconds: range) -> list[tuple[int, FeedStatus]]:
    told = ((second, story.observe(symptoms, second)) for second in seconds)
    return [(second, status) for second, status in told if status is not None]


def test_while_all_is_well_nobody_is_told_anything() -> None:
    story = watch()
    assert run(story, FINE, range(1_000)) == []
    assert story.live
    assert story.status(7).state is FeedState.LIVE


def test_a_dead_worker_is_told_after_a_moment_then_now_and_then_and_its_return_too() -> None:
    story = watch()
    run(story, FINE, range(101))
    told = run(story, NO_WORKER, range(101, 170))
    assert [second for second, _ in told] == [104, 134, 164]
    assert told[0][1] == FeedStatus(
        timestamp=iso(104),
        state=FeedState.INTERRUPTED,
        component="worker",
        behind_seconds=4.0,
        behind_records=0,
        since=iso(101),
    )
    assert told[2][1].behind_seconds == 64.0
    assert story.status(168).behind_seconds == 68.0
    back = run(story, FINE, range(170, 400))
    assert [(second, status.state, status.component, status.since) for second, status in back] == [
        (173, FeedState.LIVE, None, None)
    ]


def test_a_blink_is_not_told() -> None:
    story = watch()
    for second in range(0, 300, 5):
        assert run(story, FINE, range(second, second + 3)) == []
        assert run(story, NO_WORKER, range(second + 3, second + 5)) == []


@pytest.mark.parametrize(
    ("symptoms", "component"),
    [
        (Symptoms(kafka_answers=False, worker_serves=False, connect_runs=False), "kafka"),
        (Symptoms(database_answers=False, connect_runs=False), "database"),
        (Symptoms(connect_runs=False, worker_serves=False), "connect"),
        (Symptoms(worker_serves=False, gateway_lag_seconds=100), "worker"),
        (Symptoms(gateway_reads=False), "gateway"),
    ],
)
def test_the_component_that_explains_the_others_is_named(symptoms: Symptoms, component: str) -> None:
    story = watch()
    run(story, FINE, range(10))
    ((_, status),) = run(story, symptoms, range(10, 20))
    assert (status.state, status.component) == (FeedState.INTERRUPTED, component)


def test_unknown_components_are_no_trouble() -> None:
    story = watch()
    nothing_known = Symptoms(worker_serves=None, connect_runs=None, database_answers=None)
    assert run(story, nothing_known, range(100)) == []


def test_a_delay_is_told_in_seconds_and_records_and_ends_well_below_where_it_began() -> None:
    story = watch()
    run(story, FINE, range(10))
    slow = Symptoms(worker_serves=True, worker_lag_seconds=5.0, worker_lag_records=900, gateway_lag_records=10)
    ((_, status),) = run(story, slow, range(10, 20))
    assert (status.state, status.component) == (FeedState.BEHIND, "worker")
    assert (status.behind_seconds, status.behind_records) == (5.0, 910)
    assert run(story, Symptoms(worker_lag_seconds=3.0), range(20, 40)) == []
    assert [status.state for _, status in run(story, Symptoms(worker_lag_seconds=2.4), range(40, 50))] == [
        FeedState.LIVE
    ]
    assert run(story, Symptoms(worker_lag_seconds=4.9), range(50, 90)) == []
    assert [status.component for _, status in run(story, Symptoms(gateway_lag_seconds=9.0), range(90, 99))] == [
        "gateway"
    ]


def test_from_one_trouble_into_the_next_it_began_with_the_first() -> None:
    story = watch()
    run(story, FINE, range(10))
    run(story, Symptoms(connect_runs=False), range(10, 20))
    ((second, status),) = run(story, NO_WORKER, range(20, 30))
    assert (second, status.component, status.since) == (23, "worker", iso(10))
    assert status.behind_seconds == 4.0  # of the worker; what Connect held back has come meanwhile


troubles = st.sampled_from(
    [FINE, NO_WORKER, Symptoms(kafka_answers=False), Symptoms(gateway_lag_seconds=20), Symptoms(worker_lag_seconds=4)]
)


@given(st.lists(st.tuples(troubles, st.integers(1, 40)), max_size=20))
def test_what_is_told_last_is_what_lasted(script: list[tuple[Symptoms, int]]) -> None:
    story, now, latest = watch(), 0, FeedState.LIVE
    told_at = -1_000
    for symptoms, seconds in script:
        for _ in range(seconds):
            now += 1
            status = story.observe(symptoms, now)
            if status is not None:
                changed = status.state is not latest
                assert changed or now - told_at >= 30 or status.component is not None
                latest, told_at = status.state, now
            assert story.status(now).state is latest
            assert story.live == (latest is FeedState.LIVE)
        if seconds > 3:
            lasting = {
                FINE: {FeedState.LIVE},
                Symptoms(worker_lag_seconds=4): {FeedState.LIVE, FeedState.BEHIND},
                Symptoms(gateway_lag_seconds=20): {FeedState.BEHIND},
            }.get(symptoms, {FeedState.INTERRUPTED})
            assert latest in lasting
        if seconds > 33 and latest is not FeedState.LIVE:
            assert now - told_at < 30
