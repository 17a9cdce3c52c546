"""A stack of these tests' own: they flood it, stop its broker, and shorten what takes minutes."""

from collections.abc import Iterator

import pytest
from hostile.fairness.neighbours import SILENCE_S_MAX
from support.stack import RunningStack
from support.stack_fixtures import passable_directory

ENVIRONMENT = {
    "WATCHFLOOR_WORKER__FETCH__BROKER_SILENCE_S_MAX": str(SILENCE_S_MAX),
    # Faust's own checks, which take minutes by default, within a second.
    "STREAM_PROCESSING_TIMEOUT": "1",
    "BROKER_COMMIT_LIVELOCK_SOFT_TIMEOUT": "1",
    "BROKER_COMMIT_INTERVAL": "0.4",
}


@pytest.fixture(scope="session")
def flooded() -> Iterator[RunningStack]:
    """The chain with every detector."""
    with passable_directory() as root, RunningStack.start(root / "state", env=ENVIRONMENT) as running:
        yield running
