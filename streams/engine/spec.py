"""What an application tells the engine about itself: its topics by name, its tables, how to read a record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from streams.engine.model import Entry, OutputRecord, RawRecord
from streams.engine.state.table import TableSpec

Decode = Callable[[int, RawRecord], Entry]
"""(source index, record) -> its entry. A record that cannot be read becomes an UnreadableRecord, never an exception."""
RecordIdentity = Callable[[Entry], str]
"""Tells records of the same commit order apart, such as by table and primary key."""


class SourceTopic(NamedTuple):
    """One kind of input.

    Ordered by `commit_lsn`, its records are merged with those of the other such topics, and a topic that lags is waited
    for. Ordered by `arrival`, they have no LSN that could be compared: they are the first entries of the next
    micro-batch, in the order of their topics and offsets. Nothing waits for them, they are never late and never
    repeats. Which micro-batch that was is in the journal's spans and nowhere else.
    """

    name: str
    """What the application calls it, such as `attendance`."""
    topic: str
    ordered_by: Literal["commit_lsn", "arrival"] = "commit_lsn"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTopics:
    """The topics that the engine reads and writes."""

    sources: tuple[SourceTopic, ...]
    outputs: Mapping[str, str]
    """Name of each output to its topic. A micro-batch may write to these topics only."""
    fenced_output: str
    """Name of the output whose readers follow fences: they skip what an older owner of the partition wrote."""
    journal: str
    state: str

    @property
    def source_topics(self) -> tuple[str, ...]:
        """Topics of the sources, by source index."""
        return tuple(source.topic for source in self.sources)

    @property
    def arrival_topics(self) -> frozenset[str]:
        """Topics of the sources that are ordered by arrival."""
        return frozenset(source.topic for source in self.sources if source.ordered_by == "arrival")

    @property
    def feed(self) -> str:
        """Topic of the output whose readers follow fences."""
        return self.outputs[self.fenced_output]

    @property
    def unfenced_outputs(self) -> tuple[str, ...]:
        """Topics of the other outputs."""
        return tuple(topic for name, topic in self.outputs.items() if name != self.fenced_output)

    @property
    def membership(self) -> str:
        """The topic for which the worker joins the consumer group: its partitions stand for those of every topic."""
        return self.sources[0].topic

    def all(self) -> list[str]:
        """Every topic that the engine touches."""
        return [*self.source_topics, *self.outputs.values(), self.journal, self.state]


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What the engine needs to know about the application that it runs."""

    topics: EngineTopics
    tables: tuple[TableSpec, ...]
    decode: Decode
    identity: RecordIdentity
    make_fence: Callable[[int], OutputRecord]
    """The record that starts a generation on the fenced output."""
    digest: str = ""
    """Of everything in code and settings that decides the outputs. The engine stores it beside what it writes, so that a
    later reader knows whether it would compute the same; empty: not known."""
