"""Records on disk which processes a launcher started, and stops them if the launcher could not.

Owns the record file of a launcher (`run/launcher-<pid>.json`) and the ordered stop of recorded processes.
A process is signalled only if its start time is the recorded one, so that a reused process id is left alone.
Used by the orphan stopper after the launcher was killed, and by the next start.
"""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_START_TIME_TOLERANCE_S = 1.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A started process and how to stop it."""

    name: str
    pid: int
    started_at: float
    """Seconds since 1970, as the operating system reports it."""
    stop_rank: int
    """Lower ranks stop first; equal ranks together."""
    stop_signal: int
    stop_timeout_s: float


def is_alive(record: ProcessRecord) -> bool:
    """Whether the recorded process still runs; a zombie does not."""
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.started_at) < _START_TIME_TOLERANCE_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def stop_in_order(records: Iterable[ProcessRecord]) -> list[str]:
    """Stop the processes that still run, rank by rank; kill those that do not stop in time.

    Returns:
        The names of the processes that were still running.
    """
    alive = [record for record in records if is_alive(record)]
    for rank in sorted({record.stop_rank for record in alive}):
        group = [record for record in alive if record.stop_rank == rank]
        for record in group:
            _signal(record, record.stop_signal)
        deadline = time.monotonic() + max(record.stop_timeout_s for record in group)
        while any(map(is_alive, group)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        for record in group:
            if is_alive(record):
                _signal(record, signal.SIGKILL)
    return [record.name for record in alive]


def _signal(record: ProcessRecord, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may have ended in the meantime
        os.kill(record.pid, number)


class RecordFile:
    """The records of one launcher; the file is replaced atomically at each change, from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._records: dict[str, ProcessRecord] = {}

    def put(self, record: ProcessRecord) -> None:
        """Add a process, replacing an earlier one of the same name."""
        with self._lock:
            self._records[record.name] = record
            scratch = self.path.with_suffix(".new")
            scratch.write_text(json.dumps([asdict(one) for one in self._records.values()]), "utf-8")
            scratch.replace(self.path)

    def delete(self) -> None:
        """Delete the file, after all processes were stopped."""
        with self._lock:
            self._records.clear()
            self.path.unlink(missing_ok=True)


def read_records(path: Path) -> list[ProcessRecord]:
    """The records of a file; none if it is missing or incomplete."""
    try:
        return [ProcessRecord(**fields) for fields in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def stop_leftovers(run_dir: Path) -> list[str]:
    """Stop the processes that earlier launchers left running, and delete their record files.

    The caller holds the lock of the state directory, so no launcher of these files is alive.
    """
    names: list[str] = []
    for path in sorted(run_dir.glob("launcher-*.json")):
        names += stop_in_order(read_records(path))
        path.unlink(missing_ok=True)
    return names
