"""Shows on standard error what happens while the stack starts and runs; writes nothing to standard output.

A terminal gets a live line for each component, anything else plain lines. Owns only the presentation.
"""

import sys
import threading
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Reporter(Protocol):
    """Receives the launcher's progress and events; every method may be called from any thread."""

    def step(self, name: str, text: str) -> None:
        """A component entered a new phase, such as `starting`."""

    def done(self, name: str, text: str = "ready") -> None:
        """A component is ready."""

    def download(self, name: str, arrived_bytes: int, total_bytes: int) -> None:
        """The progress of a download."""

    def event(self, text: str, details: list[str] | None = None) -> None:
        """Something that the user should know, with the last lines of a log if there are any."""

    def close(self) -> None:
        """The start is over; only events follow."""


class PlainReporter:
    """One line for each phase, for logs and pipes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tenths = -1

    def step(self, name: str, text: str) -> None:
        """Say the phase."""
        self._say(f"{name}: {text}")

    def done(self, name: str, text: str = "ready") -> None:
        """Say that it is ready."""
        self._say(f"{name}: {text}")

    def download(self, name: str, arrived_bytes: int, total_bytes: int) -> None:
        """Say how far it is."""
        tenths = 10 * arrived_bytes // max(total_bytes, 1)
        if tenths > self._tenths:
            self._tenths = tenths
            self._say(f"{name}: {arrived_bytes >> 20} of {total_bytes >> 20} MiB")

    def event(self, text: str, details: list[str] | None = None) -> None:
        """Say it, with the lines."""
        self._say("\n    ".join([text, *(details or [])]))

    def close(self) -> None:
        """Nothing is held open."""

    def _say(self, text: str) -> None:
        with self._lock:
            sys.stderr.write(f"watchfloor: {text}\n")
            sys.stderr.flush()


class TerminalReporter:
    """A live display that leaves one line for each component."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._download: TaskID | None = None
        self._open = True
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("[bold]{task.fields[component]:<12}[/] {task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._bytes = Progress(
            TextColumn("[bold]{task.description}[/]"), BarColumn(), DownloadColumn(), console=console, transient=True
        )

    def step(self, name: str, text: str) -> None:
        """Say the phase."""
        with self._lock:
            if not self._open:
                return
            self._end_download()
            self._progress.start()
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(text, total=1, component=name)
            self._progress.update(self._tasks[name], description=text)

    def done(self, name: str, text: str = "ready") -> None:
        """Say that it is ready."""
        self.step(name, text)
        with self._lock:
            if name in self._tasks:
                self._progress.update(self._tasks[name], completed=1)

    def download(self, name: str, arrived_bytes: int, total_bytes: int) -> None:
        """Say how far it is."""
        with self._lock:
            if self._download is None:
                self._progress.stop()  # a console shows one live display at a time
                self._bytes.start()
                self._download = self._bytes.add_task(name, total=total_bytes)
            self._bytes.update(self._download, completed=arrived_bytes)

    def event(self, text: str, details: list[str] | None = None) -> None:
        """Say it, with the lines."""
        self._console.print(f"[yellow]watchfloor:[/] {_plain(text)}", highlight=False)
        for line in details or []:
            self._console.print(f"    {_plain(line)}", style="dim", highlight=False)

    def close(self) -> None:
        """End the display."""
        with self._lock:
            self._end_download()
            self._progress.stop()
            self._open = False

    def _end_download(self) -> None:
        if self._download is not None:
            self._bytes.stop()
            self._download = None


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def reporter_for_stderr() -> Reporter:
    """The live display if standard error is a terminal, otherwise plain lines."""
    if sys.stderr.isatty():
        return TerminalReporter(Console(stderr=True))
    return PlainReporter()
