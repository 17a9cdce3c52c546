"""Addresses and ports: the launcher's own, kept over starts, and those of servers of the user's."""

import stat
from pathlib import Path
from typing import Any

import pytest

from common.errors import WatchfloorError
from common.settings.load import GENERATED, Settings, load_settings
from deploy.embedded.addresses import Addresses, choose_addresses, settings_overrides
from deploy.embedded.config import merged
from deploy.embedded.options import StackOptions
from deploy.embedded.state import SavedState
from watchfloor.local_stack import find_settings


def base(**sections: dict[str, Any]) -> Settings:
    return Settings(**sections)


def addresses(**changes: Any) -> Addresses:
    values: dict[str, Any] = {
        "gateway": 1,
        "metrics": (2,),
        "admin": 7,
        "postgres": 3,
        "kafka": 4,
        "controller": 5,
        "connect": 6,
    }
    return Addresses(**(values | changes))


def overrides_for(
    options: StackOptions, settings: Settings, saved: SavedState, where: Addresses, url: str | None
) -> dict[str, dict[str, Any]]:
    return settings_overrides(
        options,
        settings,
        saved,
        where,
        embedded_postgres_url=url,
        worker_dir=Path("/s/worker"),
    )


def test_a_secret_or_an_identity_provider_of_the_user_is_not_replaced() -> None:
    own = base(auth={"hs256_secret": "x" * 40})
    other = base(auth={"algorithm": "RS256", "jwks_url": "https://id.example.com/keys"})
    for settings in (own, other):
        overrides = overrides_for(StackOptions(), settings, SavedState(), addresses(), "postgresql://u@h/d")
        assert "hs256_secret" not in overrides["auth"]


def test_servers_of_the_users_own_are_named_instead() -> None:
    options = StackOptions(
        kafka="k1:9092,k2:9092", connect_url="http://c:8083", postgres_url="postgresql://o:p@db:6543/f"
    )
    where = addresses(kafka=None, controller=None, connect=None, postgres=None)
    overrides = overrides_for(options, base(), SavedState(), where, None)
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
        overrides_for(StackOptions(postgres_url=url), base(), SavedState(), where, None)


def test_ports_are_kept_over_starts_and_differ(tmp_path: Path) -> None:
    saved = SavedState()
    options = StackOptions(state_dir=tmp_path, workers=3)
    first = choose_addresses(options, base(), saved)
    assert choose_addresses(options, base(), saved) == first
    everything = [first.gateway, *first.metrics, first.postgres, first.kafka, first.controller, first.connect]
    assert len(set(everything)) == 8


def test_own_servers_get_no_ports() -> None:
    options = StackOptions(kafka="k:1", connect_url="http://c", postgres_url="postgresql://h/d")
    chosen = choose_addresses(options, base(), SavedState())
    assert (chosen.kafka, chosen.controller, chosen.connect, chosen.postgres) == (None, None, None, None)


def test_the_users_settings_survive_and_the_launchers_addresses_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHFLOOR_WORKER__RATE_LIMIT__MAX_EVENTS_PER_SECOND", "7")
    monkeypatch.setenv("WATCHFLOOR_KAFKA__BOOTSTRAP_SERVERS", "elsewhere:9092")
    saved = SavedState()
    url = "postgresql://watchfloor:pw@127.0.0.1:3/watchfloor"
    overrides = overrides_for(StackOptions(), load_settings(), saved, addresses(), url)
    settings = merged(load_settings(), overrides, tmp_path / "watchfloor.toml")
    assert settings.worker.rate_limit.max_events_per_second == 7
    assert settings.kafka.bootstrap_servers == "127.0.0.1:4"
    assert (settings.source.host, settings.source.port, settings.source.database) == ("127.0.0.1", 3, "watchfloor")
    assert settings.source.password.get_secret_value() == saved.capture_password
    assert settings.auth.hs256_secret is not None
    assert settings.auth.hs256_secret.get_secret_value() == saved.hs256_secret
    assert (settings.gateway.port, settings.worker.metrics.port, settings.connect.url) == (1, 2, "http://127.0.0.1:6")
    assert stat.S_IMODE((tmp_path / "watchfloor.toml").stat().st_mode) == 0o600


def test_the_users_settings_of_a_group_survive_beside_the_launchers(tmp_path: Path) -> None:
    mine = base(gateway={"health": {"interval_s": 9}}, worker={"metrics": {"host": "::1"}})
    overrides = overrides_for(StackOptions(), mine, SavedState(), addresses(), "postgresql://u@h/d")
    merged(mine, overrides, tmp_path / "watchfloor.toml")
    settings = load_settings(tmp_path / "watchfloor.toml", environ={})
    assert (settings.gateway.health.interval_s, settings.gateway.health.worker_urls) == (9, ["http://127.0.0.1:2"])
    assert (settings.worker.metrics.host, settings.worker.metrics.port) == ("::1", 2)


def test_a_file_of_an_earlier_start_is_read_and_written_under_the_new_names(tmp_path: Path) -> None:
    file = tmp_path / "watchfloor.toml"
    file.write_text(f"{GENERATED} at each start: …\n[worker]\nmetrics_port = 7\ntick_grace_ms = 300\n", "utf-8")
    found = find_settings(None, tmp_path)
    merged(found, overrides_for(StackOptions(), found, SavedState(), addresses(), "postgresql://u@h/d"), file)
    assert "tick_grace_ms" not in file.read_text("utf-8")
    worker = load_settings(file, environ={}).worker
    assert (worker.metrics.port, worker.tick.grace_ms) == (2, 300)
