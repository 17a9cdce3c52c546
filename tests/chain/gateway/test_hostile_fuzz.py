"""The short form of tests/fuzz/gateway_fuzz.py."""

from pathlib import Path

from fuzz.gateway_fuzz import GROWTH_BYTES_MAX, GatewayFuzz, a_gateway

MESSAGES = 20_000


def test_twenty_thousand_fuzzed_messages_do_a_gateway_no_harm(kafka_address: str, tmp_path: Path) -> None:
    with a_gateway(kafka_address, tmp_path) as gateway:
        seen = GatewayFuzz(gateway, 20_261_121).run(MESSAGES)
    assert seen.messages == MESSAGES
    # A torn frame ends its connection, and what the gateway had not taken of it yet is not read.
    assert seen.read > MESSAGES / 2
    assert seen.endings["answered to the last"] > seen.connections / 4
    assert seen.growth_bytes < GROWTH_BYTES_MAX
