"""The engine's two connections to Kafka, which most of its parts need together."""

from typing import NamedTuple

from streams.engine.kafka.appender import Appender
from streams.engine.kafka.fetcher import Fetcher


class EngineClients(NamedTuple):
    """What reads and what writes; both are started and stopped by the engine."""

    fetcher: Fetcher
    appender: Appender
