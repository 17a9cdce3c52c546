"""No log of any process may hold a person's name, phone or e-mail, or a token (R5.4, R5.8): looked at after the tests.

What tests insert as personal data is planted here; what a process wrote is read when it has ended. One finding fails
the whole run, whatever the tests said. A `conftest.py` imports the two hooks.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}")
_CHARACTERS_MIN = 5
"""Shorter names stand in every log by chance."""
_SHOWN = 60


@dataclass
class LogScan:
    """What was planted, what was read, what was found."""

    planted: set[str] = field(default_factory=set)
    files: int = 0
    bytes: int = 0
    findings: list[str] = field(default_factory=list)

    def plant(self, *texts: str | None) -> None:
        """Remember personal data or a secret that tests hand to a process."""
        self.planted.update(text for text in texts if text is not None and len(text) >= _CHARACTERS_MIN)

    def read(self, logs: Iterable[Path]) -> None:
        """Look through the logs of a process that has ended; a missing one is a finding too."""
        for log in logs:
            try:
                text = log.read_text("utf-8", "replace")
            except OSError as error:
                self.findings.append(f"{log} cannot be read ({error.strerror}), so nobody knows what it holds")
                continue
            self.files += 1
            self.bytes += len(text)
            self.findings += [f"{log.name}: {finding}" for finding in self._found(text)]

    def _found(self, text: str) -> list[str]:
        found = [f"a token in {_around(text, match.start())}" for match in _TOKEN.finditer(text)]
        # Of thousands of texts few begin as some part of the log does: only these are looked for.
        parts = {text[start : start + _CHARACTERS_MIN] for start in range(len(text))}
        for planted in self.planted:
            forms = {planted, json.dumps(planted)[1:-1]}  # logs in JSON write what is not ASCII in another way
            place = max(text.find(form) if form[:_CHARACTERS_MIN] in parts else -1 for form in forms)
            if place >= 0:
                found.append(f"{planted!r} in {_around(text, place)}")
        return found


scan = LogScan()
"""Of this test session."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where a log held what it may not."""
    if scan.findings:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was found, or what was looked at."""
    for finding in scan.findings[:20]:
        terminalreporter.write_line(f"LOG SCAN FAILED {finding}", red=True)
    if scan.findings:
        terminalreporter.write_line(
            f"{len(scan.findings)} findings in the logs: no log may hold personal data or tokens"
        )
    elif scan.files:
        terminalreporter.write_line(
            f"{scan.files} logs ({scan.bytes / 1024:,.0f} KiB) hold none of {len(scan.planted)} planted texts and no token"
        )


def _around(text: str, place: int) -> str:
    return repr(text[max(0, place - _SHOWN) : place + _SHOWN])
