"""The checks of `tests/support/detector_checks.py` on every detector that the registry finds.

Also of detectors/interface.py.
"""

from typing import Any

import pytest
from support.absurd_rows import Watched
from support.detector_checks import (
    check_any_rows,
    check_any_split,
    check_missing_and_strange_columns,
    check_other_tenants,
    check_state_stays_small,
)

from detectors.interface import Detector
from detectors.registry import DETECTORS


def test_no_rows_make_it_raise_forget_itself_or_say_two_things_of_one() -> None:
    check_any_rows(DETECTORS)


def test_any_split_into_micro_batches_gives_the_same_feed() -> None:
    check_any_split(DETECTORS)


def test_another_tenants_rows_change_nothing() -> None:
    check_other_tenants(DETECTORS)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.name)
def test_its_state_stays_small(detector: Detector) -> None:
    check_state_stays_small(detector)


@pytest.mark.parametrize("table", sorted({table for each in DETECTORS for table in each.tables}))
@pytest.mark.parametrize("operation", ["c", "u", "r"])
def test_rows_without_columns_and_with_strange_ones_are_no_anomaly(table: str, operation: str) -> None:
    check_missing_and_strange_columns(DETECTORS, table, operation)


def test_the_watch_sees_what_it_is_for() -> None:
    class Forgetful:
        name, tables, entity = DETECTORS[0].name, DETECTORS[0].tables, DETECTORS[0].entity
        state_type, policy = None, DETECTORS[0].policy
        calls = 0

        def judge(self, state: Any, event: Any, _policy: Any) -> Any:
            self.calls += 1
            if self.calls > 2:
                raise ZeroDivisionError
            return state, [] if self.calls == 1 else [event]

    defects: list[str] = []
    watch = Watched(Forgetful(), defects)  # type: ignore[arg-type]  # it is a poor one
    watch.judge(None, None, None)  # type: ignore[arg-type]
    watch.judge(None, None, None)  # type: ignore[arg-type]
    assert ["say the same" in each for each in defects] == [True, False]
    assert "ZeroDivisionError" in defects[1]
