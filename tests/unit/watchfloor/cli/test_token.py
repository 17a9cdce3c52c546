"""`watchfloor token`: the token and nothing else, or one line that says why not."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from common.settings.load import load_settings
from gateway.access.bearer import Bearer, Capability
from gateway.access.tokens import TokenVerifier

Run = Callable[..., subprocess.CompletedProcess[str]]


def identity(token: str, config: Path) -> Bearer:
    """Who the gateway of this configuration takes a token's bearer for."""
    return asyncio.run(TokenVerifier(load_settings(config, environ={}).auth).verify(token))


def test_the_gateway_of_the_same_settings_accepts_what_it_prints(watchfloor: Run, state_dir: Path) -> None:
    done = watchfloor(
        "token", "--tenant", "7", "--user", "ops", "--state-dir", str(state_dir),
        "--capability", "noc:view", "--capability", "noc:ack_alerts", "--client", "3", "--client", "4", "--site", "9",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    bearer = identity(done.stdout.strip(), state_dir / "watchfloor.toml")
    assert (bearer.tenant_id, bearer.subject) == (7, "ops")
    assert bearer.capabilities == {Capability.VIEW, Capability.ACK_ALERTS}
    assert (bearer.clients, bearer.sites) == ({3, 4}, {9})


def test_without_options_a_token_may_view_all_clients(watchfloor: Run, state_dir: Path) -> None:
    done = watchfloor("--config", str(state_dir / "watchfloor.toml"), "token", "--tenant", "1", "--user", "ops")
    bearer = identity(done.stdout.strip(), state_dir / "watchfloor.toml")
    assert bearer.capabilities == {Capability.VIEW, Capability.VIEW_ALL_CLIENTS}
    assert bearer.clients is None
    assert bearer.sites is None


def test_a_named_client_or_site_is_a_limit_without_saying_more(watchfloor: Run, state_dir: Path) -> None:
    arguments = ("token", "--tenant", "1", "--user", "ops", "--state-dir", str(state_dir))
    config = state_dir / "watchfloor.toml"
    client, site = (
        identity(watchfloor(*arguments, *more).stdout.strip(), config) for more in (("--client", "3"), ("--site", "9"))
    )
    assert client.capabilities == site.capabilities == {Capability.VIEW}
    assert (client.clients, client.sites, site.clients, site.sites) == ({3}, None, None, {9})


def test_the_lifetime_is_as_asked(watchfloor: Run, state_dir: Path) -> None:
    arguments = ("token", "--tenant", "1", "--user", "ops", "--state-dir", str(state_dir), "--lifetime-hours")
    config = state_dir / "watchfloor.toml"
    short, long = (identity(watchfloor(*arguments, hours).stdout.strip(), config) for hours in ("1", "3"))
    assert 7100 < long.expires_at - short.expires_at < 7300


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        ("", ["--capability", "noc:vew"], "there is no capability noc:vew"),
        ("", ["--user", " "], "user is empty"),
        ('algorithm = "RS256"\n', [], "identity provider"),
        ("hs256_secrt = 1\n", [], "unknown setting auth.hs256_secrt"),
    ],
)
def test_what_is_wrong_is_one_line_and_no_token(
    watchfloor: Run, state_dir: Path, change: str, arguments: list[str], said: str
) -> None:
    config = state_dir / "watchfloor.toml"
    config.write_text(config.read_text() + change)
    done = watchfloor("token", "--tenant", "1", "--user", "ops", "--state-dir", str(state_dir), *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_directory_without_a_stack_says_how_to_get_one(watchfloor: Run, tmp_path: Path) -> None:
    for done in (
        watchfloor("token", "--tenant", "1", "--user", "ops", "--state-dir", str(tmp_path / "none")),
        watchfloor("token", "--tenant", "1", "--user", "ops", WATCHFLOOR_STATE_DIR=str(tmp_path / "none")),
    ):
        assert done.returncode == 1
        assert "there is no stack in" in done.stderr
        assert "watchfloor up" in done.stderr


def test_wrong_usage_prints_no_token_and_no_trace(watchfloor: Run, state_dir: Path) -> None:
    for arguments in (["--tenant", "0"], ["--tenant", "x"], ["--tenant", "1", "--lifetime-hours", "-1"], []):
        done = watchfloor("token", "--user", "ops", "--state-dir", str(state_dir), *arguments)
        assert done.returncode != 0
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
