"""The shape of the tests: each module's test is found by its name, helpers have one home, and nothing sleeps."""

import ast
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from support.paths import ROOT, TESTS

PACKAGES = (
    "common",
    "connect",
    "contracts",
    "deploy",
    "detectors",
    "evaluation",
    "gateway",
    "scripts",
    "simulation",
    "streams",
    "watchfloor",
)
LINES_MAX = 60
"""Of a module that may go without a test of its name: what it does shows in the tests of those who use it."""
NAME_CHARACTERS_MAX = 80
DAY_S = 86_400
UNTESTED: dict[str, str] = {}
"""Module to the reason why it has neither a test of its name nor one that names it."""
_MODULE = re.compile(r"\b(?:[a-z_0-9]+/)+[a-z_0-9]+\.py\b")


def has_test_of_its_name(module: Path, unit: Path) -> bool:
    """A module a/b/c.py has its test at tests/unit/a/b/test_c.py, or further up where a package's tests lie flat."""
    return any((unit / folder / f"test_{module.name}").exists() for folder in module.parents if folder != Path())


def named_by_tests(folder: Path) -> dict[str, str]:
    """Module to a test that says in its docstring `Also of a/b/c.py`: several modules are tested there as one thing."""
    return {
        module: str(file)
        for file in sorted(folder.rglob("test_*.py"))
        for module in _MODULE.findall(ast.get_docstring(parsed(file)) or "")
        if not module.startswith("tests/")
    }


def without_test(root: Path, packages: Iterable[str]) -> set[str]:
    """The modules that are long enough to need a test of their name and have none, as paths from the root."""
    named = named_by_tests(root / "tests")
    modules = [file.relative_to(root) for package in packages for file in (root / package).rglob("*.py")]
    return {
        str(module)
        for module in modules
        if module.name != "__init__.py"
        and len((root / module).read_text("utf-8").splitlines()) > LINES_MAX
        and not has_test_of_its_name(module, root / "tests" / "unit")
        and str(module) not in named
    }


def test_each_modules_test_is_found_by_its_name() -> None:
    missing = without_test(ROOT, PACKAGES)
    assert sorted(missing - UNTESTED.keys()) == []
    assert sorted(UNTESTED.keys() - missing) == [], "these have a test by now, or are gone"


def test_what_a_test_says_that_it_tests_is_there() -> None:
    assert {module: test for module, test in named_by_tests(TESTS).items() if not (ROOT / module).exists()} == {}


def test_a_module_without_its_test_is_noticed(tmp_path: Path) -> None:
    feed, tests = tmp_path / "streams" / "feed", tmp_path / "tests" / "unit"
    feed.mkdir(parents=True)
    for name in ("long", "flat", "own", "named"):
        (feed / f"{name}.py").write_text("\n" * (LINES_MAX + 1))
    (feed / "short.py").write_text("\n" * LINES_MAX)
    (tests / "streams" / "feed").mkdir(parents=True)
    (tests / "streams" / "feed" / "test_own.py").write_text('"""Also of streams/feed/named.py."""')
    (tests / "streams" / "test_flat.py").touch()
    (tests / "test_long.py").touch()
    assert without_test(tmp_path, ["streams"]) == {"streams/feed/long.py"}


def test_nothing_is_imported_from_a_test_or_a_conftest() -> None:
    found = [f"{file}: {name}" for file in files() for name in imports(file) if is_test(name)]
    assert found == [], "what several tests need is in tests/support"


def test_only_the_helper_sleeps() -> None:
    found = [f"{file}:{line}" for file in files() if file.name != "waiting.py" for line in sleeps(file)]
    assert found == [], "wait with support.waiting: until, stays, or let_pass where time itself is tested"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import time\ntime.sleep(1)", [2]),
        ("from asyncio import sleep\nasync def f():\n    await sleep(0.1)", [3]),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0)", []),
    ],
)
def test_a_sleep_is_noticed(tmp_path: Path, code: str, found: list[int]) -> None:
    (tmp_path / "test_it.py").write_text(code)
    assert list(sleeps(tmp_path / "test_it.py")) == found


def test_names_are_short_enough_to_read() -> None:
    names = [node.name for file in files() for node in ast.walk(parsed(file)) if isinstance(node, ast.FunctionDef)]
    assert [name for name in names if name.startswith("test_") and len(name) > NAME_CHARACTERS_MAX] == []


def test_names_of_cases_do_not_depend_on_the_moment(request: pytest.FixtureRequest) -> None:
    now = time.time()
    names = [item.name for item in request.session.items]
    assert [name for name in names for number in re.findall(r"\d{10}", name) if abs(int(number) - now) < DAY_S] == []


def files() -> list[Path]:
    return sorted([*TESTS.rglob("*.py"), *(ROOT / "clients" / "python" / "tests").rglob("*.py")])


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def is_test(module: str) -> bool:
    name = module.rpartition(".")[2]
    return name == "conftest" or name.startswith("test_")


def sleeps(file: Path) -> Iterator[int]:
    """The lines of calls of `sleep`; one of no time only gives the event loop a turn."""
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "sleep":
            seconds = node.args[0] if node.args else None
            if not isinstance(seconds, ast.Constant) or seconds.value:
                yield node.lineno
