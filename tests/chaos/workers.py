"""Worker processes of the real program: started, killed, paused, resumed, and watched by a supervisor.

Every worker is `python -m watchfloor --config … worker` with its own name and metrics port. Knows nothing
of topics.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

from support.paths import ROOT
from support.waiting import until

from deploy.embedded.ports import choose

READY_S_MAX = 120.0
STOP_S_MAX = 60.0


DETECTION = {
    "WATCHFLOOR_WORKER__DETECTORS": '["wrong_person","unauthorized_site"]',
    "WATCHFLOOR_WORKER__REFERENCES__WAIT_MS": "0",
}
"""What the plain fold knows, for workers and replays. The other detectors are held against their own tests."""


class Worker:
    """One worker and its successive lives under one name."""

    def __init__(self, name: str, config: Path, taken: set[int]) -> None:
        self.name = name
        self.lives = 0
        self.wanted = False
        """Whether a supervisor starts it again when it has ended by itself."""
        self.exits: list[tuple[int, str]] = []
        """Exit code and last line of the lives that ended without being asked to."""
        self.log = config.with_name(f"{name}.log")
        self._config = config
        self._port = choose([], taken)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._log_start = 0
        self._asked = False

    def start(self) -> None:
        """Start it; returns at once."""
        with self._lock:
            self.wanted = True
            self.lives += 1
            self._asked = False
            variables = {
                "WATCHFLOOR_WORKER__GROUP__INSTANCE_ID": self.name,
                "WATCHFLOOR_WORKER__METRICS__PORT": str(self._port),
            } | DETECTION
            inherited = {name: value for name, value in os.environ.items() if not name.startswith("WATCHFLOOR_")}
            with self.log.open("ab") as log:
                self._log_start = log.tell()
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "watchfloor", "--config", str(self._config), "worker"],
                    cwd=ROOT,
                    env=inherited | variables,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    @property
    def running(self) -> bool:
        """Whether there is a process, paused or not."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL; nobody restarts it."""
        with self._lock:
            self.wanted = False
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: it stands still wherever it is, its sockets stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """SIGTERM, as a deployment does it; nobody restarts it."""
        with self._lock:
            self.wanted = False
            if not self._asked:  # a second one may come after the handlers are gone
                self._asked = True
                self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """SIGTERM and wait for the end."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        self.ask_to_stop()
        try:
            code = process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {STOP_S_MAX:g} s, see {self.log}") from None
        assert code == 0, f"{self.name} ended with code {code}: {self.last_line()}"

    def ready(self) -> bool:
        """Whether its own probe says so."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def wait_ready(self) -> None:
        """Wait for the probe."""
        until(lambda: self.ready() or not self.running, f"{self.name} is ready, see {self.log}", within_s=READY_S_MAX)
        assert self.running, f"{self.name} ended: {self.last_line()}"

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 where it is not there."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def last_line(self) -> str:
        """The last line of this life's log."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def tail(self, lines: int) -> list[str]:
        """The end of the log of all lives, without the dead letters, which the load makes on purpose."""
        if not self.log.exists():
            return []
        said = self.log.read_text("utf-8", "replace").splitlines()
        return [line for line in said if '"event": "dead letter"' not in line][-lines:]

    def revive(self) -> None:
        """Start it again where it ended by itself: called by the supervisor."""
        with self._lock:
            if self.wanted and self._process is not None and (code := self._process.poll()) is not None:
                self.exits.append((code, self.last_line()))
                self.start()

    def _signal(self, number: int) -> None:
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(number)


class Supervisor:
    """Restarts workers that end by themselves, as a service manager does."""

    def __init__(self, *, pause_s: float = 0.5) -> None:
        self.workers: list[Worker] = []
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; the workers go on."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._pause_s):
            for worker in list(self.workers):
                worker.revive()
