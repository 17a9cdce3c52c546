"""The scan of all logs fails a run in which a process wrote down what it may not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.log_scan import LogScan
from support.paths import TESTS

CONFTEST = "from support.log_scan import pytest_sessionfinish, pytest_terminal_summary\n"
PLANTED = ("Valerie Ondo", "+1-555-867-5309", "val@planted.example", "René Planted", "Al", None)
A_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvcHMifQ.c2lnbmF0dXJl"


def run_with_log(directory: Path, words: str) -> subprocess.CompletedProcess[str]:
    """A test session of its own, in which one passing test starts a process that logs these words."""
    (directory / "conftest.py").write_text(CONFTEST, "utf-8")
    (directory / "process.log").write_text(words, "utf-8")
    (directory / "test_it.py").write_text(
        "from pathlib import Path\n"
        "from support.log_scan import scan\n"
        "def test_it():\n"
        f"    scan.plant(*{PLANTED!r})\n"
        "    scan.read([Path(__file__).with_name('process.log')])\n",
        "utf-8",
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(directory),
        str(directory),
    ]
    environment = os.environ | {"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=directory)


@pytest.mark.parametrize(
    ("words", "finding"),
    [
        ('{"event": "signed in", "user": "Valerie Ondo"}', "Valerie Ondo"),
        ("ERROR: row (17, +1-555-867-5309)", "+1-555-867-5309"),
        ("to val@planted.example", "val@planted.example"),
        (r'{"name": "Ren\u00e9 Planted"}', "René Planted"),
        (f"GET /ws/noc/?token={A_TOKEN}", "a token in"),
    ],
)
def test_personal_data_and_tokens_are_found_in_a_log(tmp_path: Path, words: str, finding: str) -> None:
    log, found = tmp_path / "process.log", LogScan()
    log.write_text(words, "utf-8")
    found.plant(*PLANTED)
    found.read([log])
    assert [each.replace("'", "").startswith(f"process.log: {finding}") for each in found.findings] == [True]


def test_a_finding_fails_the_run_whatever_its_tests_say(tmp_path: Path) -> None:
    done = run_with_log(tmp_path, "to val@planted.example")
    assert done.returncode == 1, done.stdout
    assert "1 passed" in done.stdout
    assert "LOG SCAN FAILED process.log: 'val@planted.example'" in done.stdout


def test_a_log_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    found = LogScan()
    found.read([tmp_path / "gone.log"])
    assert "nobody knows what it holds" in found.findings[0]


def test_a_clean_log_passes(tmp_path: Path) -> None:
    done = run_with_log(tmp_path, '{"event": "signed in", "user": "Va***o"} Al eyJ')
    assert done.returncode == 0, done.stdout
    assert "1 logs (0 KiB) hold none of 4 planted texts and no token" in done.stdout
