"""The worker's parts put together from the settings, without Faust and without a connection.

The live worker (`streams.app`) and a replay of its log build the same from here; what differs between them is
given by the caller.
"""

import time
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry

from common.errors import SettingsError
from common.settings.load import Settings
from common.settings.worker import WorkerSettings
from contracts.envelope import ChangeDecoder
from contracts.feed import Fence, encode_record
from contracts.topics import CAPTURED_TABLES, TopicNames
from detectors.policy import PolicyError
from detectors.registry import DETECTORS, named
from streams.detection.detector_runner import DetectorRunner
from streams.detection.reference_wait import ReferenceWait
from streams.engine.loop.loop import EngineSpec
from streams.engine.model import EngineTopics, OutputRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.feed.breaker import DeadLetterBreaker
from streams.feed.writer import FeedWriter
from streams.handlers.scored_row import BatchProcessor
from streams.intake.cdc_rows import CdcRowReader
from streams.metrics import WorkerMetrics
from streams.rate_limit.limiter import Limiter
from streams.state.tables import TenantTables, table_specs


def engine_topics(settings: Settings) -> EngineTopics:
    """The topics that the engine reads and writes."""
    names = TopicNames(settings.kafka.topic_prefix)
    sources = tuple(names.captured(table) for table in CAPTURED_TABLES)
    return EngineTopics(sources, names.anomalies, (names.processed, names.dead_letters), names.journal, names.state)


def make_engine_spec(settings: Settings, metrics: WorkerMetrics, epoch: str) -> EngineSpec:
    """What the engine needs to know of the application: topics, tables and codecs.

    Args:
        settings: of this process.
        metrics: where it counts.
        epoch: identity of the feed's log, see `common.kafka.feed_epoch`.
    """
    return EngineSpec(
        topics=engine_topics(settings),
        tables=table_specs(settings.worker),
        decode=CdcRowReader(
            ChangeDecoder({name: mapping.columns for name, mapping in settings.source.tables.items()}),
            CAPTURED_TABLES,
            future_ms_max=settings.worker.intake.future_timestamp_ms_max,
            metrics=metrics,
        ).entry,
        identity=lambda entry: str(entry.change.row.id),
        make_fence=lambda generation: OutputRecord(None, encode_record(Fence(generation=generation, epoch=epoch)), ()),
    )


def make_processor(
    settings: Settings, metrics: WorkerMetrics, epoch: str, clock: Callable[[], float], breaker: DeadLetterBreaker
) -> BatchProcessor:
    """The fold over micro-batches.

    Args:
        settings: of this process.
        metrics: where it counts.
        epoch: identity of the feed's log; part of every feed record.
        clock: Unix seconds, for the latencies of clean events.
        breaker: what to do about too many dead letters.
    """
    worker = settings.worker
    names, sources = TopicNames(settings.kafka.topic_prefix), engine_topics(settings).sources
    feed = FeedWriter(names, sources, epoch, clock, metrics, worker.feed)
    return BatchProcessor(
        CAPTURED_TABLES,
        make_detector_runner(worker),
        limiter=Limiter(
            events_per_second_max=worker.rate_limit.max_events_per_second,
            window_ms=worker.rate_limit.window_ms,
            report_interval_ms=worker.rate_limit.burst_report_interval_s * 1000,
            feed=feed,
            metrics=metrics,
        ),
        waiting=ReferenceWait(
            worker.references.wait_ms,
            worker.references.waiting_events_per_tenant_max,
            worker.references.report_interval_s * 1000,
        ),
        shifts_per_person_max=worker.state.shifts_per_person_max,
        timers_per_tick_max=worker.timers.per_tick_max,
        breaker=breaker,
        feed=feed,
        metrics=metrics,
    )


def make_detector_runner(worker: WorkerSettings) -> DetectorRunner:
    """The detectors that the settings name, with their policies.

    Raises:
        SettingsError: a detector or a policy that does not exist, or does not fit.
    """
    try:
        detectors = named(worker.detectors)
        return DetectorRunner(
            detectors,
            worker.policies,
            snapshot_settle_ms=worker.timers.snapshot_settle_ms,
            absence_age_ms_max=worker.timers.deadline_age_s_max * 1000,
        )
    except KeyError as error:
        raise SettingsError(
            f"worker.detectors: there is no detector {error}",
            f"choose from {', '.join(each.name for each in DETECTORS)}",
        ) from None
    except PolicyError as error:
        raise SettingsError(f"worker.policies: {error}", "docs/detectors lists every policy with its fields") from None


def make_breaker(worker: WorkerSettings) -> DeadLetterBreaker:
    """The live worker's fuse. A replay takes `DeadLetterBreaker.never`: what the live run bore is not to stop it."""
    return DeadLetterBreaker(
        run_max=worker.breaker.consecutive_max,
        share_max=worker.breaker.share_max,
        window_records=worker.breaker.window_records,
        tenants_min=worker.breaker.tenants_min,
    )


def make_replay(
    settings: Settings, epoch: str, clock: Callable[[], float] = time.time
) -> tuple[EngineSpec, Callable[[MicroBatch], Awaitable[None]]]:
    """What `streams.replay.by_journal` and `streams.replay.by_log` need: the application, and its processing.

    Args:
        settings: those of the live run; with others the replay says what would have been.
        epoch: of the live feed; part of every feed record.
        clock: Unix seconds, for the latencies of clean events.
    """
    metrics = WorkerMetrics(CollectorRegistry())
    scorer = make_processor(settings, metrics, epoch, clock, DeadLetterBreaker.never())

    async def process(batch: MicroBatch) -> None:
        scorer.process(batch, batch.state.derived(TenantTables))

    return make_engine_spec(settings, metrics, epoch), process
