"""What the small commands know of the stack on this machine."""

import doctest
from pathlib import Path

import pytest

from common.errors import WatchfloorError
from common.settings.load import Settings
from watchfloor import local_stack as local


def test_the_examples_hold() -> None:
    assert doctest.testmod(local).failed == 0


def test_a_named_directory_wins_over_a_named_file(tmp_path: Path) -> None:
    (tmp_path / "watchfloor.toml").write_text("[gateway]\nport = 8081\n")
    other = tmp_path / "other.toml"
    other.write_text("[gateway]\nport = 8082\n")
    assert local.find_settings(other, tmp_path).gateway.port == 8081
    assert local.find_settings(other, None).gateway.port == 8082


def test_the_default_directory_is_used_where_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHFLOOR_STATE_DIR", str(tmp_path))
    with pytest.raises(WatchfloorError, match="no stack"):
        local.find_settings(None, None)
    (tmp_path / "watchfloor.toml").write_text("[gateway]\nport = 8083\n")
    assert local.find_settings(None, None).gateway.port == 8083


def test_a_gateway_that_speaks_tls_is_reached_by_tls() -> None:
    settings = Settings.model_validate(
        {"gateway": {"host": "::1", "tls": {"certificate_file": "/c", "key_file": "/k"}}}
    )
    assert local.gateway_addresses(settings) == ("https://[::1]:8080", "wss://[::1]:8080")


def test_endpoints_of_a_later_version_are_read(tmp_path: Path) -> None:
    assert local.read_endpoints(tmp_path) is None
    (tmp_path / "endpoints.json").write_text(
        '{"postgres": "p", "kafka": "k", "connect": "c", "gateway": "g", "websocket": "w", "metrics": {}, "sink": "s"}'
    )
    found = local.read_endpoints(tmp_path)
    assert found is not None
    assert found.websocket == "w"
