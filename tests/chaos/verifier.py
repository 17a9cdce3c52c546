"""Compares everything that workers left in the topics with a plain fold of what went in.

Shares no code with the product: the readers' rule, the journal, the changelog and the fold are written here
again from their documentation. Finds nothing: all is well. Otherwise each violation is a line that names the
first wrong place.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from chaos.commit_order import CommitOrder
from chaos.logs import Logs
from chaos.plain_fold import Fold, Json, Source, read_source
from chaos.random_company import TABLES
from chaos.topic_reader import Record


@dataclass
class Verdict:
    """What was found."""

    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    peak_mb: float = 0.0
    """The most memory that a verifying process took."""

    @property
    def summary(self) -> str:
        """The counts on one line."""
        return " ".join(f"{name}={count}" for name, count in sorted(self.counts.items()))


@dataclass
class Batch:
    """A journalled micro-batch."""

    number: int
    spans: dict[str, list[int]]
    tick_ms: int | None
    late: int


def verify(logs: Logs, *, raw: bool) -> Verdict:
    """Check everything that one partition holds.

    Args:
        logs: of a run whose workers have processed everything and were stopped in order. The records of the
            sources are taken out of it: they are most of what a run leaves.
        raw: the topics themselves must hold no repeat: no worker was paused.
    """
    verdict = Verdict()
    _Partition(logs, verdict, raw=raw).check()
    return verdict


class _Partition:
    """The checks of one partition."""

    def __init__(self, logs: Logs, verdict: Verdict, *, raw: bool) -> None:
        self._logs = logs
        self._verdict = verdict
        self._raw = raw
        self._ranks = {f"{logs.prefix}.public.{table}": source_index for source_index, table in enumerate(TABLES)}
        self._sources = _by_place(logs.sources)
        self._fold = Fold()
        self._journalled: set[tuple[int, int]] = set()
        """(generation, batch) of the journal's entries that count."""
        self._late_clean: list[list[str]] = []
        """Clean events of a writer that was fenced off: it may have merged, and so limited, otherwise."""

    def check(self) -> None:
        batches = self._journal()
        self._verdict.counts["events"] += sum(len(values) for values in self._sources.values())
        self._fold_of(batches)
        self._feed()
        self._processed()
        self._dead_letters()
        self._state(len(batches))
        for name, count in self._fold.counts.items():
            self._verdict.counts[name] += count
        self._verdict.counts["batches"] += len(batches)
        self._verdict.counts["late"] += sum(batch.late for batch in batches)

    def _wrong(self, what: str) -> None:
        self._verdict.violations.append(f"partition {self._logs.partition}: {what}")

    # The journal: dense, one meaning per number, every source record in exactly one batch.

    def _journal(self) -> list[Batch]:
        fence, known = 0, dict[int, Batch]()
        for record in self._logs.journal:
            entry = json.loads(record.value or b"")
            if entry["type"] == "fence":
                fence = max(fence, entry["generation"])
                self._verdict.counts["takeovers"] += 1
            elif entry["generation"] < fence:
                self._verdict.counts["fenced_off_journal"] += 1
            else:
                self._entry(entry, known)
        for number in range(1, max(known, default=0) + 1):
            if number not in known:
                self._wrong(f"the journal has no batch {number}")
                break
        batches = [known[number] for number in sorted(known)]
        self._covered(batches)
        return batches

    def _entry(self, entry: Json, known: dict[int, Batch]) -> None:
        self._journalled.add((entry["generation"], entry["batch"]))
        batch = Batch(entry["batch"], entry["spans"], entry.get("tick_ms"), entry.get("late", 0))
        earlier = known.setdefault(batch.number, batch)
        if earlier is not batch:
            self._verdict.counts["batches_run_again"] += 1
        if (earlier.spans, earlier.tick_ms) != (batch.spans, batch.tick_ms):
            self._wrong(f"the journal says two things of batch {batch.number}: {earlier} and {batch}")

    def _covered(self, batches: list[Batch]) -> None:
        at = dict.fromkeys(self._ranks, 0)
        for batch in batches:
            for topic, (start, end) in batch.spans.items():
                if start != at[topic]:
                    self._wrong(f"batch {batch.number} begins at {topic} {start}, the one before ended at {at[topic]}")
                at[topic] = end
        ends = {topic: max(self._sources.get(topic, {}), default=-1) + 1 for topic in self._ranks}
        for topic, end in ends.items():
            if at[topic] != end:
                self._wrong(f"{topic} was processed to {at[topic]} of {end}")

    # The fold: what must have come out.

    def _fold_of(self, batches: list[Batch]) -> None:
        order, honest = CommitOrder(), True
        for batch in batches:
            sources = list(self._take(batch))
            late = order.late_in(sources, self._fold.fired_ms)
            self._fold.batch(batch.number, sources, batch.tick_ms)
            if honest and late != batch.late:
                self._wrong(f"batch {batch.number} takes {late} rows late, but counts {batch.late}")
                honest = False  # the first says it

    def _take(self, batch: Batch) -> Iterable[Source]:
        """The batch's records, parsed now and forgotten afterwards: parsed, a run takes ten times its bytes."""
        for topic, (start, end) in batch.spans.items():
            values = self._sources.get(topic, {})
            for offset in range(start, end):
                if offset in values:
                    yield read_source(topic, self._ranks[topic], offset, values.pop(offset))

    # The feed by the readers' rule, and as it lies there.

    def _feed(self) -> None:
        fence = 0
        seen: dict[int, list[Json]] = {}
        raw: Counter[tuple[int, int]] = Counter()
        identifiers: set[str] = set()
        for record in self._logs.feed:
            body = json.loads(record.value or b"")
            if body["type"] == "fence":
                fence = max(fence, body["generation"])
                continue
            tenant, seq = body["tenant_id"], body["seq"]
            raw[tenant, seq] += 1
            if record.key != b'{"tenant_id":%d}' % tenant:
                self._wrong(f"feed offset {record.offset} has key {record.key!r} for tenant {tenant}")
            so_far = seen.setdefault(tenant, [])
            last = so_far[-1]["seq"] if so_far else 0
            if int(record.headers["generation"]) < fence:
                self._verdict.counts["fenced_off_feed"] += 1
            elif seq <= last:
                self._verdict.counts["repeated_feed"] += 1
            else:
                so_far.append(_told(body))
                if body["id"] in identifiers:
                    self._wrong(f"tenant {tenant} seq {seq}: id {body['id']} is used twice")
                identifiers.add(body["id"])
        for tenant in sorted(seen.keys() | self._fold.messages.keys()):
            self._compare_feed(tenant, seen.get(tenant, []), self._fold.messages.get(tenant, []))
        twice = [place for place, count in raw.items() if count > 1]
        if self._raw and twice:
            self._wrong(f"the feed holds {len(twice)} messages twice; the first is tenant, seq {min(twice)}")

    def _compare_feed(self, tenant: int, got: list[Json], wanted: list[Json]) -> None:
        for place, message in enumerate(wanted):
            if place >= len(got):
                self._wrong(f"tenant {tenant}: {len(wanted) - len(got)} missing, the first is {message}")
                return
            told = {name: got[place].get(name) for name in message}
            if told != message:
                self._wrong(f"tenant {tenant}: first wrong is seq {message['seq']}: {told} instead of {message}")
                return
        if len(got) > len(wanted):
            self._wrong(f"tenant {tenant}: {len(got) - len(wanted)} unexpected, the first is {got[len(wanted)]}")

    # Clean events and dead letters: as they lie there where nobody was paused; otherwise told apart by their
    # own identity, since these topics have no fences.

    def _processed(self) -> None:
        seen: dict[tuple[int, int], list[str]] = {}
        for record in self._logs.processed:
            body = json.loads(record.value or b"")
            place = (int(record.headers["batch"].partition(b"/")[0]), body["tenant_id"])
            self._verdict.counts["repeated_clean"] += place in seen
            if self._raw and place in seen:
                self._wrong(f"clean events of batch, tenant {place} are there twice")
            events = [event[0] for event in body["events"]]
            seen.setdefault(place, []).extend(events)
            if (int(record.headers["generation"]), place[0]) not in self._journalled:
                self._late_clean.append(events)
        if self._raw:
            for place in sorted(seen.keys() | self._fold.clean.keys()):
                if not self._same_events(
                    f"batch, tenant {place}", seen.get(place, []), self._fold.clean.get(place, [])
                ):
                    return
            return
        wanted = {event for events in self._fold.clean.values() for event in events}
        late = {event for events in self._late_clean for event in events} - wanted
        self._verdict.counts["clean_by_a_late_writer"] += len(late)
        self._same_events("the partition", {event for events in seen.values() for event in events} - late, wanted)

    def _same_events(self, where: str, got: Iterable[str], wanted: Iterable[str]) -> bool:
        if sorted(got) == sorted(wanted):
            return True
        missing, more = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
        self._wrong(f"clean events of {where}: missing {missing[:3]}, unexpected {more[:3]}")
        return False

    def _dead_letters(self) -> None:
        seen: Counter[tuple[str, int]] = Counter()
        for record in self._logs.dead_letters:
            seen[record.headers["source_topic"].decode(), int(record.headers["source_offset"])] += 1
        self._verdict.counts["repeated_dead"] += sum(count - 1 for count in seen.values())
        wanted = Counter(dict.fromkeys(self._fold.dead, 1))
        if not self._raw:
            seen = Counter(dict.fromkeys(seen, 1))
        if seen != wanted:
            self._wrong(f"dead letters: missing {list(wanted - seen)[:3]}, unexpected {list(seen - wanted)[:3]}")

    # The state in the changelog, by the rule.

    def _state(self, batches: int) -> None:
        fence, tables, position = 0, _Tables(), 0
        for record in self._logs.changelog:
            key = (record.key or b"").decode()
            if record.value is None:
                generation, value = int(record.headers["generation"]), None
            else:
                generation, value, *_ = msgspec.msgpack.decode(record.value)
            if key.startswith("@fence:"):
                fence = max(fence, generation)
            elif generation < fence:
                self._verdict.counts["fenced_off_state"] += 1
            elif key == "@position":
                position = value[0]
            else:
                tables.apply(key, value)
        self._verdict.counts["snapshots_in_parts"] += tables.in_parts
        state = tables.values
        if position != batches:
            self._wrong(f"the changelog's position is batch {position} of {batches}")
            return
        wanted = self._fold.tables()
        for key in sorted(state.keys() | wanted.keys()):
            if key.startswith(
                "quota:"
            ):  # counts of limits; what they decide is compared in the feed and the dead letters
                continue
            if not _same(state.get(key), wanted.get(key)):
                self._wrong(f"state of {key} is {state.get(key)} instead of {wanted.get(key)}")
                return
        self._verdict.counts["state_keys"] += len(wanted)


