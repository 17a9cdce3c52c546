"""What a live run said, its log says again: by the journal always, without it whenever nothing came late.

Also of streams/replay/by_journal.py and streams/replay/by_log.py.
"""

import random

from hypothesis import event, given, settings
from hypothesis import strategies as st
from support.played_company import NAMES, PARTITIONS, Step, steps
from support.replayed_company import by_tenant, by_the_journal, by_the_log, clean_of, feed_of, live_run, summary_of

CRASHES = st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 40), st.booleans()), max_size=3)
PROMPT = st.just(30)
"""The same delay for every record: none overtakes another on its way."""
ANY_LAG = st.sampled_from([5, 30, 200, 400, 3_000])


@settings(max_examples=60, deadline=None)
@given(steps(ANY_LAG), CRASHES, st.integers(0, 10_000))
def test_a_replay_by_the_journal_says_what_the_live_run_said(
    drawn: list[Step], crashes: list[tuple[int, int, bool]], seed: int
) -> None:
    draws = random.Random(seed)
    log = live_run(drawn, crashes, draws)
    replayed = by_the_journal(log, draws)
    live = [record for partition in range(PARTITIONS) for record in log.topics[NAMES.anomalies, partition]]
    assert [each.value for each in replayed.get(NAMES.anomalies, [])] == [each.value for each in live if each.key]
    clean = [record for partition in range(PARTITIONS) for record in log.topics[NAMES.processed, partition]]
    assert clean_of(replayed.get(NAMES.processed, [])) == clean_of(clean)


@settings(max_examples=80, deadline=None)
@given(steps(PROMPT), CRASHES, st.integers(0, 10_000))
def test_without_the_journal_the_log_says_the_same_however_it_is_cut(
    drawn: list[Step], crashes: list[tuple[int, int, bool]], seed: int
) -> None:
    draws = random.Random(seed)
    log = live_run(drawn, crashes, draws)
    summaries = [summary_of(log, partition) for partition in range(PARTITIONS)]
    assert [summary.doubts() for summary in summaries] == [[]] * PARTITIONS
    until_ms = max(summary.tick_ms for summary in summaries)
    alone = by_the_log(log, draws, [0], until_ms), by_the_log(log, draws, [1], until_ms)
    together = by_the_log(log, draws, [1, 0], until_ms)
    live = feed_of(log)
    event("a burst was reported" if any(b"rate_limited" in said for tenant in live.values() for said in tenant) else "")
    said = b"".join(value for tenant in live.values() for value in tenant)
    event("a reference was missed" if b"reference_missing" in said else "")
    assert by_tenant([record for outputs in alone for record in outputs.get(NAMES.anomalies, [])]) == live
    assert by_tenant(together.get(NAMES.anomalies, [])) == live


@settings(max_examples=80, deadline=None)
@given(steps(ANY_LAG), CRASHES, st.integers(0, 10_000))
def test_where_it_may_not_say_the_same_the_journal_knows(
    drawn: list[Step], crashes: list[tuple[int, int, bool]], seed: int
) -> None:
    draws = random.Random(seed)
    log = live_run(drawn, crashes, draws)
    live = feed_of(log)
    for partition in range(PARTITIONS):
        summary = summary_of(log, partition)
        event("doubts" if summary.doubts() else "none")
        if not summary.doubts():
            replayed = by_tenant(by_the_log(log, draws, [partition], summary.tick_ms).get(NAMES.anomalies, []))
            assert replayed == {tenant: live[tenant] for tenant in live if tenant % PARTITIONS == partition}
