"""What a run left in one partition number of its topics: read from the broker, written to disk, read again."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.random_company import TABLES
from chaos.topic_reader import Reader, Record

OUTPUTS = {
    "anomalies": "feed",
    "processed": "processed",
    "dead-letters": "dead_letters",
    "journal": "journal",
    "state-changelog": "changelog",
}
"""Topic, without the prefix, to the name of its records here."""


@dataclass
class Logs:
    """The whole content of one partition number."""

    prefix: str
    partition: int
    sources: list[Record]
    feed: list[Record]
    processed: list[Record]
    dead_letters: list[Record]
    journal: list[Record]
    changelog: list[Record]

    @classmethod
    def read(cls, reader: Reader, prefix: str, partition: int) -> "Logs":
        """Read them from the broker."""
        return cls._of(prefix, partition, reader.read_partition(topics(prefix), partition))

    @classmethod
    def load(cls, file: Path, prefix: str) -> "Logs":
        """Read a dump again."""
        return cls._of(prefix, int(file.stem.removeprefix("partition-")), map(_loaded, file.open(encoding="utf-8")))

    @classmethod
    def _of(cls, prefix: str, partition: int, records: Iterable[Record]) -> "Logs":
        lists: dict[str, list[Record]] = {name: [] for name in ("sources", *OUTPUTS.values())}
        for record in records:
            lists[OUTPUTS.get(record.topic.removeprefix(f"{prefix}."), "sources")].append(record)
        return cls(prefix, partition, **lists)

    def dump(self, directory: Path) -> None:
        """Write them as JSON lines, each byte a Latin-1 character."""
        with (directory / f"partition-{self.partition}.jsonl").open("w", encoding="utf-8") as file:
            for record in self._all():
                fields: dict[str, Any] = {name: getattr(record, name) for name in _PLAIN}
                fields |= {"key": _text(record.key), "value": _text(record.value)}
                fields["headers"] = {name: _text(value) for name, value in record.headers.items()}
                file.write(json.dumps(fields) + "\n")

    def _all(self) -> Iterator[Record]:
        for name in ("sources", *OUTPUTS.values()):
            yield from getattr(self, name)


_PLAIN = ("topic", "partition", "offset", "timestamp_ms")


def topics(prefix: str) -> list[str]:
    """Every topic of a run."""
    return [f"{prefix}.public.{table}" for table in TABLES] + [f"{prefix}.{name}" for name in OUTPUTS]


def _loaded(line: str) -> Record:
    fields = json.loads(line)
    headers = {name: _bytes(value) or b"" for name, value in fields["headers"].items()}
    return Record(*(fields[name] for name in _PLAIN), _bytes(fields["key"]), _bytes(fields["value"]), headers)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else value.encode("latin-1")
