"""The per-tenant rate limit: a tumbling window of commit time, and bursts reported once. Pure.

Judged by the commit time in the record, so a replay at any speed drops exactly what the live run dropped.
A burst is a run of adjacent windows in which something was dropped; it is over when a window passes in
which nothing was. A burst that does not end is reported every `report_interval_ms`.
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
    """Count one event.

    An event whose commit time lies before the current window (it came late) counts in the current one.

    Returns:
        The new state, whether the event is scored, and the report of a burst that ended before it.
    """
    state, report = advance(state, commit_ms, window_ms, report_interval_ms)
    if state.admitted < limit:
        return (
            RateState(state.window, state.admitted + 1, state.dropped, state.burst_window, state.last_drop_window),
            True,
            report,
        )
    burst_window = state.burst_window if state.dropped else state.window
    return RateState(state.window, state.admitted, state.dropped + 1, burst_window, state.window), False, report


def advance(
    state: RateState, now_ms: int, window_ms: int, report_interval_ms: int
) -> tuple[RateState, BurstReport | None]:
    """Move to the window of `now_ms`, a commit time or the time a timer was due; never back."""
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
    """When a tick must look at this state again: the burst is over then, unless more is dropped."""
    return (state.last_drop_window + 2) * window_ms if state.dropped else None
