"""Data of PostgreSQL that cannot be used is told before it is started."""

from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import WatchfloorError
from deploy.embedded.postgres import MAJOR_VERSION, Postgres, postgres_binaries
from deploy.embedded.state import StateDir


def never() -> bool:
    return False


def whole_postgres_data(data: Path) -> None:
    (data / "global").mkdir(parents=True)
    for directory in ("pg_wal", "base"):
        (data / directory).mkdir()
    (data / "global" / "pg_control").write_bytes(b"x")
    (data / "pg_hba.conf").write_text("")
    (data / "PG_VERSION").write_text(f"{MAJOR_VERSION}\n")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda data: (data / "PG_VERSION").write_text("17\n"), "was created by PostgreSQL 17, this is PostgreSQL 18"),
        (lambda data: (data / "PG_VERSION").unlink(), "damaged: .*PG_VERSION"),
        (lambda data: (data / "PG_VERSION").write_bytes(b"\xff"), "damaged: .*PG_VERSION"),
        (lambda data: (data / "global" / "pg_control").unlink(), "damaged: .*pg_control"),
        (lambda data: (data / "pg_wal").rmdir(), "damaged: .*pg_wal"),
    ],
)
def test_damaged_postgresql_data_is_told(
    tmp_path: Path, damage: Callable[[Path], object], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.embedded.postgres.postgres_account", lambda: None)
    state = StateDir(tmp_path)
    whole_postgres_data(state.postgres)
    damage(state.postgres)
    with pytest.raises(WatchfloorError, match=expected):
        Postgres(state, 1).prepare(never)


def test_the_packaged_postgresql_is_of_the_version_that_the_launcher_expects() -> None:
    assert (postgres_binaries() / "postgres").is_file()
