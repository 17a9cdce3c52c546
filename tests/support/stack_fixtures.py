"""The fixtures of tests that need the whole chain; a `conftest.py` imports them.

The stack is started once a test session and shared, so tests use tenants and ids of their own.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.stack import RunningStack

TWO_DETECTORS = {
    "WATCHFLOOR_WORKER__DETECTORS": '["wrong_person","unauthorized_site"]',
    "WATCHFLOOR_WORKER__REFERENCES__WAIT_MS": "0",
}
"""What tests run with that are not about detection: their rows have few columns, and each message is known."""


@contextmanager
def passable_directory() -> Iterator[Path]:
    """A scratch directory that other users may pass through; removed afterwards.

    Not pytest's: every pytest session of a user closes the common parent again, and started by root
    PostgreSQL runs as another user.
    """
    directory = Path(tempfile.mkdtemp(prefix="watchfloor-test-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The shared stack; `with stack.connection()` or the fixture `connection` write rows."""
    with passable_directory() as root, RunningStack.start(root / "state", env=TWO_DETECTORS) as running:
        yield running


@pytest.fixture
def connection(stack: RunningStack) -> Iterator["psycopg.Connection[Any]"]:
    """A session of the database's owner, each statement its own transaction."""
    with stack.connection() as session:
        yield session


@pytest.fixture
def make_token(stack: RunningStack) -> Callable[..., str]:
    """`make_token(tenant=1, capabilities=("noc:view", "noc:view_all_clients"), user=…, clients=…, sites=…)`."""
    return stack.make_token
