"""A hub with a log of records behind it and sinks that read as fast as a test says; no socket, no broker."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from support.changed_settings import changed
from support.feed_samples import NOW, instant

from common.settings.gateway import GatewaySettings
from contracts.feed import FeedRecord, encode_record
from contracts.messages import CloseCode
from gateway.access.known_names import KnownNames
from gateway.access.scope import Scope
from gateway.feed.catchup import CatchUp, RenderedEntries
from gateway.feed.fan_out import DeliveryListener, FanOut
from gateway.feed.history import History, StoredRecord
from gateway.feed.hub import Hub
from gateway.feed.rendering import Endpoint, FeedEntry, Variant
from gateway.feed.subscriber import Subscriber
from gateway.metrics import GatewayMetrics

END = b"\x00"
"""Frames end with a zero byte, which JSON never holds."""
EPOCH = "e"


class FakeSink:
    """Keeps what it was given. What was not `drained` fills it up to `room` bytes."""

    id = "c1"
    peer = "10.0.0.1"

    def __init__(self, room: int | None = None) -> None:
        self.data = b""
        self.room = room
        self.pending = 0
        self.closed: CloseCode | None = None
        self.reason = ""
        self.writes = 0

    @property
    def congested(self) -> bool:
        return self.room is not None and self.pending > self.room

    def write(self, frames: bytes) -> None:
        assert self.closed is None
        self.data += frames
        self.pending += len(frames)
        self.writes += 1

    def buffered_bytes(self) -> int:
        return self.pending

    def close(self, code: CloseCode, reason: str) -> None:
        assert reason
        self.closed, self.reason = code, reason

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.data.split(END)[:-1]]

    def seqs(self) -> list[tuple[int, int]]:
        """Of the feed's messages: seq and prev_seq."""
        return [(message["seq"], message["prev_seq"]) for message in self.messages() if "prev_seq" in message]


class WriteCounts:
    """Counts to how many connections each message was written, message by message."""

    def __init__(self) -> None:
        self.recipients: dict[tuple[int, int], int] = defaultdict(int)
        self.logs_ended = 0

    def published(self, entries: Sequence[FeedEntry]) -> None:
        for entry in entries:
            self.recipients.setdefault((entry.record.tenant_id, entry.record.seq), 0)

    def remembered(self, entries: Sequence[FeedEntry]) -> None:
        """Nobody was written them."""

    def log_ends(self) -> None:
        self.logs_ended += 1

    def written(self, tenant_id: int, first_seq: int, last_seq: int, recipients: int) -> None:
        for seq in range(first_seq, last_seq + 1):
            self.recipients[tenant_id, seq] += recipients

    def written_one(self, tenant_id: int, seq: int) -> None:
        self.recipients[tenant_id, seq] += 1


class World:
    """A hub, its history, and a log that is published into it."""

    def __init__(self, **limits: Any) -> None:
        self.limits = changed(GatewaySettings(), limits)
        self.now = NOW
        self.encodings = 0
        self.metrics = GatewayMetrics()
        self.counts = WriteCounts()
        kept = self.limits.history
        history = History(kept.messages_max, kept.tenant_bytes_max, kept.bytes_max)
        names = KnownNames(self.limits.masking.names_per_tenant_max)
        self.hub = Hub(self._frame, history, self.metrics, lambda: self.now, names)
        self.hub.start_log(EPOCH)
        self.notify_of_deliveries(self.counts)
        self._last: dict[int, int] = defaultdict(int)

    def notify_of_deliveries(self, listener: DeliveryListener) -> None:
        """Make the parts that write, with somebody who is notified of it."""
        self.catch_up = CatchUp(
            self.hub,
            listener,
            self.metrics,
            slow=self.limits.slow,
            slices=self.limits.resume,
            rendered=RenderedEntries(self.limits.history.rendered_messages_max, self.limits.history.rendered_bytes_max),
        )
        self.fan_out = FanOut(self.hub, self.catch_up, listener, self.metrics)

    def _frame(self, payload: bytes) -> bytes:
        self.encodings += 1
        return payload + END

    def subscriber(
        self,
        tenant: int,
        endpoint: Endpoint = Endpoint.DASHBOARD,
        scope: Scope | None = None,
        *,
        masked: bool = False,
        room: int | None = None,
    ) -> tuple[Subscriber, FakeSink]:
        sink = FakeSink(room)
        return Subscriber(tenant, Variant(endpoint, masked), scope or Scope(), sink, "ops"), sink

    def join(
        self, tenant: int, endpoint: Endpoint = Endpoint.DASHBOARD, scope: Scope | None = None, **options: Any
    ) -> tuple[Subscriber, FakeSink]:
        subscriber, sink = self.subscriber(tenant, endpoint, scope, **options)
        self.hub.join(subscriber)
        return subscriber, sink

    def entry(self, record: FeedRecord) -> FeedEntry:
        before = self._last[record.tenant_id]
        self._last[record.tenant_id] = record.seq
        hole = before > 0 and record.seq != before + 1
        stored = StoredRecord(
            record.seq, record.seq - 1 if before else 0, record.seq, int(NOW * 1000), encode_record(record)
        )
        return FeedEntry(record, stored, instant(), 0.0, NOW, before + 1 if hole else None)

    def publish(self, *records: FeedRecord) -> None:
        self.fan_out.publish([self.entry(record) for record in records])

    def serve(self, subscriber: Subscriber, sink: FakeSink) -> None:
        """Let a subscriber that is behind take what its socket has room for."""
        sink.pending = 0
        while self.catch_up.serve(subscriber):
            pass
