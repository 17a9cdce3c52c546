"""The check history: a person's last check-ins and check-outs, in order of their times, bounded."""

from hypothesis import given
from hypothesis import strategies as st
from support.fixes import attendance

from detectors.location.helpers.duty import CHECKS_MAX, CheckHistory, with_check

ROWS = st.builds(attendance, st.sampled_from(["CHECK_IN", "CHECK_OUT"]), st.integers(0, 40), st.integers(1, 3))


@given(st.lists(ROWS, max_size=20))
def test_marks_are_bounded_sorted_and_learn_nothing_twice(rows: list[object]) -> None:
    checks: CheckHistory = ()
    for row in rows:
        checks = with_check(checks, row)  # type: ignore[arg-type]
        assert len(checks) <= CHECKS_MAX
        assert [check[0] for check in checks] == sorted(check[0] for check in checks)
    for row in rows[-1:]:
        assert with_check(checks, row) is checks or len(checks) == CHECKS_MAX  # type: ignore[arg-type]


def test_other_words_and_check_ins_without_a_site_or_time_say_nothing() -> None:
    checks: CheckHistory = ((1.0, 4),)
    for row in (attendance("LUNCH", 3), attendance("CHECK_IN", 3, site=None)):
        assert with_check(checks, row) is checks
