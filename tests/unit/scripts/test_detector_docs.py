"""docs/detectors says what the detectors' docstrings and policies say, with findings of a run."""

import re
import subprocess
import sys

import pytest
from support.paths import ROOT

from detectors.registry import DETECTORS

PAGES = ROOT / "docs" / "detectors"


@pytest.mark.timeout(240)
def test_the_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "detector_docs.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_detector_has_a_page_with_examples_and_a_meaning_of_each_threshold() -> None:
    for detector in DETECTORS:
        text = (PAGES / f"{detector.name.replace('_', '-')}.md").read_text(encoding="utf-8")
        assert "```json" in text or "The evaluation's scenario has none." in text, detector.name
        for field in detector.policy.__struct_fields__:
            assert re.search(rf"^\| `{field}` \| \S+ \|", text, re.MULTILINE), (detector.name, field)
