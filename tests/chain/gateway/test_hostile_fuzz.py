"""The short form of tests/fuzz/gateway_fuzz.py."""

from pathlib import Path

from fuzz.gateway_fuzz import GROWTH_BYTES_MAX, GatewayFuzz, a_gateway

from common.settings.kafka import KafkaSettings

MESSAGES = 20_000


def test_twenty_thousand_fuzzed_messages_do_a_gateway_no_harm(kafka_address: KafkaSettings, tmp_path: Path) -> None:
    with a_gateway(kafka_address, tmp_path) as gateway:
        seen = GatewayFuzz(gateway, 20_261_121).run(MESSAGES)
    assert seen.messages >= seen.read >= MESSAGES
    assert seen.endings["answered to the last"] > seen.connections / 5
    assert seen.growth_bytes < GROWTH_BYTES_MAX
