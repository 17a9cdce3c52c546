from support.feed_samples import anomaly, limited, ticket
from support.hub_world import World

from gateway.access.scope import Scope
from gateway.feed.rendering import Endpoint


def test_what_was_sent_is_counted_by_endpoint_and_type_and_in_bytes() -> None:
    world = World()
    sinks = [world.join(1)[1] for _ in range(3)]
    sinks.append(world.join(1, Endpoint.ANOMALY_STREAM, Scope().with_site(3))[1])
    world.publish(anomaly(1, 1, findings=2), ticket(1, 2), limited(1, 3))
    behind, sink = world.subscriber(1)
    world.catch_up.start(behind, 0)
    world.serve(behind, sink)
    sinks.append(sink)

    def sent(endpoint: str, kind: str) -> float | None:
        labels = {"endpoint": endpoint, "type": kind}
        return world.metrics.registry.get_sample_value("watchfloor_gateway_messages_sent_total", labels)

    assert [sent("dashboard", kind) for kind in ("anomaly_detected", "ticket_updated", "rate_limited")] == [8, 4, 4]
    assert [sent("anomaly-stream", kind) for kind in ("anomaly_detected", "ticket_updated", "rate_limited")] == [
        1,
        1,
        1,
    ]
    size = world.metrics.registry.get_sample_value("watchfloor_gateway_sent_bytes_total")
    assert size == sum(len(sink.data) for sink in sinks)
    assert b"# TYPE watchfloor_gateway_messages_sent_total counter" in world.metrics.text()