class _Tables:
    """State by changelog key. A snapshot in parts counts from its commit record on."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.in_parts = 0
        self._parts: dict[str, list[bytes | None]] = {}

    def apply(self, key: str, value: Any) -> None:
        if key.startswith("@part:"):
            self._parts[key] = value or []
        elif key.startswith("@parts:"):
            self.in_parts += value is not None
            for index in range(value or 0):  # a part that is gone was written again further on
                pairs = self._parts.get(f"@part:{key.removeprefix('@parts:')}:{index}", [])
                for name, stored in zip(pairs[::2], pairs[1::2], strict=True):
                    self.apply((name or b"").decode(), None if stored is None else msgspec.msgpack.decode(stored)[1])
        elif value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value


def _same(got: Any, wanted: Any) -> bool:
    """Equal, where a later version may add fields at the end of an array of fixed fields."""
    if not isinstance(got, list) or not isinstance(wanted, list):
        return bool(got == wanted)
    if wanted and isinstance(wanted[0], list):  # shifts: their order says nothing
        return sorted(got) == sorted(wanted)
    return len(got) >= len(wanted) and all(_same(one, other) for one, other in zip(got, wanted, strict=False))


def _told(message: Json) -> Json:
    """A feed message without what the fold knows nothing of and what takes memory."""
    told = {name: value for name, value in message.items() if not isinstance(value, dict | list)}
    if "findings" in message:
        told["findings"] = sorted(finding["finding_type"] for finding in message["findings"])
    return told


def _by_place(sources: list[Record]) -> dict[str, dict[int, bytes | None]]:
    """Topic and offset to the value; empties the list."""
    values: dict[str, dict[int, bytes | None]] = {}
    while sources:
        record = sources.pop()
        values.setdefault(record.topic, {})[record.offset] = record.value
    return values
