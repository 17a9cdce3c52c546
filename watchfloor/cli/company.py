"""The simulated company at work beside a running stack: its writer, who watches its feed, and the status.

Owns the threads of `watchfloor demo` and what it prints while it runs. Never starts or stops the stack.
"""

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from common.errors import WatchfloorError
from common.settings.auth import AuthSettings
from gateway.access.tokens import Capability, mint_token
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
    """Counts what the feeds of some tenants show, each tenant over a connection of its own."""

    def __init__(self, websocket: str, auth: AuthSettings, tenants: Sequence[int]) -> None:
        """Prepare.

        Args:
            websocket: the gateway's address.
            auth: how to make tokens that it accepts.
            tenants: whose feeds to watch.
        """
        self.messages = 0
        self.seen: Counter[str] = Counter()
        """By finding type, or by message type where it is no anomaly."""
        self.failure: WatchfloorError | FeedError | None = None
        self._connected: set[int] = set()
        self._all_connected = threading.Event()
        self._websocket = websocket
        self._auth = auth
        self._tenants = tenants
        self._thread = threading.Thread(target=self._run, name="feed-watch", daemon=True)
        self._running = threading.Event()
        self._cancel: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Connect and count, in a thread of its own."""
        self._thread.start()

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until every tenant's feed was joined; whether it was in time."""
        return self._all_connected.wait(timeout_s)

    def stop(self) -> None:
        """Disconnect; safe to call twice."""
        if self._thread.is_alive() and self._running.wait(_STOP_TIMEOUT_S):
            self._cancel()
            self._thread.join(_STOP_TIMEOUT_S)

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._watch_all())

    async def _watch_all(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def cancel() -> None:
            # The loop may have ended by itself, after a refusal.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(lambda: task and task.cancel())

        self._cancel = cancel
        self._running.set()
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
                elif isinstance(event, Message) and "prev_seq" in event.body:  # a notice names a seq too
                    self.messages += 1
                    self.seen[str(event.body.get("anomaly_type") or event.type)] += 1


class StatusLine:
    """One line that says how the company does: live on a terminal, every few seconds elsewhere."""

    def __init__(self, writer: CompanyWriter, watch: FeedWatch) -> None:
        self._writer = writer
        self._watch = watch
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def start(self) -> None:
        """Show it from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Show it no more; safe to call twice."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def text(self) -> str:
        """The line."""
        tally, watch = self._writer.tally, self._watch
        seen = sum(min(number, watch.seen[kind]) for kind, number in tally.planted.items())
        more = unplanned(tally.planted, watch.seen).total()
        counts = f"{tally.planted.total()} planted, {seen} of them seen, {more} unplanned"
        hindrance = tally.waiting or self._failure()
        ending = f" · {hindrance}" if hindrance else ""
        return f"{tally.rows} rows written · {counts} · {watch.messages} messages{ending}"

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
    """Wait until the feed has shown what was planted: the last rows are still on their way when writing ends."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if all(watch.seen[kind] >= count for kind, count in writer.tally.planted.items()):
            return
        time.sleep(0.05)


def unplanned(planted: Mapping[str, int], seen: Mapping[str, int]) -> Counter[str]:
    """What the feed showed more often than it was planted, by kind: finding types, which are in capitals, and ours.

    >>> unplanned({"WRONG_PERSON": 2}, {"WRONG_PERSON": 3, "TASK_OVERDUE": 1, "stats": 4})
    Counter({'WRONG_PERSON': 1, 'TASK_OVERDUE': 1})
    """
    counted = Counter({kind: number for kind, number in seen.items() if kind.isupper() or kind in _KINDS})
    return counted - Counter(planted)


def summary(writer: CompanyWriter, watch: FeedWatch) -> list[str]:
    """What was planted and what the feed showed of it, a line a kind, and what it showed besides."""
    lines = [f"{writer.tally.rows} rows in {writer.tally.transactions} transactions, {watch.messages} messages seen"]
    planted, seen = writer.tally.planted, watch.seen
    lines += [f"{kind:<20} planted {planted[kind]:>5}   seen {seen[kind]:>5}" for kind in _KINDS]
    more = unplanned(planted, seen)
    which = "".join(f", {kind} {number}" for kind, number in sorted(more.items()))
    return [*lines, f"unplanned findings {more.total()}{which}"]
