"""One child process: its description, its start, the end of its log, its stop.

Owns a `Popen` and its log. Knows nothing about restarts (see `supervisor`) or about what the program does.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from common.errors import WatchfloorError
from deploy.embedded.logfiles import last_lines, open_log
from deploy.embedded.processes import ProcessRecord, RecordFile


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user that a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start and stop a child. Secrets are in files that it reads, never in `argv`."""

    name: str
    argv: tuple[str, ...]
    log: Path
    stop_rank: int
    """Lower ranks stop first."""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    account: Account | None = None
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = 20.0
    log_bytes_max: int = 16 << 20


class Child:
    """The process of a spec, running or ended."""

    def __init__(self, spec: ChildSpec, records: RecordFile) -> None:
        self.spec = spec
        self._records = records
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._lock = threading.Lock()
        self._stopping = False
        self.started_monotonic_s = 0.0

    @property
    def pid(self) -> int | None:
        """The process id of the last start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process and record it. Does nothing after `stop` was called.

        Raises:
            WatchfloorError: the program cannot be executed.
        """
        with self._lock:
            if self._stopping:
                return
            spec = self.spec
            account = spec.account
            with open_log(spec.log, spec.log_bytes_max) as log:
                self._log_start = os.fstat(log.fileno()).st_size
                try:
                    self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                        spec.argv,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        cwd=spec.cwd,
                        env=dict(spec.env),
                        # Ctrl-C in the terminal reaches only the launcher, which stops the children in order.
                        start_new_session=True,
                        user=account.uid if account else None,
                        group=account.gid if account else None,
                        extra_groups=[] if account else None,
                        # Rows are personal data, so only the owner may read what a child writes.
                        umask=0o077,
                    )
                except OSError as error:
                    raise WatchfloorError(
                        f"{spec.name} cannot be started ({error.strerror}: {spec.argv[0]})",
                        "check that the installation is complete: ./run sync",
                    ) from error
            self.started_monotonic_s = time.monotonic()
            self._record(self._process.pid)

    def _record(self, pid: int) -> None:
        spec = self.spec
        with suppress(psutil.NoSuchProcess):  # it ended at once: nothing to clean up after
            started_at = psutil.Process(pid).create_time()
            record = ProcessRecord(spec.name, pid, started_at, spec.stop_rank, spec.stop_signal, spec.stop_timeout_s)
            self._records.put(record)

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None before the first start and while it runs."""
        return self._process.poll() if self._process else None

    def running(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.poll() is None

    def check(self, advice: str) -> None:
        """Raise WatchfloorError, with the last line of its log, if the process has ended."""
        if not self.running():
            reason = self.last_words(1) or ["no reason given"]
            raise WatchfloorError(f"{self.spec.name} ended ({reason[0]})", advice)

    def last_words(self, count: int) -> list[str]:
        """The last lines that the process has logged since its last start."""
        return last_lines(self.spec.log, count, self._log_start)

    def stop(self, *, hard: bool = False) -> None:
        """Stop the process and wait for it; kill it after its timeout, or at once if `hard`. It never starts again."""
        self._stopping = True
        with self._lock:
            process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGKILL if hard else self.spec.stop_signal)
        try:
            process.wait(self.spec.stop_timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """Kill the process without waiting; safe to call while another thread waits in `stop`."""
        self._stopping = True
        if self._process is not None and self._process.poll() is None:
            self._process.kill()


def describe_exit(code: int) -> str:
    """An exit code in words.

    >>> describe_exit(-9), describe_exit(1)
    ('was killed by SIGKILL', 'ended with code 1')
    """
    if code < 0:
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"
    return f"ended with code {code}"
