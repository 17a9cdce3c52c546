"""The demo beside a running stack: the company's writer, a client that counts what its feed shows, and the status.

Owns their threads and what the demo prints while it runs. Never starts or stops the stack.
"""

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from common.errors import WatchfloorError
from common.settings.auth import AuthSettings
from gateway.access.bearer import Capability
from gateway.access.tokens import mint_token
from simulation.live.planting import PLANTED_TYPES
from simulation.live.transactions import RATE_LIMITED, TICKET_UPDATED
from simulation.live.writer import CompanyWriter
from watchfloor_client import Connected, Feed, FeedError, FeedOptions, Message

_KINDS = (*PLANTED_TYPES, TICKET_UPDATED, RATE_LIMITED)
_WATCH_LIFETIME_S = 3600
_STOP_TIMEOUT_S = 5.0
_REFRESH_S = 0.5
_PLAIN_INTERVAL_S = 5.0


class FeedWatch:
    """Counts what the feeds of some tenants show, with one connection for each tenant."""

    def __init__(self, websocket: str, auth: AuthSettings, tenants: Sequence[int]) -> None:
        """Prepare the watch.

        Args:
            websocket: the gateway's address.
            auth: how to create tokens that the gateway accepts.
            tenants: the tenants whose feeds to watch.
        """
        self.messages = 0
        self.seen: Counter[str] = Counter()
        """Counts by finding type, or by message type if the message is not an anomaly."""
        self.failure: WatchfloorError | FeedError | None = None
        self._connected: set[int] = set()
        self._all_connected = threading.Event()
        self._websocket = websocket
        self._auth = auth
        self._tenants = tenants
        self._thread = threading.Thread(target=self._run, name="feed-watch", daemon=True)
        self._running = threading.Event()
        self._main: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None

    def start(self) -> None:
        """Connect and count, in a separate thread."""
        self._thread.start()

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until the feeds of all tenants are connected; return whether they are within the timeout."""
        return self._all_connected.wait(timeout_s)

    def stop(self) -> None:
        """Disconnect; may be called twice."""
        if self._thread.is_alive() and self._running.wait(_STOP_TIMEOUT_S) and self._main is not None:
            loop, task = self._main
            # The loop may already have ended, after a refusal.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
            self._thread.join(_STOP_TIMEOUT_S)

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._run_until_cancelled())

    async def _run_until_cancelled(self) -> None:
        task = asyncio.create_task(self._watch_all())
        self._main = (asyncio.get_running_loop(), task)
        self._running.set()
        await task

    async def _watch_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for tenant in self._tenants:
                    group.create_task(self._watch(tenant))
        except* (WatchfloorError, FeedError) as failures:
            self.failure = next(one for one in failures.exceptions if isinstance(one, WatchfloorError | FeedError))

    async def _watch(self, tenant: int) -> None:
        def token() -> str:
            capabilities = [Capability.VIEW, Capability.VIEW_ALL_CLIENTS]
            return mint_token(
                self._auth, tenant_id=tenant, user="demo-watch", capabilities=capabilities, lifetime_s=_WATCH_LIFETIME_S
            )

        async with aclosing(Feed(FeedOptions(self._websocket, token)).events()) as events:
            async for event in events:
                if isinstance(event, Connected):
                    self._connected.add(tenant)
                    if len(self._connected) == len(self._tenants):
                        self._all_connected.set()
                elif isinstance(event, Message) and "prev_seq" in event.body:  # a notice also names a seq
                    self.messages += 1
                    self.seen[str(event.body.get("anomaly_type") or event.type)] += 1


class StatusLine:
    """One line with the counts of the demo: live on a terminal, every few seconds elsewhere."""

    def __init__(self, writer: CompanyWriter, watch: FeedWatch) -> None:
        self._writer = writer
        self._watch = watch
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def start(self) -> None:
        """Start showing the line."""
        self._thread.start()

    def stop(self) -> None:
        """Stop showing the line; may be called twice."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def text(self) -> str:
        """The line."""
        progress, watch = self._writer.progress, self._watch
        seen = sum(min(number, watch.seen[kind]) for kind, number in progress.planted.items())
        more = unplanned(progress.planted, watch.seen).total()
        counts = f"{progress.planted.total()} planted, {seen} of them seen, {more} unplanned"
        problem = progress.waiting or self._failure()
        ending = f" · {problem}" if problem else ""
        return f"{progress.rows} rows written · {counts} · {watch.messages} messages{ending}"

    def _failure(self) -> str | None:
        failure = self._writer.failure or self._watch.failure
        return str(failure) if failure else None

    def _run(self) -> None:
        if not sys.stderr.isatty():
            while not self._end.wait(_PLAIN_INTERVAL_S):
                typer.echo(f"watchfloor: {self.text()}", err=True)
            return
        with Live(console=Console(stderr=True), refresh_per_second=1 / _REFRESH_S, transient=True) as live:
            while not self._end.wait(_REFRESH_S):
                live.update(Text(self.text(), style="bold"))


def wait_until_seen(writer: CompanyWriter, watch: FeedWatch, timeout_s: float) -> None:
    """Wait until the feed has shown what was planted: when writing ends, the last rows are still being processed."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if all(watch.seen[kind] >= count for kind, count in writer.progress.planted.items()):
            return
        time.sleep(0.05)


def unplanned(planted: Mapping[str, int], seen: Mapping[str, int]) -> Counter[str]:
    """What the feed showed more often than it was planted: finding types, which are in capitals, and our messages.

    >>> unplanned({"WRONG_PERSON": 2}, {"WRONG_PERSON": 3, "TASK_OVERDUE": 1, "stats": 4})
    Counter({'WRONG_PERSON': 1, 'TASK_OVERDUE': 1})
    """
    counted = Counter({kind: number for kind, number in seen.items() if kind.isupper() or kind in _KINDS})
    return counted - Counter(planted)


def summary(writer: CompanyWriter, watch: FeedWatch) -> list[str]:
    """What was planted and what the feed showed of it, a line for each kind, and what else it showed."""
    lines = [
        f"{writer.progress.rows} rows in {writer.progress.transactions} transactions, {watch.messages} messages seen"
    ]
    planted, seen = writer.progress.planted, watch.seen
    lines += [f"{kind:<20} planted {planted[kind]:>5}   seen {seen[kind]:>5}" for kind in _KINDS]
    more = unplanned(planted, seen)
    which = "".join(f", {kind} {number}" for kind, number in sorted(more.items()))
    return [*lines, f"unplanned findings {more.total()}{which}"]
