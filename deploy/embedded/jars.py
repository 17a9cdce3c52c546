"""The Java archives of Kafka, Connect and Debezium: pinned, downloaded once, verified.

Owns the pins in `jars.lock` and the folder of verified archives in the cache directory. A file gets its final
name only after its checksum was verified, so an interrupted download is never used, and a complete folder needs
no network. Never resolves versions; `lock_jars` does that.
"""

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from common.errors import WatchfloorError

RUNTIME = "runtime"
"""The set of archives of the broker and the Connect worker, which share one version."""
DEBEZIUM = "debezium"
"""The set of archives of the connector plugin, in its own directory and never on the broker's class path."""

_DOWNLOADS_AT_ONCE = 8
_ATTEMPTS_MAX = 3
_REQUEST_TIMEOUT_S = 30

Advance = Callable[[int], None]
"""Called from any thread with the number of bytes received since the last call; raises to end the download."""


@dataclass(frozen=True, slots=True)
class JarPin:
    """One archive of the lock."""

    set: str
    coordinate: str
    """`group:artifact:version`."""
    size_bytes: int
    sha256: str

    @property
    def filename(self) -> str:
        """The archive's name in its folder.

        >>> JarPin("runtime", "org.apache.kafka:kafka_2.13:4.3.1", 1, "").filename
        'kafka_2.13-4.3.1.jar'
        """
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def read_lock(text: str | None = None) -> list[JarPin]:
    """The pins of `jars.lock`, or of `text` in the same format: set, coordinate, bytes and SHA-256 on each line."""
    if text is None:
        text = files("deploy.embedded").joinpath("jars.lock").read_text("utf-8")
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return [JarPin(group, coordinate, int(size), sha256) for group, coordinate, size, sha256 in rows]


class JarCache:
    """The verified archives of one lock below a cache directory.

    Args:
        cache_dir: the cache directory of this machine's user.
        pins: the archives that must be there, as `read_lock()` returns them.
        fetch: downloads a coordinate into a directory and returns the file; replaced in tests.
    """

    def __init__(
        self,
        cache_dir: Path,
        pins: list[JarPin],
        fetch: Callable[[str, Path, Advance], Path] | None = None,
    ) -> None:
        self._pins = pins
        self._fetch = fetch or fetch_with_jgo
        # Each lock has its own folder, so that two versions of the program do not disturb each other.
        identity = hashlib.sha256("".join(pin.sha256 for pin in pins).encode()).hexdigest()[:12]
        self.folder = cache_dir / f"jars-{identity}"

    def class_path(self) -> str:
        """The class path of the broker and Connect, in the order of the lock."""
        return os.pathsep.join(str(self._path(pin)) for pin in self._pins if pin.set == RUNTIME)

    def plugin_path(self) -> Path:
        """The directory whose subdirectories are Connect's plugins."""
        return self.folder / "plugins"

    def missing(self) -> list[JarPin]:
        """The pins whose file is missing or has another size; reads no file."""
        return [pin for pin in self._pins if not self._is_whole(pin)]

    def ensure(self, advance: Advance = lambda _bytes: None) -> None:
        """Download what is missing; return at once, without using the network, if nothing is.

        Raises:
            WatchfloorError: the repository does not answer, an archive is not what the lock pins,
                or the cache directory cannot be written.
        """
        missing = self.missing()
        if not missing:
            return
        scratch = self.folder / f".download-{os.getpid()}"
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE, thread_name_prefix="jars") as pool:
                downloads = [pool.submit(self._download, pin, scratch, advance) for pin in missing]
                try:
                    for download in downloads:
                        download.result()
                finally:
                    # After a failure, so that the remaining downloads do not each wait for their timeout.
                    pool.shutdown(cancel_futures=True)
        except OSError as error:
            raise WatchfloorError(
                f"the cache directory {self.folder} cannot be written ({error.strerror})",
                "free disk space there, or choose another directory with --cache-dir",
            ) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _path(self, pin: JarPin) -> Path:
        directory = self.folder / RUNTIME if pin.set == RUNTIME else self.plugin_path() / pin.set
        return directory / pin.filename

    def _is_whole(self, pin: JarPin) -> bool:
        try:
            return self._path(pin).stat().st_size == pin.size_bytes
        except OSError:
            return False

    def _download(self, pin: JarPin, scratch: Path, advance: Advance) -> None:
        for attempt in range(_ATTEMPTS_MAX):
            # A new directory each time, because jgo takes any existing file for a complete one.
            directory = scratch / f"{pin.set}-{pin.filename}-{attempt}"
            try:
                arrived = self._fetch(pin.coordinate, directory, advance)
            except WatchfloorError:
                if attempt + 1 == _ATTEMPTS_MAX:
                    raise
                continue
            if _sha256(arrived) == pin.sha256:
                final = self._path(pin)
                final.parent.mkdir(parents=True, exist_ok=True)
                arrived.replace(final)
                return
        raise WatchfloorError(
            f"{pin.coordinate} from Maven's repository is not the file that this version pins",
            "try again; if this happens again, a proxy between here and the repository is altering downloads",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_with_jgo(coordinate: str, directory: Path, advance: Advance) -> Path:
    """Download one archive, without its dependencies, from Maven's repository or the mirrors in jgo's settings.

    Raises:
        WatchfloorError: no repository answers, or none has the archive.
    """
    import requests
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext, PythonResolver

    lock = threading.Lock()

    @contextmanager
    def progress(_filename: str, _total: int) -> Iterator[Callable[[int], None]]:
        def arrived(count: int) -> None:
            with lock:
                advance(count)

        yield arrived

    context = MavenContext(
        resolver=PythonResolver(progress_callback=progress),
        repo_cache=directory,
        remote_repos=GlobalSettings.load().repositories | {"central": MAVEN_CENTRAL_URL},
        timeout=_REQUEST_TIMEOUT_S,
    )
    try:
        return Path(context.create_dependency(coordinate).artifact.resolve())
    except (requests.RequestException, RuntimeError) as error:
        raise WatchfloorError(
            f"{coordinate} cannot be downloaded from Maven's repository ({type(error).__name__})",
            "the first start needs the network: connect this machine or set HTTPS_PROXY, then run it again",
        ) from error
