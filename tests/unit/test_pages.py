"""The Markdown pages: the files, modules, settings and links that they name exist."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel
from support.paths import ROOT

from common.settings.load import Settings

PAGES = sorted(
    str(page.relative_to(ROOT))
    for folder, pattern in ((".", "*.md"), ("docs", "**/*.md"), ("deploy", "**/*.md"), ("clients", "*/README.md"))
    for page in (ROOT / folder).glob(pattern)
)
NOT_SETTINGS = {"source.claimed_commit_time"}
"""Fields of feed records whose names look like settings."""
NOT_TRACKED = {"watchfloor.toml", "ticket_unassigned.py"}
"""Files that the program writes, or that a page shows how to write."""
_CODE = re.compile(r"`([^`\n]+)`")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"\.{0,2}/?(?:[\w-]+/)+(?:[\w.-]+\.[a-z]+)?")
_FILE = re.compile(r"[\w-]+\.(?:py|ts|go|toml|sh|yml)")
_SETTING = re.compile(r"([a-z]+)(?:\.[a-z_0-9]+)+")
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)")


@cache
def tracked() -> frozenset[str]:
    """Every file of the repository and every folder with one, as paths from the root."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return frozenset(listed).union(str(folder) for name in listed for folder in Path(name).parents)


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings, and of their sections and groups."""
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation, f"{prefix}{name}.")


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def words(page: str) -> set[str]:
    """Each word between backticks, without blocks of code."""
    return {word.rstrip(",;:") for span in _CODE.findall(_FENCED.sub("", text_of(page))) for word in span.split()}


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", _FENCED.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", each).lower()).replace(" ", "-") for each in headings}


def has_path(page: str, path: str) -> bool:
    """Whether a path exists from the root or beside the page, if its first folder is one of the repository."""
    first = path.split("/", maxsplit=1)[0]
    if f"{first}" not in tracked():
        return True
    return path.rstrip("/") in tracked() or str(Path(page).parent / path) in tracked()


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    named = {word for word in words(page) if _PATH.fullmatch(word)}
    assert {path for path in named if not has_path(page, path)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_source_file_that_a_page_names_exists(page: str) -> None:
    names = {Path(path).name for path in tracked()}
    assert {word for word in words(page) if _FILE.fullmatch(word)} - names - NOT_TRACKED == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_a_page_names_exists(page: str) -> None:
    known = set(settings(Settings)) | NOT_SETTINGS
    sections = set(Settings.model_fields)
    named = {word for word in words(page) if (found := _SETTING.fullmatch(word)) and found[1] in sections}
    modules = {word for word in named if f"{word.replace('.', '/')}.py" in tracked()}
    assert named - known - modules == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    for target, anchor in _LINK.findall(_FENCED.sub("", text_of(page))):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), f"{target}#{anchor}"


def test_the_index_of_decisions_has_the_number_and_title_of_each_page() -> None:
    pages = {page.name: page.read_text("utf-8") for page in (ROOT / "docs" / "decisions").glob("0*.md")}
    titles = [(f"{int(name[:4])}. ", name, text.splitlines()[0].removeprefix("# ")) for name, text in pages.items()]
    expected = {(name[:4], title.removeprefix(number), name) for number, name, title in titles}
    rows = re.findall(
        r"^\| (\d{4}) \| \[(.+)\]\((.+)\) \| \d{4}-\d\d-\d\d \|", text_of("docs/decisions/README.md"), re.MULTILINE
    )
    assert sorted(rows) == sorted(expected)
    assert len({number for number, _, _ in rows}) == len(rows)
