"""The generated settings: what the user set, with the launcher's addresses on top, read back the same."""

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import WatchfloorError
from common.settings.kafka import KafkaSettings
from common.settings.load import GENERATED, Settings, load_settings
from deploy.embedded.addresses import Addresses, choose_addresses, settings_overrides
from deploy.embedded.broker import broker_overrides
from deploy.embedded.config import child_environment, keep_loopback_direct, merged, server_environment, to_toml
from deploy.embedded.connect_worker import connect_overrides
from deploy.embedded.options import StackOptions
from deploy.embedded.properties import java_properties, postgresql_conf, shared_text
from deploy.embedded.state import Memory
from watchfloor.local_stack import find_settings

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
LEAVES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])) | st.integers(-(2**62), 2**62) | st.booleans()
TREES = st.dictionaries(NAMES, st.dictionaries(NAMES, LEAVES | st.lists(LEAVES, max_size=3), max_size=4), max_size=4)


@given(TREES)
def test_toml_reads_back_as_it_was_written(tree: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(tree)) == tree


def base(**sections: dict[str, Any]) -> Settings:
    return Settings(**sections)


def addresses(**changes: Any) -> Addresses:
    values: dict[str, Any] = {"gateway": 1, "metrics": (2,), "postgres": 3, "kafka": 4, "controller": 5, "connect": 6}
    return Addresses(**(values | changes))


def overrides_for(
    options: StackOptions, settings: Settings, memory: Memory, where: Addresses, url: str | None
) -> dict[str, dict[str, Any]]:
    return settings_overrides(
        options,
        settings,
        memory,
        where,
        embedded_postgres_url=url,
        secrets_file=Path("/s/secrets.properties"),
        worker_dir=Path("/s/worker"),
    )


def test_the_users_settings_survive_and_the_launchers_addresses_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHFLOOR_WORKER__RATE_LIMIT__MAX_EVENTS_PER_SECOND", "7")
    monkeypatch.setenv("WATCHFLOOR_KAFKA__BOOTSTRAP_SERVERS", "elsewhere:9092")
    memory = Memory()
    url = "postgresql://watchfloor:pw@127.0.0.1:3/watchfloor"
    overrides = overrides_for(StackOptions(), load_settings(), memory, addresses(), url)
    settings = merged(load_settings(), overrides, tmp_path / "watchfloor.toml")
    assert settings.worker.rate_limit.max_events_per_second == 7
    assert settings.kafka.bootstrap_servers == "127.0.0.1:4"
    assert (settings.source.host, settings.source.port, settings.source.database) == ("127.0.0.1", 3, "watchfloor")
    assert settings.source.password.get_secret_value() == memory.capture_password
    assert settings.auth.hs256_secret is not None
    assert settings.auth.hs256_secret.get_secret_value() == memory.hs256_secret
    assert (settings.gateway.port, settings.worker.metrics.port, settings.connect.url) == (1, 2, "http://127.0.0.1:6")
    assert stat.S_IMODE((tmp_path / "watchfloor.toml").stat().st_mode) == 0o600


