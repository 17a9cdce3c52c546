"""The worker process: starts the application, serves its metrics, and stops it in order.

Owns the signals, the event loop, the logs and the exit. The topology is in `streams.app`.
"""

import asyncio
import logging
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvloop
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry, disable_created_metrics

from common.errors import WatchfloorError
from common.kafka import feed_epoch, unreachable
from common.logs import configure_logs
from common.settings.load import Settings
from contracts.topics import TopicNames
from streams.gc_tuning import calm_garbage_collector
from streams.metrics import WorkerMetrics
from streams.probes import Probes
from streams.topics import ensure_topics
from streams.wiring import make_detector_runner

if TYPE_CHECKING:  # importing this imports Faust, which must not happen before the loop policy is set
    from streams.engine.loop.engine import Engine

log = structlog.get_logger(__name__)

_LOOP_PROBE_S = 1.0


def run_worker(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT.

    Raises:
        WatchfloorError: a detector or policy of the settings does not exist, Kafka cannot be reached, the metrics
            port is taken, or the engine failed.
    """
    make_detector_runner(settings.worker)  # so that a wrong setting is reported before a missing server
    configure_logs(settings.log.level, process="worker")
    for noisy in ("faust", "mode", "aiokafka", "asyncio", "streams.engine.kafka.transport"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    ensure_topics(settings.kafka)
    epoch = feed_epoch(settings.kafka, TopicNames(settings.kafka.topic_prefix).anomalies)
    # Faust uses the loop policy of the time of its import, so uvloop comes first.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    with tempfile.TemporaryDirectory(prefix="watchfloor-faust-") as scratch:
        asyncio.run(_serve(settings, epoch, settings.worker.data_dir or Path(scratch)))


async def _serve(settings: Settings, epoch: str, data_dir: Path) -> None:
    from streams.app import build

    calm_garbage_collector()
    disable_created_metrics()  # type: ignore[no-untyped-call]
    metrics = WorkerMetrics(CollectorRegistry())
    app, engine = build(settings, metrics, epoch, data_dir, time.time)
    probes = Probes(settings.worker.metrics.host, settings.worker.metrics.port, metrics.registry, lambda: engine.ready)
    probes.start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    try:
        await app.start()
        await app.add_runtime_dependency(engine)
        log.info("worker started", epoch=epoch)
        await _watch(stop, engine, metrics)
    except KafkaConnectionError as error:
        raise unreachable(settings.kafka) from error  # the broker became unreachable while the worker was starting
    finally:
        if engine.started:
            await engine.stop()  # before its agent stops, because the current round still has to be processed
        await app.stop()
        probes.stop()
    if isinstance(engine.failure, WatchfloorError):
        raise engine.failure
    if engine.failure is not None:
        raise WatchfloorError(
            f"the worker stopped ({type(engine.failure).__name__}: {engine.failure})",
            "read the log, then start it again; it continues where it stopped",
        )
    log.info("worker stopped")


async def _watch(stop: asyncio.Event, engine: "Engine", metrics: WorkerMetrics) -> None:
    """Return when asked to stop or when the engine has failed; until then measure the delay of the event loop."""
    while not stop.is_set() and engine.failure is None:
        started_s = time.monotonic()
        try:
            await asyncio.wait_for(stop.wait(), _LOOP_PROBE_S)
        except TimeoutError:
            metrics.loop_delay_seconds.set(max(0.0, time.monotonic() - started_s - _LOOP_PROBE_S))
        metrics.ready.set(engine.ready)
        engine.update_gauges()
