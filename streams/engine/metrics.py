"""The engine's metrics. What the application counts is in a list of its own, which extends this one."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

_BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class EngineMetrics:
    """Metrics by Prometheus conventions: base units, `_total` for counters, few and bounded labels.

    Args:
        registry: where they are registered; a fresh one per process (and per test).
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.batches = counter("watchfloor_worker_batches_total", "Micro-batches processed.")
        self.batch_size = histogram(
            "watchfloor_worker_batch_records", "Records in a micro-batch.", buckets=_BATCH_SIZES
        )
        self.stage_seconds = histogram(
            "watchfloor_worker_stage_seconds",
            "Time of one round in each stage: `fetch` waits for records that come, `decode` makes entries of them, "
            "`process` scores a micro-batch, `write` waits until the broker has acknowledged what was written.",
            ["stage"],
            buckets=_SECONDS,
        )
        self.repeats = counter("watchfloor_worker_repeats_total", "Records that Connect had sent before, dropped.")
        self.late = counter(
            "watchfloor_worker_late_total",
            "Records processed after a later commit of another table, or after a timer of a later time.",
        )
        self.lag_records = gauge("watchfloor_worker_lag_records", "Source records not yet processed.", ["partition"])
        self.lag_seconds = gauge(
            "watchfloor_worker_lag_seconds",
            "Age of the newest processed record where records wait, or how long the brokers have not answered, beyond "
            "`worker.fetch.broker_silence_s_max`; otherwise 0.",
            ["partition"],
        )
        self.delay_seconds = gauge(
            "watchfloor_worker_delay_seconds",
            "The longest time from a commit in the database to the end of its micro-batch, in the last second.",
            ["partition"],
        )
        self.state_keys = gauge("watchfloor_worker_state_keys", "Keys held in memory.", ["table"])
        self.state_bytes = gauge(
            "watchfloor_worker_state_bytes",
            "About how large those keys and their values are, encoded as in the changelog; in memory they take "
            "some six times that.",
            ["table"],
        )
        self.evicted = counter(
            "watchfloor_worker_evicted_total",
            "Keys removed: `bound`, their group (a tenant) had too many, or `expired`, not used for too long.",
            ["table", "reason"],
        )
        self.changelog_bytes = counter(
            "watchfloor_worker_changelog_bytes_total", "Keys and values written to the changelog."
        )
        self.large_snapshots = counter(
            "watchfloor_worker_large_snapshots_total",
            "Snapshots that did not fit into one RecordBatch and were written in chunks.",
        )
        self.recoveries = counter("watchfloor_worker_recoveries_total", "Partitions taken over.")
        self.recovery_seconds = gauge(
            "watchfloor_worker_recovery_seconds", "Duration of the latest take-over of a partition."
        )
        self.recovery_records = gauge(
            "watchfloor_worker_recovery_records",
            "Records that the take-over under way must read, by offsets; 0 where none is.",
        )
        self.recovery_records_read = gauge("watchfloor_worker_recovery_read_records", "Of those, how many are read.")
        self.standby_lag_records = gauge(
            "watchfloor_worker_standby_lag_records",
            "Changelog records of another worker's partition that the warm copy has not read.",
            ["partition"],
        )
        self.standby_keys = gauge("watchfloor_worker_standby_keys", "Keys held in warm copies.", ["partition"])
        self.standby_used = counter(
            "watchfloor_worker_standby_recoveries_total", "Partitions taken over from a warm copy."
        )
        self.fenced = counter("watchfloor_worker_fenced_total", "Partitions lost to a newer generation.")
        self.partitions = gauge("watchfloor_worker_partitions", "Partitions owned.")
