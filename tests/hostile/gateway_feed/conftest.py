"""A gateway process of its own on a real broker, and the tenant beside the one that attacks."""

from support.gateway_fixtures import feed, kafka_address

__all__ = ["feed", "kafka_address"]
