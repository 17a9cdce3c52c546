"""A scenario that was written is judged like the one that was made; a damaged file is named with its line.

Also of evaluation/__main__.py.
"""

from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.files import (
    CHANGES,
    LABELS,
    META,
    ScenarioFileError,
    read_changes,
    read_labels,
    read_meta,
    write_changes,
    write_labels,
)
from evaluation.fold import run
from evaluation.report import judge
from simulation.labelled import Scenario, Span

DAY = Span(weeks=1, learning_weeks=1)
FEW = ["ticket_sla_breach", "wrong_person"]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    scenario = Scenario(1, DAY, tenants=1)
    assert write_changes(tmp_path, scenario.changes()) > 1_000
    write_labels(tmp_path, scenario.meta, scenario.labels)
    return tmp_path


def test_a_written_scenario_says_what_the_made_one_says(written: Path) -> None:
    scenario = Scenario(1, DAY, tenants=1)
    made = judge(run(scenario.changes(), scenario.meta.until_s, FEW), scenario.labels, scenario.meta)
    meta = read_meta(written)
    read = judge(run(read_changes(written), meta.until_s, FEW), read_labels(written), meta)
    assert meta == scenario.meta
    assert read.outcome.found == made.outcome.found
    assert [line.tally.hits for line in read.lines] == [line.tally.hits for line in made.lines]
    assert any(line.tally.hits for line in made.lines)


def test_a_line_that_is_no_label_is_named(written: Path) -> None:
    with (written / LABELS).open("a") as file:
        file.write('{"finding_type": "LATE_CHECK_IN"}\n')
    with pytest.raises(ScenarioFileError, match=r"labels\.jsonl, line \d+: .*tenant_id"):
        read_labels(written)


def test_changes_that_go_back_in_time_are_refused(written: Path) -> None:
    lines = (written / CHANGES).read_bytes().splitlines(keepends=True)
    (written / CHANGES).write_bytes(lines[-1] + lines[0])
    with pytest.raises(ScenarioFileError, match="line 2: committed before the line above it"):
        list(read_changes(written))


def test_the_commands_write_a_scenario_and_judge_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = str(tmp_path / "scenario")
    made = ["--seed", "1", "--weeks", "1", "--learning-weeks", "1", "--tenants", "1"]
    assert main(["generate", *made, "--out", directory]) == 0
    assert "changes and" in capsys.readouterr().out
    assert main(["evaluate", directory, "--detectors", *FEW, "--explain", "LATE_CHECK_IN"]) == 1
    told = capsys.readouterr().out
    assert "TICKET_SLA_BREACH" in told
    assert "missed LATE_CHECK_IN at 2026-03-" in told
    (tmp_path / "scenario" / META).write_text("{}")
    assert main(["evaluate", directory]) == 2
    assert "meta.json: Object missing required field" in capsys.readouterr().err
