"""A check-out before its check-in is reported; an upload out of order is not."""

from typing import Any

import pytest
from support.fixes import attendance, run

from detectors.interface import Event
from detectors.row_quality.attendance_order import AttendanceOrder

SUT = AttendanceOrder()


def came(hour: float, site: int = 4) -> Any:
    return attendance("CHECK_IN", hour, site)


def went(hour: float, site: int = 4) -> Any:
    return attendance("CHECK_OUT", hour, site)


def reported(*rows: Any) -> list[Any]:
    return [draft.evidence["observed"] for _, draft in run(SUT, rows)]


def test_a_check_out_before_its_check_in_is_reported_once() -> None:
    assert reported(came(8), went(7), went(7)) == [-3600.0]
    assert reported(came(-16), went(-8), came(8), went(7)) == [-3600.0]
    ((_, draft),) = run(SUT, [came(8), went(7)])
    assert (draft.finding_type, draft.severity) == ("DATA_QUALITY", "INFO")
    assert draft.evidence == {
        "reason": "before_its_check_in",
        "column": "occurred_at",
        "observed": -3600.0,
        "threshold": 0,
        "n": 1,
    }


@pytest.mark.parametrize(
    "rows",
    [
        (came(8), went(16)),
        (came(8), went(8)),
        (went(16), came(8)),
        (went(16), came(24), came(8)),
        (came(8), came(20), went(16)),
        (came(8), went(16), came(20), went(28), came(8), went(16)),
        (came(8), went(12), came(12.5), went(16)),
        (came(8), went(12), went(16), came(12.5)),
        (came(32), went(16)),
        (came(17, 5), went(16)),
        (came(8), went(16), went(7.9)),
        (attendance("LUNCH", 8), went(7)),
    ],
)
def test_what_only_came_late_or_belongs_to_another_visit_is_not(rows: tuple[Any, ...]) -> None:
    assert reported(*rows) == []


def test_the_state_is_bounded() -> None:
    state = None
    for hour in range(100):
        state, _ = SUT.judge(state, Event(came(hour), 0), SUT.policy)
    assert state is not None
    assert len(state.checks) == 8
