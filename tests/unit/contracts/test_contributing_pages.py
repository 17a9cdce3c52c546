"""The pages for contributors name what there is: in each row of their tables the names stand in the row's files."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("add-a-detector.md", "add-a-message.md", "add-a-captured-table.md")
_CODE = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"_?[A-Za-z][A-Za-z_]*")


def rows(page: str) -> Iterator[tuple[list[Path], list[str]]]:
    """Files and names of each row of a table that has files."""
    for line in (ROOT / "docs" / page).read_text("utf-8").splitlines():
        if line.startswith("| "):
            code = _CODE.findall(line)
            files = [ROOT / each for each in code if "/" in each]
            if files:
                yield files, [each for each in code if _NAME.fullmatch(each)]


def text_of(file: Path) -> str:
    files = [file] if file.is_file() else [*file.rglob("*.py")]
    return "\n".join(each.read_text("utf-8") for each in files)


@pytest.mark.parametrize("page", PAGES)
def test_each_name_stands_in_a_file_of_its_row(page: str) -> None:
    found = list(rows(page))
    missing = [name for files, names in found for name in names if name not in "\n".join(map(text_of, files))]
    assert missing == []
    assert sum(len(names) for _, names in found) >= 5, "the page still has tables of files and names"
