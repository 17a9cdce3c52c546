"""A recorded run of the worker: what it read, its journal and what it said, for tests that run it again.

`tests/golden/feed_run` holds one run: `run.msgpack.xz` has the source records, the journal and a short hash of every
output record, `digests.json` the counts and digests that a person can read. `record.py` beside them makes both.
"""

import contextlib
import hashlib
import json
import lzma
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from support.memory_log import MemoryLog, Stored

FOLDER = Path(__file__).parents[1] / "golden" / "feed_run"
_RUN, _DIGESTS = FOLDER / "run.msgpack.xz", FOLDER / "digests.json"
_MARK_BYTES = 8
_SHOWN_CHARACTERS = 3_000
_ENGINE_HEADERS = frozenset({"generation", "batch", "journal"})
"""The engine adds these to what the processing says."""

Headers = Sequence[tuple[str, bytes]]
Place = tuple[str, int]
"""A topic and a partition."""


class Said(NamedTuple):
    """An output record without what the engine adds to it."""

    batch: int
    """The micro-batch that said it."""
    key: bytes | None
    value: bytes | None
    headers: Headers


class StoredPlace(msgspec.Struct, frozen=True):
    """The records of one partition of a topic that is read, by columns, since those compress better."""

    topic: str
    partition: int
    end: int
    offset_steps: list[int]
    timestamp_steps: list[int]
    """Each from the one before it, the first one from 0."""
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[list[tuple[str, bytes]]]


class Marks(msgspec.Struct, frozen=True):
    """What is kept of the records of one partition of an output topic: enough to name the first that differs."""

    topic: str
    partition: int
    hashes: bytes
    """Eight bytes a record; the number of the micro-batch is not part of them."""
    batches: list[int]
    tenants: list[int]
    names: list[str]

    def hash_of(self, index: int) -> bytes:
        """The hash of one record; empty behind the last one."""
        return self.hashes[_MARK_BYTES * index : _MARK_BYTES * (index + 1)]

    def of_tenant(self, tenant: int) -> "Marks":
        """Those of one tenant's records."""
        chosen = [index for index, each in enumerate(self.tenants) if each == tenant]
        return Marks(
            self.topic,
            self.partition,
            b"".join(map(self.hash_of, chosen)),
            [self.batches[index] for index in chosen],
            [tenant] * len(chosen),
            [self.names[index] for index in chosen],
        )


class Recording(msgspec.Struct, frozen=True):
    """Everything that is stored of the run."""

    inputs: list[StoredPlace]
    """The source topics and the journal."""
    outputs: list[Marks]

    def log(self) -> MemoryLog:
        """A log that has the inputs and nothing else."""
        log = MemoryLog()
        for each in self.inputs:
            offset, timestamp, records = 0, 0, []
            columns = zip(each.offset_steps, each.timestamp_steps, each.keys, each.values, each.headers, strict=True)
            for offset_step, timestamp_step, key, value, headers in columns:
                offset, timestamp = offset + offset_step, timestamp + timestamp_step
                records.append(Stored(offset, timestamp, key, value, headers))
            log.topics[each.topic, each.partition] = records
            log.ends[each.topic, each.partition] = each.end
        return log

    def marks(self, place: Place) -> Marks:
        """What is known of an output; it is empty where nothing was said there."""
        found = (each for each in self.outputs if (each.topic, each.partition) == place)
        return next(found, Marks(*place, b"", [], [], []))


def stored_place(log: MemoryLog, topic: str, partition: int) -> StoredPlace:
    """The records of one partition as they are stored."""
    records = log.topics[topic, partition]
    return StoredPlace(
        topic,
        partition,
        log.ends[topic, partition],
        _steps(record.offset for record in records),
        _steps(record.timestamp for record in records),
        [record.key for record in records],
        [record.value for record in records],
        [list(record.headers) for record in records],
    )


def marks_of(place: Place, said: Sequence[Said]) -> Marks:
    """What is kept of an output."""
    return Marks(
        *place,
        b"".join(map(mark, said)),
        [each.batch for each in said],
        [tenant_of(each.key) for each in said],
        [name_of(each) for each in said],
    )


def read_recording() -> Recording:
    """The stored run."""
    recording: Recording = msgspec.msgpack.decode(lzma.decompress(_RUN.read_bytes()), type=Recording)
    return recording


def read_digests() -> dict[str, Any]:
    """Its counts and digests, and how it was made."""
    digests: dict[str, Any] = json.loads(_DIGESTS.read_text())
    return digests


def save(recording: Recording, digests: dict[str, Any]) -> int:
    """Write both files; returns the size of the larger one. The same content gives the same bytes."""
    packed = lzma.compress(msgspec.msgpack.encode(recording), preset=9 | lzma.PRESET_EXTREME)
    _RUN.write_bytes(packed)
    _DIGESTS.write_text(json.dumps(digests, indent=1, ensure_ascii=False) + "\n")
    return len(packed)


def without_engine_headers(headers: Headers) -> list[tuple[str, bytes]]:
    """The headers that the processing gave to a record."""
    return [pair for pair in headers if pair[0] not in _ENGINE_HEADERS]


