"""Feed records as frames, each encoded once per variant of subscriber and reused for all of them.

A variant is the endpoint and whether personal data is masked. Only `prev_seq` differs between subscribers of one
variant, and only where they filter: it is the last field of a message, so it is appended to the encoded rest.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from contracts.feed import FeedRecord, RateLimited
from contracts.feed_messages import SequencedMessage
from contracts.messages import encode_message
from contracts.projections import dashboard_messages, stream_messages
from gateway.access.known_names import TenantNames
from gateway.access.masking import masked_record
from gateway.access.scope import Scope
from gateway.feed.history import StoredRecord

Frame = Callable[[bytes], bytes]
"""A payload as one complete text frame of the server."""

_TAIL = len(b"0}")
_FRAMES_MAX = 16
"""Of one record that are kept: each subscription with filters of its own may have another `prev_seq`."""


class Endpoint(StrEnum):
    """Which messages a connection gets."""

    DASHBOARD = "dashboard"
    ANOMALY_STREAM = "anomaly-stream"


class Variant(NamedTuple):
    """What decides how a message looks."""

    endpoint: Endpoint
    masked: bool


@dataclass(slots=True)
class FeedEntry:
    """A record of the feed on its way to the subscribers."""

    record: FeedRecord
    stored: StoredRecord
    """The record as it was read."""
    timestamp: str
    """When it was written to the log, ISO 8601 UTC."""
    latency_ms: float
    commit_time: float
    """Of the source row, seconds since 1970."""
    lost_from: int | None = None
    """The log lost the records from this seq on to the one before it."""
    names: TenantNames | None = None
    """The tenant's known names; set before it is rendered for viewers who may not read them."""
    _names_version: int = 0
    _heads: dict[Variant, list[bytes]] = field(default_factory=dict)
    _frames: dict[tuple[Variant, int], bytes] = field(default_factory=dict)

    def passes(self, scope: Scope) -> bool:
        """Whether a subscription shows it; what concerns no client or site in particular passes every filter."""
        record = self.record
        return isinstance(record, RateLimited) or scope.shows(record.client_id, record.site_id)

    @property
    def kind(self) -> str:
        """The type of its messages."""
        return str(self.record.__struct_config__.tag)

    def messages(self, variant: Variant) -> int:
        """How many messages the record is for a variant."""
        return len(self._rendered(variant))

    def frames(self, variant: Variant, prev_seq: int, frame: Frame) -> bytes:
        """The record's frames for a subscriber of `variant` whose last message was `prev_seq`."""
        if variant.masked and self.names is not None and self.names.version != self._names_version:
            self._forget_rendered(self.names.version)
        key = (variant, prev_seq)
        found = self._frames.get(key)
        if found is None:
            tail = b"%d}" % prev_seq
            found = b"".join(frame(head + tail) for head in self._rendered(variant))
            if len(self._frames) < _FRAMES_MAX:
                self._frames[key] = found
        return found

    def _forget_rendered(self, names_version: int) -> None:
        """More names are known than when it was rendered, and it may hold one of them."""
        self._names_version = names_version
        self._heads.clear()
        self._frames.clear()

    def _rendered(self, variant: Variant) -> list[bytes]:
        heads = self._heads.get(variant)
        if heads is None:
            heads = [encode_message(message)[:-_TAIL] for message in self._project(variant)]
            self._heads[variant] = heads
        return heads

    def _project(self, variant: Variant) -> list[SequencedMessage]:
        record = self.record
        if variant.masked:
            if self.names is None:
                raise ValueError("a record is masked by the names of its tenant")
            record = masked_record(record, self.names)
        project = dashboard_messages if variant.endpoint is Endpoint.DASHBOARD else stream_messages
        return project(record, self.timestamp, self.latency_ms)


def kinds_of(entries: Iterable[FeedEntry], variant: Variant) -> dict[str, int]:
    """How many messages of each type the records are for a variant."""
    kinds: dict[str, int] = {}
    for entry in entries:
        kinds[entry.kind] = kinds.get(entry.kind, 0) + entry.messages(variant)
    return kinds
