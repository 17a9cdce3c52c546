"""What a visitor does ends up in the receipts and in the audit trail, under its own name."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from unit.gateway.gateway_values import NOW, anomaly, identity
from unit.gateway.gateway_world import Wire, World

from common.settings.gateway import CriticalSettings, SessionSettings
from contracts.audit import AuditRecord
from contracts.messages import CloseCode, FeedState, FeedStatus
from contracts.receipts import ReceiptBatch
from gateway.access.tokens import AccessRefusedError, Bearer
from gateway.delivery.audit import AuditTrail
from gateway.delivery.receipts import Receipts
from gateway.delivery.unseen_critical import UnseenCritical
from gateway.feed.rendering import Endpoint
from gateway.session.protocol import Session
from gateway.sockets.connection_shell import ConnectionShell, Services

LIMITS = SessionSettings(
    authenticate_timeout_s=10, message_bytes_max=10_000, messages_per_minute_max=20, filters_max=10
)
BEHIND = FeedStatus(
    timestamp="", state=FeedState.BEHIND, component="worker", behind_seconds=9.0, behind_records=1, since=""
)


class NamedWire(Wire):
    id = "c1"
    peer = "10.0.0.1"


class Facts:
    server_version = "1"
    heartbeat_interval_s = 25
    epoch = "e"

    def __init__(self, world: World) -> None:
        self.position = world.hub.position
        self.events_processed = world.hub.events_processed
        self.connections = world.hub.connections

    def max_events_per_second(self, _tenant_id: int) -> int:
        return 100

    def uptime_s(self, _now: float) -> float:
        return 0.0


class Verifier:
    """Knows the tokens that a test names."""

    def __init__(self, **known: Bearer) -> None:
        self.known = known

    async def verify(self, token: str) -> Bearer:
        if token not in self.known:
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, "the token is not valid")
        return self.known[token]


class Scene:
    def __init__(self, greeting: FeedStatus | None = None, **tokens: Bearer) -> None:
        self.world = World()
        self.world.now = NOW
        self.trail: list[AuditRecord] = []
        watch = UnseenCritical(CriticalSettings(unseen_s=60, notices_max=3, messages_max=9, seen_by_max=9))
        self.receipts = Receipts(
            "here",
            watch,
            self.world.metrics,
            give=lambda _: None,
            epoch=lambda: "e",
            clock=lambda: NOW,
            ranges_max=100,
            ids_max=100,
            positions_interval_s=10,
        )
        self.receipts.reached = self.world.hub.reached
        self.world.hub.ledger = self.receipts
        audit = AuditTrail("here", self.trail.append, window_s=60, kinds_max=100)
        everybody = SimpleNamespace(admit=lambda *_: None, leave=lambda _: None)
        any_parts: Any = (None, Verifier(**tokens), everybody)
        self.house = Services(
            self.world.hub,
            self.world.catch_up,
            *any_parts,
            self.world.metrics,
            self.receipts,
            audit,
            lambda: greeting,
        )
        self.wire = NamedWire()
        session = Session(LIMITS, Facts(self.world), new_id=lambda: "x1", now=NOW)
        self.visitor = ConnectionShell(self.house, session, self.wire, Endpoint.DASHBOARD)

    async def says(self, **message: Any) -> None:
        await self.visitor.hear(json.dumps(message))

    def actions(self) -> list[tuple[str, bool, int | None, str | None]]:
        return [(record.action, record.allowed, record.tenant_id, record.subject) for record in self.trail]

    def records(self) -> list[ReceiptBatch]:
        return list(self.receipts.flush())


def test_a_visit_from_the_first_message_to_the_last() -> None:
    async def story() -> None:
        scene = Scene(good=identity(1, sites={3}))
        await scene.visitor.arrive(None)
        await scene.says(type="received", seq=1)  # not signed in: refused, and closed
        assert scene.wire.closed is CloseCode.NOT_AUTHENTICATED

        scene = Scene(good=identity(1, sites={3}))
        await scene.visitor.arrive(None)
        await scene.says(type="authenticate", token="good")
        record = anomaly(1, 1, 2)
        scene.world.publish(record, anomaly(1, 2, site_id=4))
        await scene.says(type="received", seq=2)
        await scene.says(type="seen", ids=[record.findings[1].id])
        await scene.says(type="subscribe_site", site_id=4)
        (batch,) = scene.records()
        assert [(run.first, run.last, run.recipients) for run in batch.runs] == [(1, 1, 1)]
        (reach,) = batch.connections
        assert (reach.user, reach.connection, reach.written, reach.received) == ("ops", "c1", 2, 2)
        assert [(mark.user, mark.id) for mark in batch.seen] == [("ops", record.findings[1].id)]
        assert scene.actions() == [("sign_in", True, 1, "ops"), ("subscribe", False, 1, "ops")]
        assert {(entry.connection, entry.peer, entry.endpoint) for entry in scene.trail} == {
            ("c1", "10.0.0.1", "dashboard")
        }
        assert scene.trail[1].correlation_id == "x1"
        scene.visitor.leave()
        ((last,),) = [batch.connections for batch in scene.records()]
        assert (last.left, last.written) == (True, 2)

    asyncio.run(story())


def test_a_bad_token_is_nobody_s_and_somebody_else_s_does_not_change_the_name() -> None:
    async def story() -> None:
        scene = Scene()
        await scene.visitor.arrive("bad")
        assert scene.actions() == [("sign_in", False, None, None)]

        scene = Scene(good=identity(1), other=identity(2))
        await scene.visitor.arrive("good")
        await scene.says(type="refresh", token="other")
        await scene.says(type="refresh", token="good")
        assert scene.actions() == [
            ("sign_in", True, 1, "ops"),
            ("refresh", False, 1, "ops"),
            ("refresh", True, 1, "ops"),
        ]

    asyncio.run(story())


@pytest.mark.parametrize("greeting", [None, BEHIND])
def test_a_newcomer_is_told_at_once_where_the_feed_is_not_live(greeting: FeedStatus | None) -> None:
    async def story() -> None:
        scene = Scene(greeting, good=identity(1))
        await scene.visitor.arrive("good")
        kinds = [message["type"] for message in scene.wire.messages()]
        assert kinds == ["connection_established", *(["feed_status"] if greeting else [])]

    asyncio.run(story())
