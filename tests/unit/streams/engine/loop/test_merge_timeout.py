"""How long a topic that brings nothing is waited for."""

from streams.engine.loop.merge_timeout import ROUNDS_MIN, MergeTimeout

LIMIT_S = 0.5


def rounds_that_last(patience: MergeTimeout, buffers: list[list[int]], lagging: list[bool], round_s: float) -> int:
    """Rounds until it gives up; 200 where it does not."""
    return next((n for n in range(200) if not patience.may_wait(0, buffers, lagging, n * round_s)), 200)


def test_a_topic_that_brings_nothing_is_given_up_after_its_time() -> None:
    assert rounds_that_last(MergeTimeout(LIMIT_S), [[1], []], [False, True], 0.01) == 50


def test_a_worker_whose_rounds_are_slow_does_not_blame_the_topic() -> None:
    assert rounds_that_last(MergeTimeout(LIMIT_S), [[1], []], [False, True], 0.7) == ROUNDS_MIN


def test_topics_that_lag_and_have_something_block_nothing() -> None:
    assert rounds_that_last(MergeTimeout(LIMIT_S), [[1], [2]], [True, True], 0.7) == 200


def test_nothing_is_lost_while_there_is_nothing_to_process() -> None:
    assert rounds_that_last(MergeTimeout(LIMIT_S), [[], []], [False, True], 0.7) == 200


def test_what_a_topic_brings_in_between_starts_its_time_anew() -> None:
    patience = MergeTimeout(LIMIT_S)
    for start_s in (0.0, 0.3):
        assert all(patience.may_wait(0, [[1], []], [False, True], start_s + n / 100) for n in range(29))
        assert patience.may_wait(0, [[1], [2]], [False, True], start_s + 0.295)


def test_other_topics_that_lag_now_and_then_do_not_lengthen_the_wait() -> None:
    patience = MergeTimeout(LIMIT_S)
    lasted = [patience.may_wait(0, [[1], [], []], [False, True, n % 2 == 0], n / 100) for n in range(60)]
    assert lasted.index(False) == 50


def test_after_giving_up_the_time_begins_anew_and_partitions_have_their_own() -> None:
    patience = MergeTimeout(LIMIT_S)
    assert rounds_that_last(patience, [[1], []], [False, True], 0.01) == 50
    assert patience.may_wait(0, [[1], []], [False, True], 0.6)
    assert patience.may_wait(1, [[1], []], [False, True], 99.0)
