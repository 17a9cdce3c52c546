"""The engine on its in-memory log never waits: time that a worker without work lets pass is skipped."""

import asyncio
from collections.abc import Iterator

import pytest
from support.virtual_time import VirtualTimePolicy


@pytest.fixture(autouse=True, scope="module")
def virtual_time() -> Iterator[None]:
    asyncio.set_event_loop_policy(VirtualTimePolicy())
    yield
    asyncio.set_event_loop_policy(None)
