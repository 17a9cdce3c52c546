"""docs/add-a-detector.md keeps its promise: its file, put in the folder, is a detector."""

import ast
import doctest
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.detector_checks import (
    check_any_rows,
    check_any_split,
    check_missing_and_strange_columns,
    check_other_tenants,
    check_state_stays_small,
)

import detectors.work
from contracts.findings import Category
from detectors import registry
from detectors.interface import Detector
from detectors.registry import DETECTORS, find_detectors
from evaluation.fold import run
from simulation.records import RowChange

ROOT = Path(__file__).resolve().parents[3]
FILE, TRIAL, *_ = re.findall(
    r"^```python\n(.*?)^```$", (ROOT / "docs/add-a-detector.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)
NAME = "ticket_unassigned"
CODE_LINES_MAX = 22


@pytest.fixture
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Detector]:
    """The page's detector, in the registry as if its file were in `detectors/work/`."""
    (tmp_path / f"{NAME}.py").write_text(FILE, encoding="utf-8")
    monkeypatch.setattr(detectors.work, "__path__", [*detectors.work.__path__, str(tmp_path)])
    found = find_detectors()
    monkeypatch.setattr(registry, "DETECTORS", found)
    yield found[-1]
    sys.modules.pop(f"detectors.work.{NAME}")


def test_it_is_about_twenty_lines_of_code() -> None:
    tree = ast.parse(FILE)
    texts = [node.body[0] for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docstrings = {line for text in texts for line in range(text.lineno, (text.end_lineno or 0) + 1)}
    code = [line for number, line in enumerate(FILE.splitlines(), 1) if line.strip() and number not in docstrings]
    assert len(code) <= CODE_LINES_MAX


def test_the_registry_finds_the_file_and_leaves_the_order_of_the_others(detector: Detector) -> None:
    assert [each.name for each in registry.DETECTORS] == [*(each.name for each in DETECTORS), NAME]
    assert detector.policy.enabled


def test_it_passes_the_checks_of_every_detector(detector: Detector) -> None:
    together = [*DETECTORS, detector]
    check_any_rows(together, examples=20)
    check_any_split(together, examples=10)
    check_other_tenants([detector], examples=10)
    check_state_stays_small(detector)
    for operation in "cur":
        check_missing_and_strange_columns([detector], "ticket", operation)


def test_the_trial_on_the_page_prints_what_it_says(detector: Detector) -> None:
    test = doctest.DocTestParser().get_doctest(TRIAL, {}, "add-a-detector.md", None, 0)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_evaluation_runs_it_by_its_name(detector: Detector) -> None:
    row = {"id": 5, "tenant_id": 1, "site_id": 2, "status": "NEW", "priority": "CRITICAL"}
    outcome = run([RowChange("ticket", "c", None, row, 1_772_442_000_000_000)], 1_772_442_001, [NAME])
    (found,) = outcome.found
    assert (found.finding.finding_type, found.finding.category) == ("TICKET_UNASSIGNED", Category.TICKET)


def test_its_page_of_documentation_follows_from_its_docstrings(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("detector_docs", ROOT / "scripts/detector_docs.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "DETECTORS", [detector])
    pages = script.documents([])
    assert sorted(pages) == ["README.md", "ticket-unassigned.md"]
    assert "TICKET_UNASSIGNED: a critical ticket" in pages["README.md"]
    assert "Reported once, with that row." in pages["ticket-unassigned.md"]


@pytest.mark.parametrize("arguments", [["check", "--no-cache"], ["format", "--check"]])
def test_the_file_is_in_the_house_style(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", f"detectors/work/{NAME}.py", "-"],
        input=FILE,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
