"""The worker's metrics: those of the engine and those of the application."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from streams.engine.metrics import EngineMetrics

TENANTS_MAX = 50
"""The number of tenants that get their own time series; without a limit the label would be a leak."""


class WorkerMetrics(EngineMetrics):
    """The application's metrics beside the engine's; conventions as there."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.events = counter("watchfloor_worker_events_total", "Source records processed.", ["table"])
        self.findings = counter("watchfloor_worker_findings_total", "Findings written to the feed.", ["finding_type"])
        self.messages = counter("watchfloor_worker_messages_total", "Feed records written.", ["type"])
        self.detection_seconds = histogram(
            "watchfloor_worker_detection_seconds",
            "From the commit in PostgreSQL to the end of scoring, of the oldest event of each micro-batch.",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60, 600),
        )
        self.rate_limited = counter(
            "watchfloor_worker_rate_limited_total",
            "Events over their tenant's limit, not scored; the first tenants by name, all others as `other`.",
            ["tenant"],
        )
        self._limited_tenants: set[int] = set()
        self.dead_letters = counter(
            "watchfloor_worker_dead_letters_total", "Records sent to the dead-letter topic.", ["table"]
        )
        self.references_missed = counter(
            "watchfloor_worker_references_missed_total",
            "Sites, persons and shifts that were waited for and did not arrive.",
            ["reference"],
        )
        self.clamped = counter("watchfloor_worker_clamped_timestamps_total", "Commit times in the future, clamped.")
        self.ready = gauge("watchfloor_worker_ready", "1 while all assigned partitions are processed.")
        self.timers_failed = counter(
            "watchfloor_worker_timers_failed", "Timers whose detector raised; each is dropped."
        )
        self.tick_delay_seconds = gauge(
            "watchfloor_worker_tick_delay_seconds", "How long after its time and the grace the latest timer fired."
        )
        self.loop_delay_seconds = gauge(
            "watchfloor_worker_event_loop_delay_seconds", "Latest lateness of a sleeping task."
        )

        ProcessCollector(registry=registry)  # memory, CPU and file descriptors, under their usual names

    def count_rate_limited(self, tenant_id: int) -> None:
        """Count a dropped event of a tenant; at most `TENANTS_MAX` tenants get their own series."""
        if tenant_id not in self._limited_tenants:
            if len(self._limited_tenants) >= TENANTS_MAX:
                self.rate_limited.labels("other").inc()
                return
            self._limited_tenants.add(tenant_id)
        self.rate_limited.labels(tenant_id).inc()
