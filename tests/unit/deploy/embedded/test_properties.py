"""The files that all stacks share, and what an embedded one changes of them."""

from pathlib import Path

from common.settings.load import Settings
from contracts.topics import CAPTURED_TABLES
from deploy.embedded.broker import broker_overrides, user_overrides
from deploy.embedded.connect_worker import connect_overrides
from deploy.embedded.properties import java_properties, postgresql_conf, shared_text


def properties(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def test_shared_files_hold_no_address_no_path_and_no_replication_factor() -> None:
    for name in ("kafka.properties", "connect.properties", "postgresql.conf"):
        text = "\n".join(f"{key}={value}" for key, value in properties(shared_text(name)).items())
        for particular in ("127.0.0.1", "localhost", "/", "replication.factor", "min.isr", "listen_addresses", "://"):
            assert particular not in text, (name, particular)


def test_overrides_add_to_the_shared_files_and_change_only_what_may_differ() -> None:
    shared = properties(shared_text("kafka.properties"))
    assert not shared.keys() & (broker_overrides(1, 2, Path("/d")) | user_overrides("pw")).keys()
    connect = connect_overrides(Settings(), 1, Path("/p"))
    # The flush interval is a setting of the user's; nothing else of the shared file is replaced.
    assert properties(shared_text("connect.properties")).keys() & connect.keys() == {"offset.flush.interval.ms"}


def test_connects_producer_has_memory_for_a_large_batch_of_each_partition() -> None:
    producer = properties(shared_text("connect.properties"))
    assert int(producer["producer.batch.size"]) > 100 * 1024, "a statement of many rows would be thousands of requests"
    partitions = len(CAPTURED_TABLES) * Settings().kafka.partitions
    assert partitions * int(producer["producer.batch.size"]) < int(producer["producer.buffer.memory"])


def test_values_are_escaped_for_their_file_format() -> None:
    assert "k=a\\\\b" in java_properties("", {"k": "a\\b"})
    assert "k = 'it''s'" in postgresql_conf("", {"k": "it's"})
