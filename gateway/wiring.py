"""The parts of one gateway process, put together. Starts nothing: that is `gateway.lifetime`."""

import os
import socket
import time
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

from common.settings import Settings
from common.version import __version__
from contracts.topics import TopicNames
from gateway.access.admission import ConnectionCounts
from gateway.access.jwks import JwksKeys
from gateway.access.revocation import RevocationView
from gateway.access.signed_in import SignedIn
from gateway.access.tokens import TokenVerifier
from gateway.delivery.audit import AuditTrail
from gateway.delivery.delivery_writer import DeliveryWriter
from gateway.delivery.outlets import AuditOutlet, ReceiptsOutlet
from gateway.delivery.receipts import Receipts
from gateway.delivery.seen_findings import SeenFindings
from gateway.delivery.seen_marks import SeenMarks
from gateway.delivery.unseen_critical import CriticalLimits, UnseenCritical
from gateway.feed.backfill import Backfill
from gateway.feed.catchup import CatchUp
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
from gateway.session.limits import SessionLimits
from gateway.session.protocol import Session
from gateway.session.replies import Facts
from gateway.sockets.connection_shell import ConnectionShell, ConnectionSink, Services
from gateway.sockets.http_routes import HttpRoutes
from gateway.views.tenant_limits import TenantLimitsView


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """What one gateway consists of, but for its sockets."""

    services: Services
    session_limits: SessionLimits
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
    metrics: GatewayMetrics

    def new_shell(self, sink: ConnectionSink, endpoint: Endpoint) -> ConnectionShell:
        """The shell of a new connection on an endpoint."""
        session = Session(self.session_limits, self.facts, new_id=_new_id, now=time.time())
        return ConnectionShell(self.services, session, sink, endpoint)


def wire_gateway(settings: Settings, frame: Frame, clients: KafkaClients) -> GatewayParts:
    """Put a gateway together.

    Args:
        settings: of the process.
        frame: makes a text frame of a payload.
        clients: of the cluster.

    Raises:
        SettingsError: there is no way to verify tokens.
    """
    limits, auth, names = settings.gateway, settings.auth, TopicNames(settings.kafka.topic_prefix)
    name = f"{socket.gethostname()}-{os.getpid()}"  # of this process, in what it records
    metrics = GatewayMetrics()
    keys = JwksKeys(auth.jwks_url, auth.jwks_cache_s) if auth.jwks_url else None
    verifier = TokenVerifier(auth, keys)

    receipts_outlet = ReceiptsOutlet(names, limits.receipts_queue_bytes_max, metrics)
    audit_outlet = AuditOutlet(names, limits.audit_queue_records_max, metrics)
    publisher = Publisher(clients, (audit_outlet, receipts_outlet), metrics, limits.publish_stop_s_max)
    publish_receipts = partial(publisher.publish, receipts_outlet)
    audit = AuditTrail(
        name,
        partial(publisher.publish, audit_outlet),
        window_s=limits.audit_window_s,
        kinds_max=limits.audit_repeats_max,
    )

    hub = Hub(frame, History(limits.history_messages_max, limits.history_bytes_max), metrics, time.time)
    unseen = UnseenCritical(
        CriticalLimits(
            unseen_s=limits.critical_unseen_s,
            notices_max=limits.critical_notices_max,
            messages_max=limits.critical_messages_max,
            seen_by_max=limits.seen_by_max,
        )
    )
    findings = SeenFindings(hub, unseen, metrics, limits.seen_ids_max)
    receipts = Receipts(
        name,
        hub,
        findings,
        publish_receipts,
        metrics,
        ranges_max=limits.receipts_ranges_max,
        positions_interval_s=limits.receipts_positions_interval_s,
    )
    catch_up = CatchUp(hub, receipts, limits, metrics)
    fan_out = FanOut(hub, catch_up, receipts, metrics)
    feed = FeedHandler(settings.kafka, limits.tail_records_max, fan_out, FeedDecoder(metrics), metrics)
    feed_reader = LogReader(clients, limits, feed, fetch_wait_ms_max=limits.fetch_wait_ms_max)

    signed_in = SignedIn(ConnectionCounts(limits), metrics)
    revocations = RevocationView(settings, signed_in, metrics)
    tenant_limits = TenantLimitsView(settings, metrics)
    seen_marks = SeenMarks(names, limits, name, findings.take_marks)

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
    services = Services(
        hub=hub,
        catch_up=catch_up,
        resumer=Resumer(hub, catch_up, Backfill(clients, limits), limits, metrics),
        verifier=verifier,
        revocations=revocations,
        signed_in=signed_in,
        metrics=metrics,
        receipts=receipts,
        audit=audit,
        first_notice=health.notice,
    )
    return GatewayParts(
        services=services,
        session_limits=SessionLimits(
            authenticate_timeout_s=limits.authenticate_timeout_s,
            message_bytes_max=limits.message_bytes_max,
            messages_per_minute_max=limits.messages_per_minute_max,
            filters_max=limits.filters_max,
        ),
        facts=Facts(hub, tenant_limits.of, __version__, limits.heartbeat_interval_s, time.time()),
        fan_out=fan_out,
        feed=feed,
        feed_reader=feed_reader,
        tenant_limits=tenant_limits,
        view_readers=tuple(LogReader(clients, limits, view) for view in (tenant_limits, revocations, seen_marks)),
        deliveries=DeliveryWriter(
            receipts, findings, audit, publisher, publish_receipts, limits.receipts_interval_ms / 1000
        ),
        health=health,
        readiness=readiness,
        routes=HttpRoutes(readiness.readiness, metrics.text, health.reply, open_metrics=limits.admin_port is None),
        metrics=metrics,
    )


def _new_id() -> str:
    return uuid.uuid4().hex
