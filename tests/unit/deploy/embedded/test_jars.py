"""The archive cache: what is whole is never fetched again, what is torn or false is never used."""

import hashlib
from pathlib import Path

import pytest

from common.errors import WatchfloorError
from deploy.embedded.jars import DEBEZIUM, RUNTIME, Advance, JarCache, JarPin, read_lock

CONTENT = {"org.example:broker:1.0": b"broker bytes", "org.example:connector:2.0": b"connector bytes"}


def pins() -> list[JarPin]:
    sets = {"org.example:broker:1.0": RUNTIME, "org.example:connector:2.0": DEBEZIUM}
    return [JarPin(sets[name], name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items()]


class Repository:
    """A stand-in for Maven's repository that counts its visitors."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content
        self.asked: list[str] = []

    def fetch(self, coordinate: str, directory: Path, advance: Advance) -> Path:
        self.asked.append(coordinate)
        if coordinate not in self.content:
            raise WatchfloorError(f"{coordinate} cannot be downloaded", "connect this machine")
        directory.mkdir(parents=True)
        file = directory / "arrived.jar"
        file.write_bytes(self.content[coordinate])
        advance(len(self.content[coordinate]))
        return file


def test_a_complete_cache_is_used_without_the_network(tmp_path: Path) -> None:
    first = Repository(CONTENT)
    JarCache(tmp_path, pins(), first.fetch).ensure()
    offline = Repository({})
    cache = JarCache(tmp_path, pins(), offline.fetch)
    cache.ensure()
    assert sorted(first.asked) == sorted(CONTENT)
    assert offline.asked == []
    assert [Path(path).read_bytes() for path in cache.class_path().split(":")] == [b"broker bytes"]
    assert (cache.plugin_path() / DEBEZIUM / "connector-2.0.jar").read_bytes() == b"connector bytes"


def test_progress_counts_every_byte_once(tmp_path: Path) -> None:
    arrived: list[int] = []
    JarCache(tmp_path, pins(), Repository(CONTENT).fetch).ensure(arrived.append)
    assert sum(arrived) == sum(len(data) for data in CONTENT.values())


def test_a_file_of_the_wrong_size_is_fetched_again(tmp_path: Path) -> None:
    cache = JarCache(tmp_path, pins(), Repository(CONTENT).fetch)
    cache.ensure()
    Path(cache.class_path()).write_bytes(b"brok")
    again = Repository(CONTENT)
    JarCache(tmp_path, pins(), again.fetch).ensure()
    assert again.asked == ["org.example:broker:1.0"]
    assert cache.missing() == []


def test_a_torn_download_never_gets_its_final_name(tmp_path: Path) -> None:
    torn = Repository(CONTENT | {"org.example:broker:1.0": b"broker"})
    cache = JarCache(tmp_path, pins()[:1], torn.fetch)  # its failure may call the download of another one off
    with pytest.raises(WatchfloorError, match=r"org.example:broker:1.0 .* not the file that this version pins"):
        cache.ensure()
    assert [pin.coordinate for pin in cache.missing()] == ["org.example:broker:1.0"]
    assert torn.asked == ["org.example:broker:1.0"] * 3
    assert not list(cache.folder.glob(".download-*"))


def test_without_the_network_the_failure_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WatchfloorError, match="connect this machine"):
        JarCache(tmp_path, pins(), Repository({}).fetch).ensure()


def test_an_unwritable_cache_is_one_clear_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WatchfloorError, match=r"cache directory .* cannot be written"):
        JarCache(tmp_path / "file", pins(), Repository(CONTENT).fetch).ensure()


def test_another_lock_gets_another_folder(tmp_path: Path) -> None:
    assert JarCache(tmp_path, pins(), None).folder != JarCache(tmp_path, pins()[:1], None).folder


def test_the_lock_pins_kafka_connect_and_debezium_and_keeps_the_plugin_apart() -> None:
    lock = read_lock()
    names = {(pin.set, pin.coordinate.split(":")[1]) for pin in lock}
    assert {(RUNTIME, "kafka_2.13"), (RUNTIME, "connect-runtime"), (DEBEZIUM, "debezium-connector-postgres")} <= names
    assert not any(pin.set == RUNTIME and "debezium" in pin.coordinate for pin in lock)
    assert not any(pin.set == DEBEZIUM and pin.coordinate.startswith("org.apache.kafka:") for pin in lock)
    assert all(len(pin.sha256) == 64 and pin.size_bytes > 0 for pin in lock)
    assert len({(pin.set, pin.filename) for pin in lock}) == len(lock)
