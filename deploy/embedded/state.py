"""The state directory: its layout, its lock, and what is kept from one start to the next.

Owns `state.json` (ports, secrets, identity) and `endpoints.json`. Files with secrets are readable only by their
owner. Never starts anything.
"""

import errno
import fcntl
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from common.errors import WatchfloorError
from common.paths import CONFIG_FILE, ENDPOINTS_FILE

_VERSION = 1
_LATER = ("feed_epochs", "kafka_password", "kafka_has_user", "connect_password")
NO_SPACE = "No space left on device"
"""How every program reports a full disk."""


@dataclass(slots=True)
class SavedState:
    """The content of `state.json`."""

    version: int = _VERSION
    identity: str = field(default_factory=lambda: secrets.token_hex(8))
    """Identifies this state directory where a part of it has to be stored elsewhere."""
    ports: dict[str, int] = field(default_factory=dict)
    hs256_secret: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    postgres_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    capture_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    kafka_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    kafka_has_user: bool = False
    """Whether the storage of Kafka has the user: that of the first releases has none."""
    connect_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    feed_epochs: dict[str, str] = field(default_factory=dict)
    """The topic ids of the feeds that the embedded Kafka has had, by the topic's name."""


class StateDir:
    """A state directory, locked by this process between `open` and `close`."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.logs = self.root / "logs"
        self.run = self.root / "run"
        self.config = self.root / "config"
        self.kafka = self.root / "kafka"
        self.postgres = self.root / "postgres"
        self.settings_file = self.root / CONFIG_FILE
        self.endpoints_file = self.root / ENDPOINTS_FILE
        self._saved_file = self.root / "state.json"
        self._lock: int | None = None
        self.saved = SavedState()

    def open(self) -> None:
        """Create the directory if it does not exist, take its lock and read `state.json`.

        Raises:
            WatchfloorError: it cannot be written, another launcher holds it, or `state.json` is damaged.
        """
        try:
            # If root starts the stack, PostgreSQL runs as another user, who must be able to pass through.
            self.root.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
            for directory in (self.logs, self.run, self.config):
                directory.mkdir(mode=0o700, exist_ok=True)
            self._take_lock()
        except OSError as error:
            raise _unwritable(self.root, error) from error
        try:
            self.saved = self._read_saved()
            self.remember()
            # A launcher that was killed left it behind; nothing answers at those addresses.
            self.endpoints_file.unlink(missing_ok=True)
        except OSError as error:
            self.close()
            raise _unwritable(self.root, error) from error
        except WatchfloorError:
            self.close()
            raise

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> None:
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise WatchfloorError(
                f"another watchfloor (process {holder or 'unknown'}) uses {self.root}",
                "stop it, or choose another --state-dir",
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
        self._lock = descriptor

    def _read_saved(self) -> SavedState:
        try:
            stored = json.loads(self._saved_file.read_text("utf-8"))
        except FileNotFoundError:
            return SavedState()
        except ValueError as error:
            raise damaged(self._saved_file, "it is not JSON") from error
        known = {one.name for one in fields(SavedState)}
        if isinstance(stored, dict):
            # Missing in the files of the first releases.
            stored = {name: getattr(SavedState(), name) for name in _LATER} | stored
        if not isinstance(stored, dict) or stored.get("version") != _VERSION or stored.keys() != known:
            raise damaged(self._saved_file, f"it is not of version {_VERSION}")
        texts_right = all(
            isinstance(stored[name], str) and stored[name]
            for name in known - {"version", "ports", "feed_epochs", "kafka_has_user"}
        )
        ports_right = isinstance(stored["ports"], dict) and all(type(v) is int for v in stored["ports"].values())
        epochs = stored["feed_epochs"]
        epochs_right = isinstance(epochs, dict) and all(isinstance(v, str) and v for v in epochs.values())
        if not (texts_right and ports_right and epochs_right and isinstance(stored["kafka_has_user"], bool)):
            raise damaged(self._saved_file, "a value has another type")
        return SavedState(**stored)

    def remember(self) -> None:
        """Write `state.json`."""
        write_private(self._saved_file, json.dumps(asdict(self.saved), indent=1) + "\n")

    def write_endpoints(self, endpoints: dict[str, Any]) -> None:
        """Write `endpoints.json` atomically, so that a reader never sees a part of it."""
        write_private(self.endpoints_file, json.dumps(endpoints, indent=1) + "\n")

    def log(self, name: str) -> Path:
        """The log file of a component."""
        return self.logs / f"{name}.log"

    def check_disk(self, free_mib_min: int) -> None:
        """Raise WatchfloorError if less space is free."""
        free = shutil.disk_usage(self.root).free >> 20
        if free < free_mib_min:
            raise disk_full(self.root, f"{free} MiB are free below {self.root}, {free_mib_min} are needed")


def write_private(path: Path, text: str) -> None:
    """Write a file atomically that only its owner may read."""
    scratch = path.with_name(f".{path.name}.new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def damaged(path: Path, why: str) -> WatchfloorError:
    """The error to report for a state directory that cannot be used."""
    return WatchfloorError(
        f"the state directory is damaged: {path} cannot be used ({why})",
        "restore it from a copy, or move the directory away and start with an empty one",
    )


def disk_full(root: Path, problem: str) -> WatchfloorError:
    """The error to report if the disk of the state directory is full."""
    return WatchfloorError(f"the disk is full: {problem}", f"free space there, or move {root} to a larger disk")


def _unwritable(root: Path, error: OSError) -> WatchfloorError:
    if error.errno == errno.ENOSPC:
        return disk_full(root, f"nothing can be written below {root}")
    return WatchfloorError(
        f"the state directory {root} cannot be written ({error.strerror})",
        "give this user write permission there, or choose another directory with --state-dir",
    )
