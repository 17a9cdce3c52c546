"""A whole gateway but for its sockets and its broker, driven step by step: sessions, hub, catching up, resuming.

Tokens are real and verified; sinks stop taking when a test says so; the log is a list.
"""

import asyncio
import itertools
import json
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiokafka import TopicPartition
from support.changed_settings import changed
from support.expected_messages import STREAM, Transcript, View
from support.fake_kafka import FakeCluster
from support.feed_samples import AUTH, NOW
from support.waiting import loop_turns, until_async

from common.settings.gateway import GatewaySettings
from common.settings.load import Settings
from contracts.feed import FeedRecord, ProcessedEvent, encode_record
from contracts.messages import CloseCode, UnrecoverableReason
from contracts.topics import partition_of
from gateway.access.tokens import mint_token
from gateway.feed.backfill import Located, Span
from gateway.feed.feed_decoder import FeedDecoder
from gateway.feed.history import StoredRecord
from gateway.feed.log_turns import UnrecoverableError
from gateway.feed.rendering import Endpoint
from gateway.feed.resume import Resumer
from gateway.metrics import GatewayMetrics
from gateway.sockets.connection_shell import ConnectionShell
from gateway.wiring import wire_gateway

Json = dict[str, Any]
EPOCH = "the epoch of this log"
END = b"\x00"
HISTORY = 12
_TURNS = 12
_PAGE = 5
"""Records that are read from the log at once."""


class ClientSink:
    """A connection that keeps what it was given."""

    peer = "127.0.0.1"

    def __init__(self, number: int) -> None:
        self.id = f"connection {number}"
        self.frozen = False
        self.waiting = 0
        self.closed: CloseCode | None = None
        self.frames: list[bytes] = []

    @property
    def congested(self) -> bool:
        return self.frozen and self.waiting > 0

    def write(self, frames: bytes) -> None:
        if self.closed is None:
            self.frames += frames.split(END)[:-1]
            self.waiting += len(frames)

    def buffered_bytes(self) -> int:
        return self.waiting

    def close(self, code: CloseCode, reason: str) -> None:
        assert reason
        self.closed = self.closed or code


class Client:
    """A connection, and the judge of what it hears."""

    def __init__(self, world: "World", view: View, subject: str, endpoint: str) -> None:
        self.world = world
        self.subject = subject
        self.endpoint = endpoint
        self.sink = ClientSink(next(world.numbers))
        self.shell: ConnectionShell = world.parts.new_shell(
            self.sink, Endpoint.ANOMALY_STREAM if endpoint == STREAM else Endpoint.DASHBOARD
        )
        self.first_view = view
        self.transcript = Transcript(view, endpoint, world.logs[view.tenant])
        self._judged = 0

    async def sign_in(self, resume: Json | None) -> None:
        view = self.first_view
        self.transcript = Transcript(
            view, self.endpoint, self.world.logs[view.tenant], resuming=resume["seq"] if resume else None
        )
        message: Json = {
            "type": "authenticate",
            "token": token_of(view, self.subject),
            "client_ids": sorted(view.wanted_clients),
            "site_ids": sorted(view.wanted_sites),
        }
        await self.shell.open(None)
        await self.say(message | ({} if resume is None else {"resume": resume}))

    async def say(self, message: Json) -> None:
        if self.sink.closed is None:
            await self.shell.receive(json.dumps(message))
        self.judge()

    def judge(self) -> None:
        """Hold what came since the last time against the log as it is now."""
        for frame in self.sink.frames[self._judged :]:
            message = json.loads(frame)
            self.transcript.hears(message)
            if message["type"] == "event_processed":
                self._judge_clean(message)
        self._judged = len(self.sink.frames)
        if self.sink.closed is not None:
            self.shell.disconnected()

    def _judge_clean(self, message: Json) -> None:
        tenant, client, site = json.loads(message["event_id"])
        view = self.transcript.view
        if tenant != view.tenant or not view.shows_place(client, site):
            self.transcript.faults.append(f"a clean event of {tenant}, {client}, {site} is not for {view}")