def test_mapped_tables_survive_the_way_through_the_file(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('[source.tables.ticket]\ntable = "ops.Trouble"\ncolumns = {ticket_no = "Number No"}\n')
    mine = load_settings(config, environ={})
    settings = merged(mine, {"gateway": {"port": 1234}}, tmp_path / "out.toml")
    assert settings.source.tables == mine.source.tables


def test_the_users_settings_of_a_group_survive_beside_the_launchers(tmp_path: Path) -> None:
    mine = base(gateway={"health": {"interval_s": 9}}, worker={"metrics": {"host": "::1"}})
    overrides = overrides_for(StackOptions(), mine, Memory(), addresses(), "postgresql://u@h/d")
    merged(mine, overrides, tmp_path / "watchfloor.toml")
    settings = load_settings(tmp_path / "watchfloor.toml", environ={})
    assert (settings.gateway.health.interval_s, settings.gateway.health.worker_urls) == (9, ["http://127.0.0.1:2"])
    assert (settings.worker.metrics.host, settings.worker.metrics.port) == ("::1", 2)


def test_a_file_of_an_earlier_start_is_read_and_written_under_the_new_names(tmp_path: Path) -> None:
    file = tmp_path / "watchfloor.toml"
    file.write_text(f"{GENERATED} at each start: …\n[worker]\nmetrics_port = 7\ntick_grace_ms = 300\n", "utf-8")
    found = find_settings(None, tmp_path)
    merged(found, overrides_for(StackOptions(), found, Memory(), addresses(), "postgresql://u@h/d"), file)
    assert "tick_grace_ms" not in file.read_text("utf-8")
    worker = load_settings(file, environ={}).worker
    assert (worker.metrics.port, worker.tick.grace_ms) == (2, 300)


def test_a_secret_or_an_identity_provider_of_the_user_is_not_replaced() -> None:
    own = base(auth={"hs256_secret": "x" * 40})
    other = base(auth={"algorithm": "RS256", "jwks_url": "https://id.example.com/keys"})
    for settings in (own, other):
        overrides = overrides_for(StackOptions(), settings, Memory(), addresses(), "postgresql://u@h/d")
        assert "hs256_secret" not in overrides["auth"]


def test_servers_of_the_users_own_are_named_instead() -> None:
    options = StackOptions(
        kafka="k1:9092,k2:9092", connect_url="http://c:8083", postgres_url="postgresql://o:p@db:6543/f"
    )
    where = addresses(kafka=None, controller=None, connect=None, postgres=None)
    overrides = overrides_for(options, base(), Memory(), where, None)
    assert overrides["kafka"]["bootstrap_servers"] == "k1:9092,k2:9092"
    assert overrides["connect"] == {"url": "http://c:8083"}
    assert (overrides["source"]["host"], overrides["source"]["port"], overrides["source"]["database"]) == (
        "db",
        6543,
        "f",
    )
    assert overrides["source"]["admin_dsn"] == options.postgres_url


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql:///nohost", "postgresql://host", "host=db dbname=x", "%%"])
def test_an_address_that_is_no_postgresql_url_is_refused(url: str) -> None:
    where = addresses(postgres=None)
    with pytest.raises(WatchfloorError, match="write --postgres as postgresql://"):
        overrides_for(StackOptions(postgres_url=url), base(), Memory(), where, None)


def test_ports_are_kept_over_starts_and_differ(tmp_path: Path) -> None:
    memory = Memory()
    options = StackOptions(state_dir=tmp_path, workers=3)
    first = choose_addresses(options, base(), memory)
    assert choose_addresses(options, base(), memory) == first
    everything = [first.gateway, *first.metrics, first.postgres, first.kafka, first.controller, first.connect]
    assert len(set(everything)) == 8


def test_own_servers_get_no_ports() -> None:
    options = StackOptions(kafka="k:1", connect_url="http://c", postgres_url="postgresql://h/d")
    chosen = choose_addresses(options, base(), Memory())
    assert (chosen.kafka, chosen.controller, chosen.connect, chosen.postgres) == (None, None, None, None)


def test_children_read_their_settings_from_the_file_and_nothing_leaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHFLOOR_GATEWAY__PORT", "1")
    monkeypatch.setenv("WATCHFLOOR_CONFIG", "/mine.toml")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx9g")
    monkeypatch.setenv("PGDATA", "/elsewhere")
    child = child_environment(WORKER__METRICS__PORT="5")
    assert {name for name in child if name.startswith("WATCHFLOOR_")} == {"WATCHFLOOR_WORKER__METRICS__PORT"}
    assert not {"JAVA_TOOL_OPTIONS", "PGDATA", "WATCHFLOOR_CONFIG"} & server_environment().keys()


@pytest.mark.parametrize(("before", "after"), [("", "127.0.0.1,localhost"), ("corp", "corp,127.0.0.1,localhost")])
def test_loopback_is_reached_without_the_proxy(monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> None:
    monkeypatch.setenv("NO_PROXY", before)
    monkeypatch.setenv("no_proxy", "")
    keep_loopback_direct()
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == after


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
    assert not shared.keys() & broker_overrides(1, 2, Path("/d")).keys()
    connect = connect_overrides(KafkaSettings(), 1, Path("/p"), 500, Path("/s"))
    # The flush interval is a setting of the user's; nothing else of the shared file is replaced.
    assert properties(shared_text("connect.properties")).keys() & connect.keys() == {"offset.flush.interval.ms"}


def test_everything_listens_on_loopback() -> None:
    broker = broker_overrides(1, 2, Path("/d"))
    connect = connect_overrides(KafkaSettings(), 3, Path("/p"), 500, Path("/s"))
    assert broker["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert connect["listeners"] == "http://127.0.0.1:3"


def test_a_secured_cluster_is_passed_to_connect_and_its_clients() -> None:
    kafka = KafkaSettings.model_validate(
        {"security_protocol": "SASL_SSL", "sasl_username": "me", "sasl_password": 'p"w\\', "ssl_ca_file": "/ca.pem"}
    )
    values = connect_overrides(kafka, 1, Path("/p"), 500, Path("/s"))
    for prefix in ("", "producer.", "consumer.", "admin."):
        assert values[f"{prefix}security.protocol"] == "SASL_SSL"
        assert values[f"{prefix}ssl.truststore.location"] == "/ca.pem"
        assert 'ScramLoginModule required username="me" password="p\\"w\\\\";' in values[f"{prefix}sasl.jaas.config"]


def test_values_are_escaped_for_their_file_format() -> None:
    assert "k=a\\\\b" in java_properties("", {"k": "a\\b"})
    assert "k = 'it''s'" in postgresql_conf("", {"k": "it's"})
