"""Builds the parts of the worker from the settings, without Faust and without a connection.

The live worker (`streams.app`) and replays of its log use the same parts; the caller provides what differs.
"""

import time
from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import CollectorRegistry

from common.errors import SettingsError
from common.settings.load import Settings
from common.settings.worker import WorkerSettings
from common.version import __version__
from contracts.envelope import ChangeDecoder
from contracts.feed import Fence, encode_record
from contracts.topics import CAPTURED_TABLES, TopicNames
from detectors.interface import Detector
from detectors.policy import PolicyError
from detectors.registry import DETECTORS, named
from streams.detection.detector_runner import DetectorRunner
from streams.detection.reference_wait import ReferenceWait
from streams.digest import output_digest
from streams.engine.model import OutputRecord
from streams.engine.partition.micro_batch import MicroBatch
from streams.engine.spec import EngineSpec, EngineTopics, SourceTopic
from streams.feed.breaker import DeadLetterBreaker
from streams.feed.writer import FeedWriter, OutputTopics
from streams.handlers.reference_row import ReferenceRowHandler
from streams.handlers.scored_row import SCORED_TABLES, ScoredRowHandler
from streams.handlers.timer import TimerHandler
from streams.intake.cdc_rows import CdcRowReader
from streams.metrics import WorkerMetrics
from streams.processor import BatchProcessor, Handler
from streams.rate_limit.dead_letter_limit import DeadLetterLimit
from streams.rate_limit.limiter import Limiter
from streams.rate_limit.reference_limit import ReferenceLimit
from streams.state.tables import TenantTables, table_specs


def engine_topics(settings: Settings) -> EngineTopics:
    """The topics that the engine reads and writes."""
    names = TopicNames(settings.kafka.topic_prefix)
    return EngineTopics(
        sources=tuple(SourceTopic(table, names.captured(table)) for table in CAPTURED_TABLES),
        outputs={"feed": names.anomalies, "clean_events": names.processed, "dead_letters": names.dead_letters},
        fenced_output="feed",
        journal=names.journal,
        state=names.state,
    )


def make_engine_spec(settings: Settings, metrics: WorkerMetrics, epoch: str) -> EngineSpec:
    """What the engine needs to know about the application: topics, tables, codecs, and the digest of code and settings.

    `epoch` is the identity of the feed's log, see `common.kafka.feed_epoch`.
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
        digest=output_digest(
            __version__,
            [each for each in DETECTORS if settings.worker.detectors is None or each.name in settings.worker.detectors],
            settings.worker,
            settings.source,
        ),
    )


def make_processor(
    settings: Settings,
    metrics: WorkerMetrics,
    epoch: str,
    clock: Callable[[], float],
    breaker: DeadLetterBreaker,
    detectors: Sequence[Detector] | None = None,
) -> BatchProcessor:
    """The processor of micro-batches, with these detectors or those that the settings name.

    `epoch` is part of every feed record; `clock`, in seconds since 1970, is for the latencies of clean events.

    Raises:
        SettingsError: the settings name a detector or a policy that does not exist, or does not fit.
    """
    worker = settings.worker
    runner = make_detector_runner(worker, detectors)
    limiter = Limiter(
        events_per_second_max=worker.rate_limit.max_events_per_second,
        window_ms=worker.rate_limit.window_ms,
        report_interval_ms=worker.rate_limit.burst_report_interval_s * 1000,
        metrics=metrics,
    )
    wait = ReferenceWait(
        worker.references.wait_ms,
        worker.references.waiting_events_per_tenant_max,
        worker.references.report_interval_s * 1000,
    )
    scored_rows = ScoredRowHandler(runner, limiter, wait, metrics)
    reference_rows = ReferenceRowHandler(
        runner,
        wait,
        scored_rows,
        limit=ReferenceLimit(
            worker.rate_limit.reference_rows_per_second_max, worker.state.geofence_characters_per_tenant_max
        ),
        shifts_per_person_max=worker.state.shifts_per_person_max,
        policies_per_tenant_max=worker.state.policies_per_tenant_max,
    )
    dead_letters = DeadLetterLimit(worker.feed.dead_letters_per_tenant_max, worker.feed.dead_letters_interval_s * 1000)
    timers = TimerHandler(
        limiter,
        runner.timers,
        wait,
        scored_rows,
        dead_letter_limit=dead_letters,
        timers_per_tick_max=worker.timers.per_tick_max,
        metrics=metrics,
    )
    handlers: dict[str, Handler] = {
        **dict.fromkeys(SCORED_TABLES, scored_rows),
        **dict.fromkeys(reference_rows.tables, reference_rows),
    }
    topics = OutputTopics(
        TopicNames(settings.kafka.topic_prefix), engine_topics(settings).source_topics, CAPTURED_TABLES
    )
    feed = FeedWriter(topics, epoch, clock, metrics, worker.feed, dead_letters)
    return BatchProcessor(CAPTURED_TABLES, handlers, timers, feed, breaker, metrics)


def make_detector_runner(worker: WorkerSettings, detectors: Sequence[Detector] | None = None) -> DetectorRunner:
    """The runner of these detectors, or of those that the settings name, with their policies.

    Raises:
        SettingsError: the settings name a detector or a policy that does not exist, or does not fit.
    """
    try:
        return DetectorRunner(
            named(worker.detectors) if detectors is None else detectors,
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
    """The live worker's breaker. A replay uses `DeadLetterBreaker.never`: what the live run tolerated must not stop it."""
    return DeadLetterBreaker(
        share_max=worker.breaker.share_max,
        tenant_failures_min=worker.breaker.tenant_failures_min,
        window_records=worker.breaker.window_records,
        tenants_min=worker.breaker.tenants_min,
    )


def make_replay(
    settings: Settings, epoch: str, clock: Callable[[], float] = time.time
) -> tuple[EngineSpec, Callable[[MicroBatch], Awaitable[None]]]:
    """What `streams.replay.by_journal` and `streams.replay.by_log` need: the application and its processing function.

    Args:
        settings: the settings of the live run; with others the replay shows what would have happened.
        epoch: the epoch of the live feed, which is part of every feed record.
        clock: returns seconds since 1970, for the latencies of clean events.
    """
    metrics = WorkerMetrics(CollectorRegistry())
    processor = make_processor(settings, metrics, epoch, clock, DeadLetterBreaker.never())

    async def process(batch: MicroBatch) -> None:
        processor.process(batch, batch.state.derived(TenantTables))

    return make_engine_spec(settings, metrics, epoch), process
