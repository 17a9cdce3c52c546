"""Warm copies of partitions that other workers own, so that taking one over reads only the end of its changelog.

Reads: the changelog partitions of others, with a fetcher of its own, a little at a time. Writes nothing. Key: the
partition.
Guarantee: a copy is what a recovery would have read so far: in log order, from the beginning, without a gap.
On failure: a copy that can no longer guarantee this begins anew: after the broker has lost a part of the log, and after
a pause in which compaction may have removed a tombstone that the copy has not read. So does the copy of a partition that
this worker loses: what it held was its own state, not what the changelog says.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from common.settings.engine import StandbySettings
from streams.engine.kafka.fetcher import Fetcher
from streams.engine.log.changelog import Changelog
from streams.engine.metrics import EngineMetrics
from streams.engine.model import Fetched

log = structlog.get_logger(__name__)

CATCH_UP_PAUSE_S = 0.01
"""Between two fetches of a copy that lags: the owned partitions get their turn."""


class _WarmCopy:
    """One partition's copy and how current it is."""

    def __init__(self, now_s: float) -> None:
        self.changelog = Changelog()
        self.complete_s = now_s
        """When it last held everything that the changelog had; at first, when its reading began."""
        self.lag_records = -1
        """-1: not known yet."""


class Standby:
    """The copies.

    Args:
        fetcher: used for nothing else; started by the caller. Its fetches are small: each is decoded in one go.
        clock: Unix seconds.
    """

    def __init__(
        self,
        topic: str,
        fetcher: Fetcher,
        settings: StandbySettings,
        metrics: EngineMetrics,
        clock: Callable[[], float],
    ) -> None:
        self.fetcher = fetcher
        self._topic = topic
        self._interval_s = settings.interval_ms / 1e3
        self._pause_s_max = settings.pause_s_max
        self._metrics = metrics
        self._clock = clock
        self._copies: dict[int, _WarmCopy] = {}

    def take(self, number: int) -> Changelog | None:
        """Give a copy away to the recovery of its partition; None where there is none to rely on."""
        copy = self._drop(number)
        if copy is None or copy.lag_records < 0 or self._clock() - copy.complete_s > self._pause_s_max:
            return None
        self._metrics.standby_used.inc()
        log.info("recovering from a warm copy", partition=number, keys=len(copy.changelog), lag=copy.lag_records)
        return copy.changelog

    async def follow(self, owned: Collection[int]) -> float:
        """Read on a little, in every partition that is not ours.

        Returns:
            Seconds to wait before the next call.
        """
        began_s = self._clock()
        asked = self._choose(owned, began_s)
        if not asked:
            return self._interval_s
        try:
            fetched = await self.fetcher.fetch({each: copy.changelog.read_to for each, copy in asked.items()}, 0)
        except KafkaError as error:
            log.warning("the standby cannot read", error=type(error).__name__)
            return self._interval_s
        lags = False
        for topic_partition, answer in fetched.items():
            copy = asked.get(topic_partition)
            if copy is None or self._copies.get(topic_partition.partition) is not copy:
                continue  # given away meanwhile
            lags = self._take_in(topic_partition.partition, copy, answer, began_s) or lags
        return CATCH_UP_PAUSE_S if lags else self._interval_s

    def forget(self) -> None:
        """Drop every copy."""
        for number in list(self._copies):
            self._drop(number)

    def _choose(self, owned: Collection[int], now_s: float) -> dict[TopicPartition, _WarmCopy]:
        """The copies to read on; those that are not wanted or not current enough are dropped, missing ones begun."""
        followed = self.fetcher.partitions(self._topic) - set(owned)
        for number, copy in list(self._copies.items()):
            if number not in followed or now_s - copy.complete_s > self._pause_s_max:
                self._drop(number)
        for number in followed - self._copies.keys():
            self._copies[number] = _WarmCopy(now_s)
        return {TopicPartition(self._topic, number): copy for number, copy in self._copies.items()}

    def _take_in(self, number: int, copy: _WarmCopy, answer: Fetched, asked_s: float) -> bool:
        """Add what a fetch returned; returns whether the copy lags."""
        if answer.next_offset < copy.changelog.read_to:
            log.warning("the changelog is shorter than it was; its copy begins anew", partition=number)
            self._drop(number)
            return False
        copy.changelog.take_in(answer.records)
        copy.changelog.read_to = answer.next_offset
        copy.lag_records = max(0, answer.end - answer.next_offset)
        if not copy.lag_records:
            copy.complete_s = asked_s
        self._metrics.standby_lag_records.labels(number).set(copy.lag_records)
        self._metrics.standby_keys.labels(number).set(len(copy.changelog))
        return copy.lag_records > 0

    def _drop(self, number: int) -> _WarmCopy | None:
        copy = self._copies.pop(number, None)
        for gauge in (self._metrics.standby_lag_records, self._metrics.standby_keys):
            if copy is not None and copy.lag_records >= 0:
                gauge.remove(number)
        return copy


def make_standby(
    topic: str,
    client_config: Mapping[str, Any],
    settings: StandbySettings,
    metrics: EngineMetrics,
    clock: Callable[[], float],
) -> Standby | None:
    """The standby that the settings ask for, not started; None where they ask for none."""
    if settings.mode == "off":
        return None
    bytes_max = settings.fetch_bytes_max
    fetcher = Fetcher(client_config, fetch_bytes_max=bytes_max, partition_bytes_max=bytes_max)
    return Standby(topic, fetcher, settings, metrics, clock)
