"""Feed records as frames, each encoded once per variant of viewer and reused for all of them.

A variant is the endpoint and whether personal data is masked. Only `prev_seq` differs between viewers of
one variant, and only where they filter: it is the last field of a message, so it is appended to the
encoded rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from contracts.feed import FeedRecord, RateLimited
from contracts.messages import SequencedMessage, encode_message
from contracts.projections import dashboard_messages, stream_messages
from gateway.privacy import masked_record

Frame = Callable[[bytes], bytes]
"""A payload as one complete text frame of the server."""

_TAIL = len(b"0}")


class Endpoint(StrEnum):
    """Which messages a connection gets."""

    DASHBOARD = "dashboard"
    ANOMALY_STREAM = "anomaly-stream"


class Variant(NamedTuple):
    """What decides how a message looks."""

    endpoint: Endpoint
    masked: bool


@dataclass(slots=True)
class Entry:
    """A record of the feed on its way to the viewers."""

    record: FeedRecord
    timestamp: str
    """When it was written to the log, ISO 8601 UTC."""
    latency_ms: float
    commit_time: float
    """Of the source row, seconds since 1970."""
    prev_seq: int
    """The seq of the tenant's record before it."""
    after_hole: bool = False
    """The log lost records before it: `prev_seq` is one that no client has had."""
    _heads: dict[Variant, list[bytes]] = field(default_factory=dict)
    _frames: dict[tuple[Variant, int], bytes] = field(default_factory=dict)

    @property
    def for_whole_tenant(self) -> bool:
        """Whether it concerns no client or site in particular and passes every filter."""
        return isinstance(self.record, RateLimited)

    def messages(self, variant: Variant) -> int:
        """How many messages the record is for a variant."""
        return len(self._rendered(variant))

    def frames(self, variant: Variant, prev_seq: int, frame: Frame) -> bytes:
        """The record's frames for a viewer of `variant` who had `prev_seq` before it."""
        key = (variant, prev_seq)
        found = self._frames.get(key)
        if found is None:
            tail = b"%d}" % prev_seq
            found = b"".join(frame(head + tail) for head in self._rendered(variant))
            self._frames[key] = found
        return found

    def _rendered(self, variant: Variant) -> list[bytes]:
        heads = self._heads.get(variant)
        if heads is None:
            heads = [encode_message(message)[:-_TAIL] for message in self._project(variant)]
            self._heads[variant] = heads
        return heads

    def _project(self, variant: Variant) -> list[SequencedMessage]:
        record = masked_record(self.record) if variant.masked else self.record
        project = dashboard_messages if variant.endpoint is Endpoint.DASHBOARD else stream_messages
        return project(record, self.timestamp, self.latency_ms)
