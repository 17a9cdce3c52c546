"""The parts of one gateway process, put together. Starts nothing: that is `gateway.lifetime`."""

import os
import socket
import time
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

from common.settings.gateway import GatewaySettings, SessionSettings
from common.settings.load import Settings
from common.version import __version__
from contracts.topics import TopicNames
from gateway.access.admission import ConnectionCounts
from gateway.access.exposure import refuse_exposed
from gateway.access.jwks import JwksKeys
from gateway.access.known_names import KnownNames
from gateway.access.revocation import RevocationView
from gateway.access.sign_in_codes import SignInCodes
from gateway.access.signed_in import SignedIn
from gateway.access.tokens import TokenVerifier
from gateway.delivery.audit import AuditTrail
from gateway.delivery.delivery_writer import DeliveryWriter
from gateway.delivery.outlets import AuditOutlet, ReceiptsOutlet, RevocationsOutlet
from gateway.delivery.receipts import Receipts
from gateway.delivery.seen_findings import SeenFindings
from gateway.delivery.seen_marks import SeenMarks
from gateway.delivery.unseen_critical import UnseenCritical
from gateway.feed.backfill import Backfill
from gateway.feed.catchup import CatchUp, RenderedEntries
from gateway.feed.fan_out import FanOut
from gateway.feed.feed_decoder import FeedDecoder
from gateway.feed.feed_handler import FeedHandler
from gateway.feed.history import History
from gateway.feed.hub import Hub
from gateway.feed.rendering import Endpoint, Frame
from gateway.feed.resume import Resumer
from gateway.health.health_watch import HealthWatch, queue_depths
from gateway.health.readiness import ReadinessCheck
from gateway.kafka.kafka_clients import KafkaClients
from gateway.kafka.log_reader import LogReader
from gateway.kafka.publisher import Publisher
from gateway.kafka.topic_view import TopicView
from gateway.metrics import GatewayMetrics
from gateway.session.protocol import Session
from gateway.session.replies import Facts
from gateway.sockets.connection_shell import ConnectionShell, ConnectionSink, Services
from gateway.sockets.http_routes import HttpRoutes
from gateway.sockets.sign_in_routes import SignInRoutes
from gateway.views.tenant_limits import TenantLimitsView


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """What one gateway consists of, but for its sockets."""

    services: Services
    session: SessionSettings
    facts: Facts
    fan_out: FanOut
    feed: FeedHandler
    feed_reader: LogReader
    tenant_limits: TenantLimitsView
    view_readers: tuple[LogReader, ...]
    """Of all topics but the feed's."""
    deliveries: DeliveryWriter
    health: HealthWatch
    readiness: ReadinessCheck
    routes: HttpRoutes
    sign_in_routes: SignInRoutes
    metrics: GatewayMetrics

    def new_shell(self, sink: ConnectionSink, endpoint: Endpoint) -> ConnectionShell:
        """The shell of a new connection on an endpoint."""
        session = Session(self.session, self.facts, new_id=_new_id, now=time.time())
        return ConnectionShell(self.services, session, sink, endpoint)


