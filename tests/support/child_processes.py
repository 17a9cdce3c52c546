"""Small programs as children of a launcher, with real processes, and a reporter that keeps what it is told."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.waiting import until

from deploy.embedded.child import Child, ChildSpec
from deploy.embedded.options import StackOptions
from deploy.embedded.processes import RecordFile

OPTIONS = StackOptions(restart_delay_s_min=0.05, restart_delay_s_max=0.2, healthy_after_s=30, connector_poll_s=0.02)
SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


class Said:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, list[str]]] = []

    def step(self, name: str, text: str) -> None: ...
    def done(self, name: str, text: str = "ready") -> None: ...
    def download(self, name: str, arrived_bytes: int, total_bytes: int) -> None: ...
    def close(self) -> None: ...

    def event(self, text: str, details: list[str] | None = None) -> None:
        self.events.append((text, details or []))


Make = Callable[..., Child]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    records = RecordFile(tmp_path / "launcher-1.json")
    made: list[Child] = []

    def child(program: str, name: str = "one", rank: int = 10, stop_timeout_s: float = 5.0) -> Child:
        argv = (sys.executable, "-c", program)
        log = tmp_path / f"{name}.log"
        made.append(Child(ChildSpec(name, argv, log, rank, env=os.environ, stop_timeout_s=stop_timeout_s), records))
        return made[-1]

    yield child
    for one in made:
        one.stop(hard=True)


def up(child: Child) -> None:
    until(lambda: child.last_words(1) == ["up"], f"{child.spec.name} says that it is up")
