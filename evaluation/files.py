"""A labelled scenario as a directory of three files, so that one that somebody else made can be judged.

See docs/evaluation.md.

`meta.json`: `records.Meta`. `changes.jsonl`: a `records.RowChange` a line, in commit order.
`labels.jsonl`: a `records.Label` a line.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from simulation.records import Label, Meta, RowChange

T = TypeVar("T")

META, CHANGES, LABELS = "meta.json", "changes.jsonl", "labels.jsonl"


class ScenarioFileError(ValueError):
    """A file of a scenario is not what it should be; names the file and the line."""


def write_changes(directory: Path, changes: Iterable[RowChange]) -> int:
    """Write the changes; returns how many."""
    directory.mkdir(parents=True, exist_ok=True)
    encode, count = msgspec.json.Encoder().encode, 0
    with (directory / CHANGES).open("wb") as file:
        for change in changes:
            file.write(encode(change) + b"\n")
            count += 1
    return count


def write_labels(directory: Path, meta: Meta, labels: Iterable[Label]) -> None:
    """Write what is wrong, and about the scenario."""
    encode = msgspec.json.Encoder().encode
    (directory / META).write_bytes(encode(meta) + b"\n")
    (directory / LABELS).write_bytes(b"".join(encode(label) + b"\n" for label in labels))


def read_meta(directory: Path) -> Meta:
    """About the scenario.

    Raises:
        ScenarioFileError: the file is not as documented.
    """
    try:
        return msgspec.json.decode((directory / META).read_bytes(), type=Meta)
    except msgspec.DecodeError as error:
        raise ScenarioFileError(f"{directory / META}: {error}") from None


def read_labels(directory: Path) -> list[Label]:
    """What is wrong.

    Raises:
        ScenarioFileError: a line is not as documented.
    """
    return list(_lines(directory / LABELS, Label))


def read_changes(directory: Path) -> Iterator[RowChange]:
    """The changes.

    Raises:
        ScenarioFileError: a line is not as documented, or is committed before the one above it.
    """
    last_us = 0
    for number, change in enumerate(_lines(directory / CHANGES, RowChange), 1):
        if change.commit_us < last_us:
            raise ScenarioFileError(f"{directory / CHANGES}, line {number}: committed before the line above it")
        last_us = change.commit_us
        yield change


def _lines(path: Path, kind: type[T]) -> Iterator[T]:
    decode = msgspec.json.Decoder(kind).decode
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield decode(line)
            except msgspec.DecodeError as error:
                raise ScenarioFileError(f"{path}, line {number}: {error}") from None
