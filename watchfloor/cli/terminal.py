"""Prints a feed until the user ends it.

Owns standard output while it runs. Ctrl-C, SIGTERM and a closed output pipe end it without an error.
"""

import asyncio
import os
import select
import signal
import stat
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import msgspec
import typer

from watchfloor.cli.feed_lines import message_line, notice_line
from watchfloor_client import Feed, Message

_PIPE_POLL_S = 0.25


async def show(feed: Feed, *, as_json: bool, count: int | None) -> None:
    """Print messages to standard output and notices to standard error, until `count` messages were shown."""
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    async with aclosing(feed.events()) as events:
        async for event in events:
            if not isinstance(event, Message):
                typer.echo(f"watchfloor: {notice_line(event)}", err=True)
                continue
            line = msgspec.json.encode(event.body).decode() if as_json else message_line(event, colour=colour)
            typer.echo(line)
            count = None if count is None else count - 1
            if count == 0:
                return


def run_until_stopped(work: Callable[[], Awaitable[None]]) -> None:
    """Run until the end, Ctrl-C, SIGTERM or a closed output pipe; none of these is an error."""
    try:
        asyncio.run(_stoppable(work))
    except BrokenPipeError:
        # The interpreter flushes standard output once more when it exits, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _stoppable(work: Callable[[], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    main = asyncio.ensure_future(work())
    others = [asyncio.create_task(stop.wait()), asyncio.create_task(_reader_gone())]
    try:
        await asyncio.wait([main, *others], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (main, *others):
            if not task.done():
                task.cancel()
        await asyncio.wait([main, *others])
    with suppress(asyncio.CancelledError):
        main.result()


async def _reader_gone() -> None:
    """Return when the reader of the output pipe has closed it; without a pipe, never return."""
    if not stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
        await asyncio.Event().wait()
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # POLLERR is always reported
    while not poll.poll(0):  # noqa: ASYNC110 - the event loop cannot wait until the reader closes a pipe
        await asyncio.sleep(_PIPE_POLL_S)
