from hypothesis import given
from hypothesis import strategies as st

from streams.rate_limit.window import admit, advance, report_due_ms
from streams.state.entities import RateState

WINDOW_MS = 1_000
REPORT_INTERVAL_MS = 60_000


def test_a_hundred_events_a_second_pass_and_the_next_does_not() -> None:
    state, passed = RateState(), 0
    for index in range(150):
        state, ok, _ = admit(state, 5_000 + index, 100, WINDOW_MS, REPORT_INTERVAL_MS)
        passed += ok
    assert passed == 100
    _, ok, _ = admit(state, 6_000, 100, WINDOW_MS, REPORT_INTERVAL_MS)
    assert ok


@given(st.lists(st.integers(0, 20_000), max_size=300), st.integers(0, 5))
def test_each_window_passes_its_limit_and_every_drop_is_reported_once(times: list[int], limit: int) -> None:
    state, passed, reported = RateState(), [], 0
    for at_ms in sorted(times):
        state, ok, report = admit(state, at_ms, limit, WINDOW_MS, REPORT_INTERVAL_MS)
        reported += report.dropped if report else 0
        if ok:
            passed.append(at_ms // WINDOW_MS)
    state, report = advance(state, 10**9, WINDOW_MS, REPORT_INTERVAL_MS)
    reported += report.dropped if report else 0
    per_window = {window: sum(at // WINDOW_MS == window for at in times) for window in range(21)}
    assert all(passed.count(window) == min(limit, count) for window, count in per_window.items())
    assert reported == len(times) - len(passed)
    assert state.dropped == 0


def test_adjacent_windows_are_one_burst_and_a_quiet_window_ends_it() -> None:
    state, reports = RateState(), []
    for second in (10, 11, 12):
        for _ in range(3):
            state, _, report = admit(state, second * 1_000, 1, WINDOW_MS, REPORT_INTERVAL_MS)
            reports.append(report)
    assert not any(reports)
    assert report_due_ms(state, WINDOW_MS) == 14_000
    state, report = advance(state, 14_000, WINDOW_MS, REPORT_INTERVAL_MS)
    assert report is not None
    assert (report.dropped, report.window_start_ms) == (6, 10_000)


def test_a_burst_without_end_is_reported_every_interval() -> None:
    state, reports = RateState(), []
    for second in range(100, 100 + 2 * REPORT_INTERVAL_MS // 1_000 + 2):
        for _ in range(2):
            state, _, report = admit(state, second * 1_000, 1, WINDOW_MS, REPORT_INTERVAL_MS)
            if report is not None:
                reports.append(report.dropped)
    assert reports == [60, 60]


def test_an_event_from_before_the_window_counts_in_it_and_never_turns_time_back() -> None:
    state, _, _ = admit(RateState(), 10_000, 1, WINDOW_MS, REPORT_INTERVAL_MS)
    state, ok, _ = admit(state, 3_000, 1, WINDOW_MS, REPORT_INTERVAL_MS)
    assert not ok
    assert state.window == 10
