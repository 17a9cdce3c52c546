"""Writes the results of a comparison to files, and on request to a section and a picture of the docs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from chart import chart
from comparison import Measured

from common.errors import WatchfloorError

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "figures.md"
IMAGES = ROOT / "docs" / "images"


def write_results(name: str, measured: Sequence[Measured], title: str) -> Path:
    """Write the picture and the raw numbers of every run below benchmarks/results; return the picture's path."""
    RESULTS.mkdir(exist_ok=True)
    body = {
        each.engine.name: {"runs": [asdict(run) for run in each.runs], "paced": [asdict(one) for one in each.paced]}
        for each in measured
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(body, indent=1))
    picture = RESULTS / f"{name}.svg"
    picture.write_text(chart(measured, title))
    return picture


def publish_section(name: str, title: str, picture: str, paragraphs: Sequence[str], page: Path = PAGE) -> None:
    """Replace the section of this name by a picture and paragraphs.

    Raises:
        WatchfloorError: the page has no such section.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = page.read_text("utf-8")
    head, found_begin, rest = text.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found_begin or not found_end:
        raise WatchfloorError(f"{page} has no section for {name}", f"put {begin} and {end} on lines of their own there")
    (IMAGES / f"{name}.svg").write_text(picture)
    section = "\n\n".join([begin, f"![{title}](images/{name}.svg)", *paragraphs, end])
    page.write_text(head + section + tail, "utf-8")
