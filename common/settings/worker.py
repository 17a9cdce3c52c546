"""The settings of the worker: its own, beside those of the engine that it runs."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from common.settings.engine import EngineSettings
from common.settings.model import NotNegative, Port, Positive, Section


class RateLimitSettings(Section):
    """How many events of a tenant are scored."""

    max_events_per_second: Positive = 100
    """Default limit per tenant; `tenant.max_events_per_second` overrides it."""
    reference_rows_per_second_max: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """Reference rows of a tenant (sites, persons, shifts, policies) in a second of log time that get all their work; of
    further ones the state is stored, but wrong values are not reported."""
    window_ms: Positive = 1_000
    burst_report_interval_s: Positive = 60
    """A burst that does not end is reported this often."""


class IntakeSettings(Section):
    """Reading captured rows."""

    future_timestamp_ms_max: Positive = 5_000
    """A commit time further than this ahead of the time at which the record was appended to its topic is not believed:
    the append time counts instead, and the feed says so."""


class ReferenceSettings(Section):
    """Waiting for the rows that an event names: its site, its person and the person's shifts."""

    wait_ms: NotNegative = 2_000
    """An attendance or a location that comes before the row of its site or person, or before any shift of the person,
    waits for it this long by the log's clock; then it is scored without it, and the findings say so. 0: nothing
    waits."""
    waiting_events_per_tenant_max: Positive = 1_000
    """Further events of a tenant do not wait."""
    report_interval_s: Positive = 3_600
    """A reference that did not come is neither waited for nor reported again for this long."""


class TimerSettings(Section):
    """What is due at a time, without a row."""

    per_tick_max: Positive = 2_000
    """Timers that fire in one micro-batch; after a long silence the rest follows in the next ones."""
    snapshot_settle_ms: NotNegative = 2_000
    """A deadline that had passed when a snapshot brought its row fires this long after the row was read: a later row
    of the snapshot may say that all is well."""
    deadline_age_s_max: NotNegative = 86_400
    """A deadline that had passed longer than this when its row was first read is not reported."""


class StateSettings(Section):
    """How much reference data a worker keeps."""

    shifts_per_person_max: Annotated[int, Field(ge=1, le=10_000)] = 200
    policies_per_tenant_max: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """Rows of the table `policy` of one tenant; further ones become dead letters."""
    geofence_characters_per_tenant_max: Annotated[int, Field(ge=0, le=1_000_000_000)] = 20_000_000
    """Length of the geofences of all sites of a tenant, and of those in its rows of a minute; a site beyond it has no
    area, and a finding says so."""
    entities_per_tenant_max: Positive = 100_000
    """Sites of one tenant that the worker keeps; the same number of persons, and of persons' shifts. Beyond it, the
    least recently used are forgotten, counted and logged."""
    expire_after_days: Positive = 400
    """Entities that no record has named for this many days of log time are forgotten."""
    use_interval_s: Positive = 86_400
    """An entity's last use is noted at most this often: a lower value is more exact and writes more to the changelog."""


class FeedSettings(Section):
    """Limits of the feed's records and of dead letters."""

    record_bytes_max: Positive = 1_000_000
    """A change whose message would be larger becomes a dead letter."""
    dead_letter_bytes_max: Positive = 4_500_000
    """A larger original is left out of its dead letter, which says where it is and how large."""
    dead_letters_per_tenant_max: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Dead letters of one tenant in each interval; further failed records of it are reported together, in one dead letter
    that says where they are."""
    dead_letters_interval_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    processed_events_max: Positive = 5_000
    """Clean events in one record of the processed topic."""


class BreakerSettings(Section):
    """When dead letters stop the worker, so that a defect does not drain the topics: where most active tenants fail."""

    share_max: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of a tenant's latest records that may fail; with more, the tenant counts as failing."""
    tenant_failures_min: Annotated[int, Field(ge=1, le=10_000)] = 10
    """A tenant with fewer failed records does not count as failing."""
    window_records: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """How many of the latest records, of all tenants, are looked at; before there are this many, nothing is judged."""
    tenants_min: Annotated[int, Field(ge=1, le=10_000)] = 3
    """The worker stops only where this many tenants fail, and more than half of the active ones."""


class MetricsSettings(Section):
    """Where the worker serves `/metrics`, `/healthz` and `/readyz`."""

    host: str = "127.0.0.1"
    port: Port = 9101


class WorkerSettings(EngineSettings):
    """The Faust worker."""

    detectors: tuple[str, ...] | None = None
    """Names of the detectors that run (docs/detectors); null: all of them."""
    policies: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Per detector some fields of its policy, instead of their defaults, for all tenants. Rows of the table `policy`
    override them for a tenant, a client or a site while the worker runs."""
    data_dir: Path | None = None
    """Where Faust keeps its small local files; by default a temporary directory. Nothing in it is needed later."""
    metrics: MetricsSettings = MetricsSettings()
    intake: IntakeSettings = IntakeSettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    references: ReferenceSettings = ReferenceSettings()
    timers: TimerSettings = TimerSettings()
    state: StateSettings = StateSettings()
    feed: FeedSettings = FeedSettings()
    breaker: BreakerSettings = BreakerSettings()
