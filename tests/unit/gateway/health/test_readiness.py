"""When a gateway is ready, and what it says while it is not."""

from typing import Any

from support.fake_kafka import FakeCluster
from support.feed_samples import AUTH

from common.settings.kafka import KafkaSettings
from common.settings.load import Settings
from gateway.feed.feed_decoder import FeedDecoder
from gateway.feed.feed_handler import FeedHandler
from gateway.health.readiness import ReadinessCheck
from gateway.kafka.log_reader import LogReader
from gateway.metrics import GatewayMetrics
from gateway.views.tenant_limits import TenantLimitsView


def test_a_gateway_is_ready_when_all_was_read_and_the_broker_answers_until_it_stops() -> None:
    metrics, nobody = GatewayMetrics(), Any
    feed = FeedHandler(KafkaSettings(), 10, nobody, FeedDecoder(metrics), metrics)  # type: ignore[arg-type]
    settings = Settings(auth=AUTH)
    reader, view = LogReader(FakeCluster(), settings.gateway.reader, feed), TenantLimitsView(settings, metrics)
    check = ReadinessCheck(feed, reader, {"reading the limits": view}, metrics)

    def state() -> tuple[bool, bool, str, float | None]:
        readiness = check.readiness()
        ready = metrics.registry.get_sample_value("watchfloor_gateway_ready")
        assert check.feed_reading().reason == readiness.reason
        return check.admits, readiness.ready, readiness.reason, ready

    assert state() == (False, False, "reading the feed's past", 0)
    feed.caught_up()
    assert state() == (False, False, "reading the limits", 0)
    view.caught_up()
    assert state() == (True, False, "the Kafka broker does not answer", 0)  # it serves what it has
    reader.answering = True
    assert state() == (True, True, "caught up", 1)
    check.stop()
    assert state() == (False, False, "stopping", 0)
