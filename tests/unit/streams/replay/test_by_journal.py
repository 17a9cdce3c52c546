"""What a replay by the journal needs, and what its journal says may be in doubt."""

import random

import pytest
from hypothesis import strategies as st
from support.played_company import NAMES, Step
from support.replayed_company import by_the_journal, live_run, summary_of

from streams.replay.by_journal import IncompleteLogError

PROMPT = st.just(30)
"""The same delay for every record: none overtakes another on its way."""


def test_a_row_that_arrives_behind_its_tenants_timer_is_a_doubt() -> None:
    burst = [Step("check_in", 1, 0, 10) for _ in range(5)]
    log = live_run([*burst, Step("check_in", 1, 1_900, 4_000)], [], random.Random(1))
    (doubt,) = summary_of(log, 1).doubts()
    assert doubt.startswith("1 records came late")


def test_a_journal_without_its_beginning_is_a_doubt_and_cannot_be_followed() -> None:
    log = live_run([Step("check_in", 1, 5_000, 10) for _ in range(5)], [], random.Random(1))
    log.delete_before(NAMES.journal, 1, 3)
    assert "begins at micro-batch" in summary_of(log, 1).doubts()[0]
    with pytest.raises(IncompleteLogError, match="micro-batch 1 of partition 1"):
        by_the_journal(log, random.Random(1))
