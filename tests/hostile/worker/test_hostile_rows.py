"""A tenant whose rows and policies are hostile, and one beside it that must not notice.

Any table, any column, any policy field, any text; the command is `tests/fuzz/hostile_rows_fuzz.py`.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile_rows import HOSTILE, ORDINARY, run

ROWS = 2_000
LETTERS_A_MINUTE = 101
"""The tenant's limit of dead letters, and the report of the others."""


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32))
def test_the_tenant_beside_it_gets_the_same_bytes_as_without_it(seed: int) -> None:
    beside, alone = run(seed, ROWS, hostile=True), run(seed, ROWS, hostile=False)
    assert beside.feed[ORDINARY] == alone.feed[ORDINARY]
    assert len(alone.feed[ORDINARY]) > ROWS // 50
    assert ORDINARY not in beside.dead_letters
    assert beside.dead_letters[HOSTILE] <= 3 * LETTERS_A_MINUTE
    assert beside.slowest_s < 2  # measured 0.05
