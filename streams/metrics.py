"""Every metric of the worker, in one typed list."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

TENANTS_MAX = 50
"""Tenants with a time series of their own; a label without a bound would be a leak."""

_BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class WorkerMetrics:
    """Metrics by Prometheus conventions: base units, `_total` for counters, few and bounded labels.

    Args:
        registry: where they are registered; a fresh one a process (and a test).
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.events = Counter(
            "watchfloor_worker_events_total", "Source records processed.", ["table"], registry=registry
        )
        self.findings = Counter(
            "watchfloor_worker_findings_total", "Findings written to the feed.", ["finding_type"], registry=registry
        )
        self.messages = Counter(
            "watchfloor_worker_messages_total", "Feed records written.", ["type"], registry=registry
        )
        self.batches = Counter("watchfloor_worker_batches_total", "Micro-batches processed.", registry=registry)
        self.batch_size = Histogram(
            "watchfloor_worker_batch_records", "Records in a micro-batch.", buckets=_BATCH_SIZES, registry=registry
        )
        self.stage_seconds = Histogram(
            "watchfloor_worker_stage_seconds",
            "Time of one round in each stage: `fetch` waits for records that come, `decode` makes entries of them, "
            "`process` scores a micro-batch, `write` waits until the broker has acknowledged what was written.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.detection_seconds = Histogram(
            "watchfloor_worker_detection_seconds",
            "From the commit in PostgreSQL to the end of scoring, of the oldest event of each micro-batch.",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60, 600),
            registry=registry,
        )
        self.rate_limited = Counter(
            "watchfloor_worker_rate_limited_total",
            "Events over their tenant's limit, not scored; the first tenants by name, all others as `other`.",
            ["tenant"],
            registry=registry,
        )
        self._limited_tenants: set[int] = set()
        self.dead_letters = Counter(
            "watchfloor_worker_dead_letters_total",
            "Records sent to the dead-letter topic.",
            ["table"],
            registry=registry,
        )
        self.references_missed = Counter(
            "watchfloor_worker_references_missed_total",
            "Sites, persons and shifts that were waited for and did not come.",
            ["reference"],
            registry=registry,
        )
        self.repeats = Counter(
            "watchfloor_worker_repeats_total", "Records that Connect had sent before, dropped.", registry=registry
        )
        self.late = Counter(
            "watchfloor_worker_late_total",
            "Records processed after a later commit of another table, or after a timer of a later time.",
            registry=registry,
        )
        self.clamped = Counter(
            "watchfloor_worker_clamped_timestamps_total", "Commit times in the future, clamped.", registry=registry
        )
        self.lag_records = Gauge(
            "watchfloor_worker_lag_records", "Source records not yet processed.", ["partition"], registry=registry
        )
        self.lag_seconds = Gauge(
            "watchfloor_worker_lag_seconds",
            "Age of the newest processed record where records wait; 0 where none do.",
            ["partition"],
            registry=registry,
        )
        self.state_keys = Gauge("watchfloor_worker_state_keys", "Keys held in memory.", ["table"], registry=registry)
        self.state_bytes = Gauge(
            "watchfloor_worker_state_bytes",
            "About how large those keys and their values are, encoded as in the changelog; in memory they take "
            "some six times that.",
            ["table"],
            registry=registry,
        )
        self.evicted = Counter(
            "watchfloor_worker_evicted_total",
            "Keys forgotten: `bound`, the tenant has too many, or `expired`, not used for too long.",
            ["table", "reason"],
            registry=registry,
        )
        self.changelog_bytes = Counter(
            "watchfloor_worker_changelog_bytes_total", "Keys and values written to the changelog.", registry=registry
        )
        self.large_snapshots = Counter(
            "watchfloor_worker_large_snapshots_total",
            "Snapshots that did not fit into one RecordBatch and were written in parts.",
            registry=registry,
        )
        self.recoveries = Counter("watchfloor_worker_recoveries_total", "Partitions taken over.", registry=registry)
        self.recovery_seconds = Gauge(
            "watchfloor_worker_recovery_seconds", "Duration of the latest take-over of a partition.", registry=registry
        )
        self.recovery_records = Gauge(
            "watchfloor_worker_recovery_records",
            "Records that the take-over under way must read, by offsets; 0 where none is.",
            registry=registry,
        )
        self.recovery_records_read = Gauge(
            "watchfloor_worker_recovery_read_records", "Of those, how many are read.", registry=registry
        )
        self.standby_lag_records = Gauge(
            "watchfloor_worker_standby_lag_records",
            "Changelog records of another worker's partition that the warm copy has not read.",
            ["partition"],
            registry=registry,
        )
        self.standby_keys = Gauge(
            "watchfloor_worker_standby_keys", "Keys held in warm copies.", ["partition"], registry=registry
        )
        self.standby_used = Counter(
            "watchfloor_worker_standby_recoveries_total",
            "Partitions taken over from a warm copy.",
            registry=registry,
        )
        self.fenced = Counter(
            "watchfloor_worker_fenced_total", "Partitions lost to a newer generation.", registry=registry
        )
        self.ready = Gauge(
            "watchfloor_worker_ready", "1 while all assigned partitions are processed.", registry=registry
        )
        self.partitions = Gauge("watchfloor_worker_partitions", "Partitions owned.", registry=registry)
        self.timers_failed = Counter(
            "watchfloor_worker_timers_failed", "Timers whose detector raised; each is dropped.", registry=registry
        )
        self.tick_delay_seconds = Gauge(
            "watchfloor_worker_tick_delay_seconds",
            "How long after its time and the grace the latest timer fired.",
            registry=registry,
        )
        self.loop_delay_seconds = Gauge(
            "watchfloor_worker_event_loop_delay_seconds", "Latest lateness of a sleeping task.", registry=registry
        )

        ProcessCollector(registry=registry)  # memory, CPU and file descriptors, by their usual names

    def count_rate_limited(self, tenant_id: int) -> None:
        """Count a dropped event of a tenant; no more than `TENANTS_MAX` tenants get a series of their own."""
        if tenant_id not in self._limited_tenants:
            if len(self._limited_tenants) >= TENANTS_MAX:
                self.rate_limited.labels("other").inc()
                return
            self._limited_tenants.add(tenant_id)
        self.rate_limited.labels(tenant_id).inc()