class _Log:
    """What is older than the gateway's memory."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def locate(self, span: Span) -> Located:
        await asyncio.sleep(0)
        found = self._find(span.tenant_id, span.first, span.last)
        return Located(
            span.tenant_id, TopicPartition("feed", 0), span.first, array("q", (each.offset for each in found))
        )

    async def page(self, located: Located, seq: int, _user: str) -> list[StoredRecord]:
        await asyncio.sleep(0)
        return self._find(located.tenant_id, seq, min(located.last, seq + _PAGE - 1))

    def _find(self, tenant: int, first: int, last: int) -> list[StoredRecord]:
        found = [each for each in self._world.stored[tenant] if first <= each.seq <= last]
        if len(found) != last - first + 1:
            raise UnrecoverableError(UnrecoverableReason.TOO_OLD)
        return found

    def clear(self) -> None:
        """Nothing is kept."""


class World:
    """The gateway; use it inside a running loop, and `close` it."""

    def __init__(self) -> None:
        limits = changed(
            GatewaySettings(), {"history.messages_max": HISTORY, "resume.slice_messages": 3, "slow.timeout_s": 600}
        )
        settings = Settings(auth=AUTH, gateway=limits)
        parts = wire_gateway(settings, lambda payload: payload + END, FakeCluster())
        hub, metrics, catch_up = parts.services.hub, parts.metrics, parts.services.catch_up
        soon = limits.resume.model_copy(update={"ahead_wait_s": 0.01})
        resumer = Resumer(hub, catch_up, _Log(self), soon, metrics)  # type: ignore[arg-type]  # the same two methods
        self.parts = replace(parts, services=replace(parts.services, resumer=resumer))
        parts.fan_out.start_log(EPOCH)
        parts.feed.caught_up()
        self._decoder = FeedDecoder(GatewayMetrics())
        self.numbers = itertools.count(1)
        self.logs: dict[int, dict[int, Json]] = defaultdict(dict)
        """Tenant to its records by seq, as JSON."""
        self.stored: dict[int, list[StoredRecord]] = defaultdict(list)
        self._offsets = itertools.count()
        self._serving = asyncio.get_running_loop().create_task(catch_up.run())

    def publish(self, records: Sequence[FeedRecord]) -> None:
        """Append to the log, and let the gateway read it."""
        entries = []
        for record in records:
            value = encode_record(record)
            entry = self._decoder.anomaly(
                partition_of(record.tenant_id, 4), next(self._offsets), (), value, int(NOW * 1000)
            )
            assert entry is not None
            self.logs[record.tenant_id][record.seq] = json.loads(value)
            self.stored[record.tenant_id].append(entry.stored)
            entries.append(entry)
        self.parts.fan_out.publish(entries)

    def clean(self, tenant: int, client: int | None, site: int | None) -> None:
        """An event without findings, whose id tells whose it is."""
        event = ProcessedEvent(json.dumps([tenant, client, site]), "attendance", site, client, 1.0)
        self.parts.fan_out.publish_processed(tenant, [event], "2026-11-21T12:00:00.000Z")

    async def turns(self) -> None:
        """Let those who are behind read on for a moment."""
        await loop_turns(_TURNS)

    async def settle(self) -> None:
        """Until nobody is behind."""
        await until_async(lambda: not self.parts.services.hub.waiting(), "nobody is behind", within_s=5)

    async def close(self) -> None:
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)


def token_of(view: View, subject: str) -> str:
    """A token for a view."""
    return mint_token(
        AUTH,
        tenant_id=view.tenant,
        user=subject,
        capabilities=sorted(view.capabilities),
        clients=None if view.clients is None else sorted(view.clients),
        sites=None if view.sites is None else sorted(view.sites),
    )