def wire_gateway(settings: Settings, frame: Frame, clients: KafkaClients) -> GatewayParts:
    """Put a gateway together.

    Raises:
        SettingsError: there is no way to verify tokens, or the settings are unsafe and do not insist.
    """
    refuse_exposed(settings)
    limits, auth = settings.gateway, settings.auth
    name = f"{socket.gethostname()}-{os.getpid()}"  # of this process, in what it records
    metrics = GatewayMetrics()
    verifier = TokenVerifier(auth, JwksKeys(auth, auth.jwks_url) if auth.jwks_url else None)

    kept = limits.history
    history = History(kept.messages_max, kept.tenant_bytes_max, kept.bytes_max)
    hub = Hub(frame, history, metrics, time.time, KnownNames(limits.masking.names_per_tenant_max))
    receipts, audit, publisher, outlet, deliveries, marks = _deliveries(clients, limits, hub, metrics, name)
    catch_up = CatchUp(
        hub,
        receipts,
        metrics,
        slow=limits.slow,
        slices=limits.resume,
        rendered=RenderedEntries(kept.rendered_messages_max, kept.rendered_bytes_max),
    )
    fan_out = FanOut(hub, catch_up, receipts, metrics)
    feed = FeedHandler(settings.kafka, limits.reader.tail_records_max, fan_out, FeedDecoder(metrics), metrics)
    feed_reader = LogReader(clients, limits.reader, feed, fetch_wait_ms_max=limits.reader.fetch_wait_ms_max)
    backfill = Backfill(clients, history, limits.resume, limits.reader.broker_silence_s_max)

    signed_in = SignedIn(ConnectionCounts(limits.connections), metrics)
    publish_revocation = partial(publisher.publish, outlet)
    revocations = RevocationView(settings, signed_in, metrics, publish=publish_revocation)
    tenant_limits = TenantLimitsView(settings, metrics)
    views: dict[str, TopicView[Any]] = {
        "reading the tenants' limits": tenant_limits,
        "reading the revocations": revocations,
    }
    readiness = ReadinessCheck(feed, feed_reader, views, metrics)
    health = HealthWatch(
        settings,
        name,
        metrics,
        feed=readiness.feed_reading,
        depths=partial(queue_depths, hub, publisher),
        notify=partial(hub.notify, None),
    )
    return GatewayParts(
        services=Services(
            hub=hub,
            catch_up=catch_up,
            resumer=Resumer(hub, catch_up, backfill, limits.resume, metrics),
            verifier=verifier,
            revocations=revocations,
            signed_in=signed_in,
            metrics=metrics,
            receipts=receipts,
            audit=audit,
            first_notice=health.notice,
        ),
        session=limits.session,
        facts=Facts(hub, tenant_limits.of, __version__, limits.session.heartbeat_interval_s, time.time()),
        fan_out=fan_out,
        feed=feed,
        feed_reader=feed_reader,
        tenant_limits=tenant_limits,
        view_readers=tuple(LogReader(clients, limits.reader, handler) for handler in (*views.values(), marks)),
        deliveries=deliveries,
        health=health,
        readiness=readiness,
        routes=HttpRoutes(readiness.readiness, metrics.text, health.reply),
        sign_in_routes=SignInRoutes(
            limits.sign_in, verifier, revocations, SignInCodes(limits.sign_in), audit, time.time
        ),
        metrics=metrics,
    )


def _deliveries(
    clients: KafkaClients, limits: GatewaySettings, hub: Hub, metrics: GatewayMetrics, name: str
) -> tuple[Receipts, AuditTrail, Publisher, RevocationsOutlet, DeliveryWriter, SeenMarks]:
    """What is recorded of deliveries, and what writes and reads it."""
    names, interval_s = TopicNames(clients.kafka.topic_prefix), limits.receipts.interval_ms / 1000
    receipts_outlet = ReceiptsOutlet(names, limits.receipts.queue_bytes_max, metrics)
    audit_outlet = AuditOutlet(names, limits.audit.queue_records_max, metrics)
    revocations_outlet = RevocationsOutlet(names, limits.audit.queue_records_max, metrics)
    outlets = (revocations_outlet, audit_outlet, receipts_outlet)
    publisher = Publisher(clients, outlets, metrics, limits.drain.publish_s_max)
    publish_receipts = partial(publisher.publish, receipts_outlet)
    findings = SeenFindings(hub, UnseenCritical(limits.critical), metrics, limits.receipts.seen_ids_max)
    receipts = Receipts(
        name,
        hub,
        findings,
        publish_receipts,
        metrics,
        ranges_max=limits.receipts.ranges_max,
        positions_interval_s=limits.receipts.positions_interval_s,
    )
    audit = AuditTrail(
        name,
        partial(publisher.publish, audit_outlet),
        window_s=limits.audit.window_s,
        kinds_max=limits.audit.repeats_max,
    )
    writer = DeliveryWriter(receipts, findings, audit, publisher, publish_receipts, interval_s)
    marks = SeenMarks(names, limits.critical, interval_s, name, findings.take_marks)
    return receipts, audit, publisher, revocations_outlet, writer, marks


def _new_id() -> str:
    return uuid.uuid4().hex
