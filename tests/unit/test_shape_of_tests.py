"""The shape of the tests: each module's test is found by its name, helpers have one home, and nothing sleeps."""

from pathlib import Path

from support.paths import ROOT, TESTS

PACKAGES = ("common", "connect", "contracts", "deploy", "scripts", "streams", "watchfloor")
UNIT = TESTS / "unit"
LINES_MAX = 60
"""Of a module that may go without a test of its name: what it does shows in the tests of who uses it."""
TESTED_ELSEWHERE: dict[str, str] = {}
"""Module to the test that shows what it does, and why it has none of its name."""
NAME_CHARACTERS_MAX = 90


def modules() -> list[str]:
    """The product's modules, as paths from the root."""
    return sorted(
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if file.name != "__init__.py"
    )


def has_test_of_its_name(module: str, unit: Path = UNIT) -> bool:
    """A module a/b/c.py has its test at tests/unit/a/b/test_c.py, or further up where a package's tests lie flat."""
    path = Path(module)
    return any((unit / folder / f"test_{path.name}").exists() for folder in path.parents if folder != Path())


def untested(unit: Path = UNIT) -> set[str]:
    return {
        module
        for module in modules()
        if len((ROOT / module).read_text("utf-8").splitlines()) > LINES_MAX and not has_test_of_its_name(module, unit)
    }
