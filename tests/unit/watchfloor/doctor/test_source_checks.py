"""What is said of the replication slot."""

import pytest

from common.settings.source import SourceSettings
from connect.source_state import SlotState
from watchfloor.doctor.checks import Report, State
from watchfloor.doctor.source_checks import _judge_encryption, _judge_slot


@pytest.mark.parametrize(
    ("row", "state", "said"),
    [
        ((True, "reserved", 2048), State.OK, "2 KiB not yet captured"),
        (None, State.PROBLEM, "missing"),
        ((False, "reserved", 0), State.PROBLEM, "nobody reads slot"),
        ((True, "extended", 1 << 30), State.PROBLEM, "behind"),
        ((False, "lost", 0), State.PROBLEM, "lost log"),
    ],
)
def test_a_slot_is_judged_by_its_reader_and_its_backlog(
    row: tuple[bool, str, int] | None, state: State, said: str
) -> None:
    report = Report("postgres")
    _judge_slot("watchfloor", SlotState(*row) if row else None, report)
    [result] = report.results
    assert result.state is state
    assert said in result.detail
    assert bool(result.advice) == (state is State.PROBLEM)


@pytest.mark.parametrize(
    ("host", "mode", "encrypted", "state", "said"),
    [
        ("127.0.0.1", None, False, State.OK, "this machine"),
        ("db", None, True, State.OK, "certificate is checked"),
        ("db", "disable", False, State.PROBLEM, "db is not encrypted"),
        ("db", "prefer", False, State.PROBLEM, "db is not encrypted"),
        ("db", "require", True, State.PROBLEM, "not checked"),
    ],
)
def test_a_database_elsewhere_without_tls_is_named(
    host: str, mode: str | None, encrypted: bool, state: State, said: str
) -> None:
    report = Report("postgres")
    _judge_encryption(SourceSettings.model_validate({"host": host, "sslmode": mode}), report, encrypted=encrypted)
    [result] = report.results
    assert result.state is state
    assert said in result.detail
