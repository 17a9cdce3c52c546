"""A gateway process of its own beside the shared stack."""

from support.gateway_fixtures import feed, gateway, kafka_address, own_gateway

__all__ = ["feed", "gateway", "kafka_address", "own_gateway"]
