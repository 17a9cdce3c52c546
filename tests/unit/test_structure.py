"""The shape of the code: the length of files and functions, and that one module numbers the feed."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("common", "contracts", "detectors", "streams", "gateway", "connect", "deploy", "simulation", "watchfloor")
LINES_MAX = 300
PARAMETERS_MAX = 7


def modules(*packages: str) -> list[Path]:
    return sorted(file for package in packages for file in (ROOT / package).rglob("*.py"))


def functions(module: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in {"self", "cls"}]


def test_no_file_of_the_product_is_longer_than_can_be_read_at_once() -> None:
    lengths = {str(file.relative_to(ROOT)): len(file.read_text("utf-8").splitlines()) for file in modules(*PACKAGES)}
    assert {file: lines for file, lines in lengths.items() if lines > LINES_MAX} == {}


def test_no_function_of_the_worker_and_the_gateway_takes_more_than_seven_parameters() -> None:
    too_many = {
        f"{file.relative_to(ROOT)}:{function.name}": len(parameters(function))
        for file in modules("streams", "gateway")
        for function in functions(file)
        if len(parameters(function)) > PARAMETERS_MAX
    }
    assert too_many == {}


def test_only_the_feed_writer_takes_a_number_and_stores_it() -> None:
    found = subprocess.run(
        ["git", "grep", "-lE", r"\.seq \+ 1|\.seq = ", "--", "streams"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["streams/feed/writer.py"]
