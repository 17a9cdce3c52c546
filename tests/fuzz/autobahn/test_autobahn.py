"""The cases of the Autobahn TestSuite but for the large messages and compression; cases.py runs them all."""

import re
from pathlib import Path

from fuzz.autobahn.cases import EXPLAINED, WITHOUT_LOAD, run, unexplained

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "conformance.md"


def test_every_result_that_is_not_plainly_ok_is_explained() -> None:
    results = run(WITHOUT_LOAD)
    assert len(results) == 247
    assert set(EXPLAINED) <= set(results)
    assert unexplained(results) == []


def test_another_result_would_be_noticed() -> None:
    assert unexplained({"1.1.1": "FAILED"}) == ["1.1.1: FAILED, expected OK"]
    assert unexplained({"3.2": "FAILED"}) == ["3.2: FAILED, expected NON-STRICT"]
    assert unexplained({"3.2": "NON-STRICT", "12.1.1": "UNIMPLEMENTED"}) == []
    assert unexplained({"3.2": "OK", "7.1.5": "OK"}) == []  # nobody minds


def test_the_document_explains_them() -> None:
    text = DOCUMENT.read_text("utf-8")
    for case, (result, _) in EXPLAINED.items():
        assert re.search(rf"\b{re.escape(case)}\b.*{result}", text), case
