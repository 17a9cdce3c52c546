"""The Faust transport of the micro-batch engine, chosen by a broker URL of scheme `watchfloor://`.

Faust keeps group membership, agents and the application's life cycle; it never fetches. Its consumer joins the group for
one topic only. The partitions of that topic stand for the partitions of all topics, so whatever the assignor, one worker
owns a partition number in every topic.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from faust.transport.drivers import aiokafka as driver


class Consumer(driver.Consumer):
    """A member of the consumer group; the engine does the reading."""

    async def _drain_messages(self, fetcher: Any) -> None:
        await fetcher.wait(asyncio.Event().wait())  # until the fetcher is stopped

    def resume_partitions(self, tps: Iterable[Any]) -> None:  # noqa: ARG002 - Faust's signature
        """Keep every partition paused: aiokafka would prefetch otherwise."""
        self._active_partitions = None

    async def verify_all_partitions_active(self) -> None:
        """Look for nothing: Faust would report an error for each partition from which its own fetcher does not read.

        Whether the engine's reader gets answers is said by `SourceReader.silence_s`.
        """


class Transport(driver.Transport):
    """Faust's aiokafka transport, with a consumer that only holds partitions."""

    Consumer = Consumer
