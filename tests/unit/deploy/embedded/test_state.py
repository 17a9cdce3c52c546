"""The state directory: one launcher at a time, secrets kept and private, damage told."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import WatchfloorError
from deploy.embedded.state import StateDir, write_private


def opened(root: Path) -> StateDir:
    state = StateDir(root)
    state.open()
    return state


def secrets_of(state: StateDir) -> list[str]:
    saved = state.saved
    passwords = [saved.postgres_password, saved.capture_password, saved.kafka_password, saved.connect_password]
    return [saved.hs256_secret, *passwords]


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    first = opened(tmp_path / "s")
    first.saved.ports["gateway"] = 20_500
    first.remember()
    first.close()
    second = opened(tmp_path / "s")
    second.close()
    assert second.saved == first.saved
    assert len(second.saved.hs256_secret) >= 32
    assert len(set(secrets_of(second))) == 5


def test_only_the_owner_reads_what_holds_secrets(tmp_path: Path) -> None:
    state = opened(tmp_path / "s")
    state.write_endpoints({"postgres": "postgresql://u:secret@127.0.0.1/d"})
    state.close()
    for name in ("state.json", "endpoints.json", "lock"):
        assert stat.S_IMODE((tmp_path / "s" / name).stat().st_mode) == 0o600, name
    for name in ("logs", "run", "config"):
        assert stat.S_IMODE((tmp_path / "s" / name).stat().st_mode) == 0o700, name


def test_a_second_launcher_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    first = opened(tmp_path / "s")
    program = (
        "import sys, pathlib; from deploy.embedded.state import StateDir; from common.errors import *\n"
        "try: StateDir(pathlib.Path(sys.argv[1])).open()\n"
        "except WatchfloorError as error: print(error); sys.exit(1)\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path / "s")]
    second = subprocess.run(argv, capture_output=True, text=True, check=False)
    first.close()
    third = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"another watchfloor (process {os.getpid()}) uses" in second.stdout
    assert third.returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "[]",
        '{"version": 2}',
        json.dumps({"version": 1, "identity": "x"}),
        json.dumps(
            {
                "version": 1,
                "identity": "x",
                "ports": {"gateway": "80"},
                "hs256_secret": "s",
                "postgres_password": "p",
                "capture_password": "c",
            }
        ),
    ],
)
def test_a_damaged_memory_is_told_and_the_lock_given_back(tmp_path: Path, text: str) -> None:
    opened(tmp_path / "s").close()
    (tmp_path / "s" / "state.json").write_text(text)
    for _ in range(2):
        with pytest.raises(WatchfloorError, match=r"state directory is damaged: .*state\.json"):
            opened(tmp_path / "s")


def test_a_memory_of_the_first_releases_is_read_and_a_wrong_feed_is_damage(tmp_path: Path) -> None:
    opened(tmp_path / "s").close()
    file = tmp_path / "s" / "state.json"
    stored = json.loads(file.read_text())
    for name in ("feed_epochs", "kafka_password", "kafka_has_user", "connect_password"):
        del stored[name]
    file.write_text(json.dumps(stored))
    state = opened(tmp_path / "s")
    state.close()
    assert (state.saved.feed_epochs, state.saved.kafka_has_user) == ({}, False)
    again = opened(tmp_path / "s")
    again.close()
    assert again.saved == state.saved
    assert min(len(again.saved.kafka_password), len(again.saved.connect_password)) >= 32
    for wrong in ("x", {"noc.anomalies": 1}, {"noc.anomalies": ""}):
        file.write_text(json.dumps(stored | {"feed_epochs": wrong}))
        with pytest.raises(WatchfloorError, match="state directory is damaged"):
            opened(tmp_path / "s")


def test_a_place_that_cannot_be_written_is_one_clear_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WatchfloorError, match=r"cannot be written .*--state-dir"):
        opened(tmp_path / "file" / "s")


def test_too_little_disk_is_told_with_both_numbers(tmp_path: Path) -> None:
    state = opened(tmp_path / "s")
    state.check_disk(0)
    with pytest.raises(WatchfloorError, match=r"the disk is full: \d+ MiB are free .* 999999999 are needed"):
        state.check_disk(999_999_999)
    state.close()


def test_endpoints_of_a_killed_launcher_are_removed_at_the_next_start(tmp_path: Path) -> None:
    first = opened(tmp_path / "s")
    first.write_endpoints({})
    first.close()
    second = opened(tmp_path / "s")
    second.close()
    assert not second.endpoints_file.exists()


def test_a_private_file_replaces_an_open_one_and_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