def mark(said: Said) -> bytes:
    """A short hash of what was said, whichever micro-batch said it."""
    return hashlib.blake2b(_encoded(said.key, said.value, said.headers), digest_size=_MARK_BYTES).digest()


def digest(said: Iterable[Said], *, batches: bool = True) -> str:
    """SHA-256 over (micro-batch, key, value, headers) of all records, in order; or without the micro-batch."""
    whole = hashlib.sha256()
    for each in said:
        whole.update(msgspec.msgpack.encode(each.batch if batches else 0))
        whole.update(_encoded(each.key, each.value, each.headers))
    return whole.hexdigest()


def counted_digest(said: Sequence[Said], *, batches: bool = True) -> dict[str, Any]:
    """The number of records and their digest."""
    return {"records": len(said), "sha256": digest(said, batches=batches)}


def by_topic(values: dict[Place, Any]) -> dict[str, dict[str, Any]]:
    """The values as JSON has them: topic to partition to value."""
    topics: dict[str, dict[str, Any]] = {}
    for (topic, partition), value in values.items():
        topics.setdefault(topic, {})[str(partition)] = value
    return topics


def tenant_of(key: bytes | None) -> int:
    """The tenant that a record's key names; 0 where it names none."""
    try:
        return int(json.loads(key or b"{}").get("tenant_id", 0))
    except (ValueError, AttributeError):
        return 0


def name_of(said: Said) -> str:
    """A few words by which a person recognises an output record."""
    headers = dict(said.headers)
    if "source_topic" in headers:
        where = f"{headers['source_topic'].decode()} offset {headers['source_offset'].decode()}"
        return f"dead letter of {where}: {headers['detector'].decode()} {headers['exception_class'].decode()}"
    body = json.loads(said.value or b"{}")
    if "events" in body:
        return f"tenant {body['tenant_id']}: {len(body['events'])} clean events from {body['events'][0][0]}"
    findings = " ".join(each["finding_type"] for each in body.get("findings", ()))
    return f"tenant {body.get('tenant_id')} seq {body.get('seq')}: {body.get('event_id')} {findings or body['type']}"


def difference(marks: Marks, said: Sequence[Said], *, batches: bool = True) -> str:
    """The first record that is not what was recorded, in words; empty where there is none."""
    for index in range(max(len(marks.names), len(said))):
        there, recorded = index < len(said), index < len(marks.names)
        same = there and recorded and mark(said[index]) == marks.hash_of(index)
        if same and (not batches or said[index].batch == marks.batches[index]):
            continue
        lines = [f"{marks.topic}, partition {marks.partition}: record {index} of {len(marks.names)} differs"]
        if recorded:
            lines.append(f"  recorded: micro-batch {marks.batches[index]}, {marks.names[index]}")
        if there:
            lines.append(f"  replayed: micro-batch {said[index].batch}, {name_of(said[index])}")
        lines.append("  " + _guess(marks, said, index, same=same))
        if there:
            lines += ["  the replayed record:", _shown(said[index])]
        return "\n".join(lines)
    return ""


def counts_of(said: Iterable[Said]) -> dict[str, dict[str, int]]:
    """How many of what there are, by which a person sees what a run covers."""
    counts: dict[str, Counter[str]] = {"ce_types": Counter(), "finding_types": Counter(), "dead_letters": Counter()}
    for each in said:
        headers = dict(each.headers)
        if "ce_type" in headers:
            counts["ce_types"][headers["ce_type"].decode()] += 1
            for finding in json.loads(each.value or b"{}").get("findings", ()):
                counts["finding_types"][finding["finding_type"]] += 1
        elif "source_topic" in headers:
            counts["dead_letters"][f"{headers['detector'].decode()}: {headers['exception_class'].decode()}"] += 1
    return {name: dict(sorted(each.items())) for name, each in counts.items()}


def _guess(marks: Marks, said: Sequence[Said], index: int, *, same: bool) -> str:
    """What has probably happened."""
    if same:
        return "the same record, said by another micro-batch"
    if index >= len(said):
        return f"the replay says nothing more: {len(marks.names) - index} records are missing"
    if index >= len(marks.names):
        return f"the recorded run had ended: {len(said) - index} records are new"
    if index + 1 < len(said) and mark(said[index + 1]) == marks.hash_of(index):
        return "the recorded record follows as the next one: this one is new"
    if mark(said[index]) == marks.hash_of(index + 1):
        return "the replayed record was recorded as the next one: the recorded one is missing"
    return "neither follows as the next one: its content has changed, or the order has"


def _shown(said: Said) -> str:
    text = (said.value or b"").decode(errors="replace")
    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    headers = "\n".join(f"{name}: {value.decode(errors='replace')}" for name, value in said.headers)
    return f"key: {said.key!r}\n{headers}\n{text[:_SHOWN_CHARACTERS]}"


def _encoded(key: bytes | None, value: bytes | None, headers: Headers) -> bytes:
    return msgspec.msgpack.encode((key, value, [tuple(pair) for pair in headers]))


def _steps(numbers: Iterable[int]) -> list[int]:
    before, steps = 0, []
    for number in numbers:
        steps.append(number - before)
        before = number
    return steps
