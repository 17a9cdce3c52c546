"""What a client does is in the receipts and in the audit trail, under its own name."""

import asyncio
import json
from typing import Any

import pytest
from support.feed_samples import AUTH, NOW, anomaly, bearer
from support.hub_world import FakeSink, World

from common.settings.gateway import ConnectionSettings, CriticalSettings, SessionSettings
from common.settings.load import Settings
from contracts.audit import AuditRecord
from contracts.messages import CloseCode, FeedState, FeedStatus
from contracts.receipts import ReceiptBatch
from gateway.access.admission import ConnectionCounts
from gateway.access.bearer import AccessRefusedError, Bearer
from gateway.access.revocation import RevocationView
from gateway.access.signed_in import SignedIn
from gateway.delivery.audit import AuditTrail
from gateway.delivery.receipts import Receipts
from gateway.delivery.seen_findings import SeenFindings
from gateway.delivery.unseen_critical import UnseenCritical
from gateway.feed.rendering import Endpoint
from gateway.session.protocol import Session
from gateway.session.replies import Facts
from gateway.sockets.connection_shell import ConnectionShell, Services

LIMITS = SessionSettings(
    authenticate_timeout_s=10, message_bytes_max=10_000, messages_per_minute_max=20, filters_max=10
)
BEHIND = FeedStatus(
    timestamp="", state=FeedState.BEHIND, component="worker", behind_seconds=9.0, behind_records=1, since=""
)


class Verifier:
    """Knows the tokens that a test names."""

    def __init__(self, **known: Bearer) -> None:
        self.known = known

    async def verify(self, token: str) -> Bearer:
        if token not in self.known:
            raise AccessRefusedError(CloseCode.NOT_AUTHENTICATED, "the token is not valid")
        return self.known[token]


class Scene:
    """A connection, and what is recorded of it."""

    def __init__(self, notice: FeedStatus | None = None, **tokens: Bearer) -> None:
        self.world = World()
        hub, metrics = self.world.hub, self.world.metrics
        self.trail: list[AuditRecord] = []
        unseen = UnseenCritical(CriticalSettings(unseen_s=60, notices_max=3, messages_max=9, seen_by_max=9))
        findings = SeenFindings(hub, unseen, metrics, 100)
        published: list[ReceiptBatch] = []
        self.receipts = Receipts(
            "here", hub, findings, published.append, metrics, ranges_max=100, positions_interval_s=10
        )
        self.world.notify_of_deliveries(self.receipts)
        signed_in = SignedIn(ConnectionCounts(ConnectionSettings()), metrics)
        stand_ins: dict[str, Any] = {"resumer": None, "verifier": Verifier(**tokens)}
        services = Services(
            hub=hub,
            catch_up=self.world.catch_up,
            revocations=RevocationView(Settings(auth=AUTH), signed_in, metrics),
            signed_in=signed_in,
            metrics=metrics,
            receipts=self.receipts,
            audit=AuditTrail("here", self.trail.append, window_s=60, kinds_max=100),
            first_notice=lambda: notice,
            **stand_ins,
        )
        self.sink = FakeSink()
        session = Session(LIMITS, Facts(hub, lambda _: 100, "1", 25, NOW), new_id=lambda: "x1", now=NOW)
        self.shell = ConnectionShell(services, session, self.sink, Endpoint.DASHBOARD)

    async def says(self, **message: Any) -> None:
        await self.shell.receive(json.dumps(message))

    def actions(self) -> list[tuple[str, bool, int | None, str | None]]:
        return [(record.action, record.allowed, record.tenant_id, record.subject) for record in self.trail]

    def records(self) -> list[ReceiptBatch]:
        return list(self.receipts.flush())


def test_a_visit_from_the_first_message_to_the_last() -> None:
    async def story() -> None:
        scene = Scene(good=bearer(1, sites={3}))
        await scene.shell.open(None)
        await scene.says(type="received", seq=1)  # not signed in: refused, and closed
        assert scene.sink.closed is CloseCode.NOT_AUTHENTICATED

        scene = Scene(good=bearer(1, sites={3}, capabilities=("noc:view", "noc:ack_alerts")))
        await scene.shell.open(None)
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
        assert [(mark.user, mark.id, mark.may_act) for mark in batch.seen] == [("ops", record.findings[1].id, True)]
        assert scene.actions() == [("sign_in", True, 1, "ops"), ("subscribe", False, 1, "ops")]
        assert {(entry.connection, entry.peer, entry.endpoint) for entry in scene.trail} == {
            ("c1", "10.0.0.1", "dashboard")
        }
        assert scene.trail[1].correlation_id == "x1"
        scene.shell.disconnected()
        ((last,),) = [batch.connections for batch in scene.records()]
        assert (last.left, last.written) == (True, 2)

    asyncio.run(story())


def test_a_bad_token_is_nobody_s_and_somebody_else_s_does_not_change_the_name() -> None:
    async def story() -> None:
        scene = Scene()
        await scene.shell.open("bad")
        assert scene.actions() == [("sign_in", False, None, None)]

        scene = Scene(good=bearer(1), other=bearer(2))
        await scene.shell.open("good")
        await scene.says(type="refresh", token="other")
        await scene.says(type="refresh", token="good")
        assert scene.actions() == [
            ("sign_in", True, 1, "ops"),
            ("refresh", False, 1, "ops"),
            ("refresh", True, 1, "ops"),
        ]

    asyncio.run(story())


@pytest.mark.parametrize("notice", [None, BEHIND])
def test_a_newcomer_is_told_at_once_where_the_feed_is_not_live(notice: FeedStatus | None) -> None:
    async def story() -> None:
        scene = Scene(notice, good=bearer(1))
        await scene.shell.open("good")
        kinds = [message["type"] for message in scene.sink.messages()]
        assert kinds == ["connection_established", *(["feed_status"] if notice else [])]

    asyncio.run(story())
