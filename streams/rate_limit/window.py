"""The rate limit: tumbling windows of commit time, and bursts that are reported once. Pure.

The commit time in the record counts, so a replay at any speed drops exactly what the live run dropped.
A burst is a run of adjacent windows in which events were dropped; it is over after a window in which none
was dropped. A burst that does not end is reported every `report_interval_ms`.
"""

import msgspec

from streams.state.entities import RateState


class BurstReport(msgspec.Struct, frozen=True):
    """A burst that is over, or has gone on for the report interval."""

    dropped: int
    window_start_ms: int


def admit(
    state: RateState, commit_ms: int, limit: int, window_ms: int, report_interval_ms: int
) -> tuple[RateState, bool, BurstReport | None]:
    """Count an event.

    A late event, whose commit time is before the current window, counts in the current one.

    Returns:
        The new state, whether the event is scored, and the report of a burst that ended before it.
    """
    state, report = advance(state, commit_ms, window_ms, report_interval_ms)
    if state.admitted < limit:
        counted = RateState(state.window, state.admitted + 1, state.dropped, state.burst_window, state.last_drop_window)
        return counted, True, report
    burst_window = state.burst_window if state.dropped else state.window
    return RateState(state.window, state.admitted, state.dropped + 1, burst_window, state.window), False, report


def advance(
    state: RateState, now_ms: int, window_ms: int, report_interval_ms: int
) -> tuple[RateState, BurstReport | None]:
    """Move forward to the window of `now_ms`, which is a commit time or the time of a timer."""
    window = now_ms // window_ms
    if window <= state.window:
        return state, None
    if not state.dropped:
        return RateState(window, 0, 0, 0, 0), None
    going_on = window == state.last_drop_window + 1
    if going_on and (window - state.burst_window) * window_ms < report_interval_ms:
        return RateState(window, 0, state.dropped, state.burst_window, state.last_drop_window), None
    return RateState(window, 0, 0, 0, 0), BurstReport(state.dropped, state.burst_window * window_ms)


def report_due_ms(state: RateState, window_ms: int) -> int | None:
    """When the burst is over unless more events are dropped; None if there is no burst."""
    return (state.last_drop_window + 2) * window_ms if state.dropped else None
