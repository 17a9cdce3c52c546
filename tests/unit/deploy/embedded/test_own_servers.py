"""Addresses of servers of the user's own: nonsense is refused at once, and no password stands in an argument.

Also of watchfloor/cli/up.py.
"""

from pathlib import Path

import pytest
from pydantic import SecretStr

from common.errors import WatchfloorError
from common.settings.load import Settings
from deploy.embedded.options import StackOptions
from deploy.embedded.own_servers import check_own_servers, refuse_password
from deploy.embedded.stack import Stack
from watchfloor import cli
from watchfloor.cli.up import database_of_settings


@pytest.mark.parametrize(
    "options",
    [
        StackOptions(connect_url=url)
        for url in ("nonsense", "", "c:8083", "http://", "http://c:abc", "http://c:0", "ftp://c", "http://a b")
    ]
    + [StackOptions(connect_url=f"http://{extra}") for extra in ("me:pw@c:8083", "c:8083/?x=1", "c:8083/#x")]
    + [
        StackOptions(kafka=servers)
        for servers in ("nonsense", "", ":9092", "k", "k:0", "k:65536", "k:9092,", "k:9092,x", "http://k:9092", "::1:9")
    ]
    + [
        StackOptions(postgres_url=url)
        for url in ("nonsense", "", "postgresql://h:abc/d", "postgresql://h:99999/d", "postgresql://h:0/d")
    ],
)
def test_what_cannot_be_an_address_ends_a_start_before_it_touches_anything(
    options: StackOptions, tmp_path: Path
) -> None:
    options = StackOptions(
        state_dir=tmp_path / "s",
        postgres_url=options.postgres_url,
        kafka=options.kafka,
        connect_url=options.connect_url,
    )
    with pytest.raises(WatchfloorError, match=r"--(connect|kafka|postgres) ") as caught:
        Stack(options, Settings()).start()
    assert "pw" not in str(caught.value)
    assert not (tmp_path / "s").exists()


def test_addresses_are_accepted() -> None:
    check_own_servers(StackOptions())
    check_own_servers(
        StackOptions(
            kafka="k1:9092, [::1]:9093",
            connect_url="https://connect.example.com/prefix",
            postgres_url="postgres://o@a,b:6543/f?sslmode=require",
        )
    )


@pytest.mark.parametrize("url", ["postgresql://o:s3cret@h/d", "postgresql://o@h/d?password=s3cret"])
def test_a_password_in_the_option_is_refused_with_the_safe_ways(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["watchfloor", "up", "--state-dir", str(tmp_path / "s"), "--postgres", url])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    line = capsys.readouterr().err.strip()
    assert stop.value.code == 1
    assert "s3cret" not in line
    assert "\n" not in line
    for way in ("source.admin_dsn", "WATCHFLOOR_SOURCE__ADMIN_DSN", "~/.pgpass"):
        assert way in line
    assert not (tmp_path / "s").exists()
    refuse_password("postgresql://o@h/d")


def test_the_database_of_the_settings_is_used_unless_the_launcher_wrote_them(tmp_path: Path) -> None:
    own = Settings.model_validate({"source": {"admin_dsn": SecretStr("postgresql://o:p@h/d")}})
    assert database_of_settings(own, None, tmp_path) == "postgresql://o:p@h/d"
    assert database_of_settings(own, tmp_path / "mine.toml", tmp_path) == "postgresql://o:p@h/d"
    assert database_of_settings(own, tmp_path / "watchfloor.toml", tmp_path) is None
    assert database_of_settings(Settings(), None, tmp_path) is None


def test_the_options_of_a_stack_do_not_show_the_password() -> None:
    assert "s3cret" not in repr(StackOptions(postgres_url="postgresql://o:s3cret@h/d"))
