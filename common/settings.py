"""Every setting of every process, typed, with its unit in its name.

Values come from (strongest first) keyword arguments, environment variables
(`WATCHFLOOR_<SECTION>__<NAME>`), and a TOML file (`--config`, or `WATCHFLOOR_CONFIG`).
A name that no setting has is refused: a misspelt limit must not silently be the default.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from common.errors import SettingsError

ENV_PREFIX = "WATCHFLOOR_"
# Read by the launcher scripts, not settings of a process.
_OTHER_VARIABLES = frozenset({"WATCHFLOOR_CONFIG", "WATCHFLOOR_VENV", "WATCHFLOOR_STATE_DIR", "WATCHFLOOR_CACHE_DIR"})

Port = Annotated[int, Field(ge=1, le=65535)]
Positive = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """A group of settings; unknown names are errors and values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(Section):
    """The cluster that every process talks to."""

    bootstrap_servers: str = "127.0.0.1:9092"
    topic_prefix: str = "noc"
    partitions: Positive = 4
    """The same for every tenant-keyed topic, so that a tenant lives in one partition everywhere."""
    replication_factor: Positive = 1
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_file: Path | None = None
    feed_retention_hours: Positive = 24 * 7
    processed_retention_minutes: Positive = 60
    long_retention_days: Positive = 90
    """Of the audit trail and the dead letters."""
    tenant_topic_bytes_max: Positive = 256 * 1024 * 1024
    """Per partition of the captured `tenant` topic. It is kept however old it is, so that a gateway that starts later
    still knows each tenant's limit; only beyond this size its oldest rows go."""


class TableMapping(Section):
    """Where a canonical table really is in a customer's database (R1.6)."""

    table: str
    """`schema.table`, or a table of the `public` schema."""
    columns: dict[str, str] = {}
    """Canonical column name to the customer's; columns not named here keep their name."""


class SourceSettings(Section):
    """The PostgreSQL database whose changes are watched."""

    host: str = "127.0.0.1"
    port: Port = 5432
    database: str = "watchfloor"
    user: str = "watchfloor_capture"
    """The least-privileged role that Debezium signs in with."""
    password: SecretStr = SecretStr("")
    admin_dsn: SecretStr | None = None
    """A PostgreSQL URL of a role that may create the schema, the publication and the capture role. With it,
    `watchfloor up` watches this database instead of starting one: here its password is in no argument."""
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    ssl_ca_file: Path | None = None
    """Certificate authority of the server; as Connect finds it where Connect runs elsewhere."""
    connect_timeout_s: Positive = 5
    lock_timeout_ms: Positive = 2_000
    """How long `connect apply` waits for a lock on a captured table before it gives up."""
    text_characters_max: Annotated[int, Field(ge=200)] = 32_768
    """Longer texts are cut when they are captured: one huge row must not be too large for Kafka, at which the
    connector would stop for every tenant."""
    json_characters_max: Annotated[int, Field(ge=1_000)] = 500_000
    """The same for JSON, which is no JSON any more when it is cut: a geofence of that size is then ignored."""
    publication: str = "watchfloor"
    slot: Annotated[str, Field(pattern="^[a-z0-9_]{1,63}$")] = "watchfloor"
    tables: dict[str, TableMapping] = {}
    """Canonical table name to where it is (R1.6). Where any is given, only these tables are captured."""


class ConnectSettings(Section):
    """Kafka Connect and the Debezium connector that it runs."""

    url: str = "http://127.0.0.1:8083"
    connector: str = "watchfloor"
    poll_interval_ms: Positive = 20
    """How often Debezium hands rows on. Lower is sooner and costs idle CPU (docs/operations)."""
    queue_bytes_max: Positive = 16 * 1024 * 1024
    """Changes read from the log and not yet handed on; over it Debezium stops reading."""
    heartbeat_interval_ms: Positive = 10_000
    offset_flush_interval_ms: Positive = 1_000
    request_timeout_s: Positive = 10
    start_timeout_s: Positive = 60
    """How long `connect apply` waits for Connect to answer and for the task to run."""
    source_password_reference: str | None = None
    """Put into the connector's configuration instead of the password, such as `${env:SOURCE_PASSWORD}`:
    Connect's configuration providers fill it in, and its REST interface does not show it."""


class WorkerSettings(Section):
    """The Faust worker: rate limit, engine, detectors."""

    instance_id: str | None = None
    """Static group membership: a restart under the same name keeps its partitions."""
    max_events_per_second: Positive = 100
    """Default limit of scored events per tenant; `tenant.max_events_per_second` overrides it (R2.1)."""
    rate_limit_window_ms: Positive = 1_000
    burst_report_interval_s: Positive = 60
    """A burst that does not end is reported this often."""
    detectors: tuple[str, ...] | None = None
    """Names of the detectors that run (docs/detectors); null: all of them."""
    policies: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Per detector some fields of its policy, instead of their defaults, for all tenants. Rows of the table `policy`
    override them for a tenant, a client or a site while the worker runs."""
    snapshot_settle_ms: Annotated[int, Field(ge=0)] = 2_000
    """A deadline that a snapshot's row had passed fires so long after that row was read: a later row of the snapshot
    may say that all is well."""
    absence_age_s_max: Annotated[int, Field(ge=0)] = 86_400
    """A deadline that had passed so long before its row was first read is no news: it is not told."""
    reference_wait_ms: Annotated[int, Field(ge=0)] = 2_000
    """An attendance or a fix that comes before the row of its site or person, or before any shift of the person, waits
    for it so long by the log's clock; then it is judged without it, and says so. 0: nothing waits."""
    timers_per_tick_max: Positive = 2_000
    """So much of what is due without a row happens in one micro-batch: after a long silence the rest comes in the next."""
    waiting_events_per_tenant_max: Positive = 1_000
    """Of more events of one tenant none waits."""
    missing_told_interval_s: Positive = 3_600
    """For so long a reference that did not come is not waited for again, and nobody is told again."""
    shifts_per_person_max: Positive = 200
    entities_per_tenant_max: Positive = 100_000
    """Sites of one tenant that the worker remembers; the same again of persons, and of persons' shifts. Of more it
    forgets those that were not used for longest, counts them and says so in the log."""
    entity_expire_after_days: Positive = 400
    """Entities that no record has named for so many days of log time are forgotten."""
    entity_use_interval_s: Positive = 86_400
    """An entity's last use is noted at most this often: less is more exact, and more is written to the changelog."""
    micro_batch_bytes_max: Positive = 4 * 1024 * 1024
    partition_fetch_bytes_max: Positive = 1024 * 1024
    cycle_interval_ms: Annotated[int, Field(ge=0)] = 4
    """At low rates at most one micro-batch per partition in this time: saves CPU, costs latency."""
    idle_fetch_wait_ms: Positive = 200
    merge_wait_ms_max: Positive = 500
    """How long a micro-batch waits for a captured topic that lags behind its end offset and brings nothing."""
    tick_grace_ms: Annotated[int, Field(ge=0, le=1_500)] = 250
    """How long after its time a timer fires, so that rows committed before it are there: the delay of the capture."""
    changelog_interval_ms: Annotated[int, Field(ge=0)] = 250
    """How often changed state is written under load. What came since is run again after a crash."""
    changelog_keys_max: Positive = 20_000
    """Changed keys after which the changelog is written without waiting for its interval."""
    second_look_after_ms: Annotated[int, Field(ge=0)] = 2
    """Rows that the broker was waited for at least so long are processed after all topics were asked once more: with
    the row that ended the wait others may just have come. 0: always."""
    large_batch_records: Positive = 1_000
    """From this size on the next micro-batch is fetched while this one is processed, and processed while this one is
    written."""
    state_batch_bytes_max: Positive = 8 * 1024 * 1024
    """A snapshot of changed keys is one RecordBatch up to this size, and written in several steps above it.
    A single value must fit. The changelog's max.message.bytes must not be less."""
    output_batch_bytes_max: Positive = 900_000
    """Outputs of a micro-batch are split into RecordBatches of this size; one larger record is one of its own."""
    feed_record_bytes_max: Positive = 1_000_000
    """A change whose message would be larger becomes a dead letter."""
    dead_letter_bytes_max: Positive = 4_500_000
    """A larger original is left out of its dead letter, which says where it is and how large."""
    processed_events_max: Positive = 5_000
    """Clean events in one record of the processed topic."""
    future_timestamp_ms_max: Positive = 5_000
    """A commit time further than this ahead of the moment at which the record was appended to its topic is not
    believed: that moment counts instead, and the feed says so."""
    dead_letter_run_max: Positive = 100
    """Records that may fail in a row; one more stops the worker, so that a defect does not drain the topics."""
    dead_letter_share_max: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of the latest records that may fail."""
    dead_letter_window_records: Positive = 1_000
    """How many records the share is taken of."""
    dead_letter_tenants_min: Positive = 2
    """Failures stop the worker only where they hit this many tenants: one tenant's rows must not stop the others."""
    guarantee: Literal["journal", "transactions"] = "journal"
    """`journal`: each record counts once for readers that follow the readers' rule. `transactions`: for every
    reader of committed records too; costs latency. Stop all workers before it is changed (docs/operations)."""
    transaction_timeout_ms: Positive = 60_000
    """After this time the broker aborts the open transaction of a worker that has gone and that nobody replaced."""
    recoveries_at_once: Positive = 4
    """Partitions that are taken over beside each other. A change of the assignment waits for those under way."""
    standby: Literal["off", "all"] = "off"
    """`all`: keep a warm copy of every partition that other workers own, so that taking it over is quick. Memory for
    the keys of all partitions, instead of the owned ones."""
    standby_interval_ms: Positive = 200
    """How often the copies are read on."""
    standby_fetch_bytes_max: Positive = 256 * 1024
    """What is read in one go; while it is decoded, nothing else runs."""
    standby_pause_s_max: Positive = 3_600
    """A copy that was not complete for this long begins anew. Must be less than the changelog's delete.retention.ms."""
    session_timeout_ms: Positive = 6_000
    heartbeat_interval_ms: Positive = 2_000
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 9101
    data_dir: Path | None = None
    """Where Faust keeps its small local files; by default a temporary directory. Nothing in it is needed later."""


class AuthSettings(Section):
    """Who may sign in at the gateway."""

    algorithm: Literal["HS256", "RS256", "ES256"] = "HS256"
    hs256_secret: SecretStr | None = None
    """Development only; at least 32 bytes."""
    jwks_url: str | None = None
    jwks_cache_s: Positive = 300
    issuer: str = "watchfloor"
    audience: str = "watchfloor"
    clock_skew_s: Annotated[int, Field(ge=0)] = 5
    token_bytes_max: Positive = 16 * 1024
    """A longer token is refused before it is read."""
    token_lifetime_s_max: Positive = 30 * 24 * 3600
    """A token whose `exp` is further than this after its `iat` is refused. Revocations are remembered for so long, so
    make it what your identity provider really issues."""
    revocations_max: Positive = 100_000
    """Revocations that a gateway remembers. Of more it forgets the oldest, and refuses every token that was issued
    before them instead."""


class GatewaySettings(Section):
    """The WebSocket gateway."""

    host: str = "127.0.0.1"
    port: Port = 8080
    reuse_port: bool = False
    """Several gateways listen on one port (SO_REUSEPORT, Linux): all of them must say so. The port is opened when the
    gateway is ready, since the kernel gives it its share of the connections from then on."""
    admin_host: str = "127.0.0.1"
    admin_port: Port | None = None
    """Health, readiness and metrics on a port of its own, as each of several gateways on one port needs. Then the
    public port has no metrics."""
    allowed_origins: list[str] = []
    """Exact origins, such as `https://noc.example.com`. The gateway's own loopback address is added when it binds there."""
    authenticate_timeout_s: Positive = 10
    message_bytes_max: Positive = 64 * 1024
    messages_per_minute_max: Positive = 100
    connections_max: Positive = 10_000
    connections_per_user_max: Positive = 100
    """Of one user (tenant and subject) at this process; one more is closed with 1013."""
    connections_per_tenant_max: Positive = 5_000
    """Of one tenant at this process; one more is closed with 1013."""
    connects_per_s_max: Positive = 2_000
    """Handshakes a second; one more is answered with 503 and Retry-After."""
    connects_burst_max: Positive = 5_000
    """Handshakes that may come at once before that rate counts."""
    connects_per_address_per_s_max: Positive = 20
    """The same for one client address (IPv6: its /64). Addresses on loopback are not counted."""
    connects_per_address_burst_max: Positive = 200
    """Enough for an office behind one address whose dashboards all come back at once."""
    addresses_max: Positive = 10_000
    """Client addresses whose rate is remembered."""
    trusted_proxies: list[str] = []
    """Addresses or networks of load balancers whose X-Forwarded-For names the client. Others' is ignored."""
    handshakes_max: Positive = 5_000
    """Sockets that have not had the answer to their handshake; one more ends the one that waits for longest."""
    control_frames_per_minute_max: Positive = 300
    """Pings and pongs of one connection; over it the connection is closed with 4429."""
    queue_bytes_max: Positive = 256 * 1024
    """Per connection, not yet written. Over it nothing live is written; the connection reads on from the recent past
    when its socket has room again."""
    slow_timeout_s: Positive = 30
    """A connection that is behind and takes nothing for this long is closed with 4409."""
    slow_retry_after_s_min: Positive = 5
    """When a client that was too slow may come back; doubled with each further time."""
    slow_retry_after_s_max: Positive = 300
    history_messages_max: Positive = 10_000
    """Per tenant, kept in memory for clients that come back or are slow. Who is further behind is closed with 4409."""
    history_bytes_max: Positive = 128 * 1024 * 1024
    """Of all tenants."""
    rendered_messages_max: Positive = 4_096
    """The newest messages are kept as frames too, so that a storm of returning clients renders them once."""
    resume_messages_max: Positive = 50_000
    """A gap of more messages is not given again."""
    resume_scan_records_max: Positive = 500_000
    """Records of the log that are read for one gap at most."""
    resume_reads_max: Positive = 8
    """Clients at once that are given what only the log has."""
    resume_slice_messages: Positive = 200
    """Given to one client before the next one's turn."""
    resume_ahead_wait_s: Positive = 5
    """How long a client whose position is ahead of this gateway is held, until this one has read that far."""
    heartbeat_interval_s: Positive = 25
    filters_max: Positive = 100
    """Sites and clients that one connection may narrow its subscription to."""
    fetch_wait_ms_max: Positive = 100
    round_pause_ms_max: Annotated[int, Field(ge=0)] = 5
    """Between two rounds of the fan-out the gateway waits as long as the last one took, at most this: under load rounds
    get larger and cost less."""
    poll_records_max: Positive = 2_000
    """Feed records that are rendered in one go, before other connections get their turn."""
    tail_records_max: Positive = 100_000
    """Per partition, read back at the start to know each tenant's position in the feed."""
    broker_wait_s_max: Positive = 20
    """How long the start waits for a broker before it fails."""
    broker_silence_s_max: Positive = 5
    """Without an answer from the broker for this long the gateway is not ready, and connects anew."""
    close_timeout_s: Positive = 3
    """How long a closing connection waits for the client's half of the handshake."""
    drain_spread_s_max: Annotated[float, Field(ge=0)] = 3
    """Over how long a stopping gateway spreads the closing of its connections."""
    drain_s_max: Positive = 10
    """How long a stopping gateway waits for its connections after that."""
    receipts_interval_ms: Positive = 1_000
    """How often the receipts of each tenant are written to their topic, as one record."""
    receipts_positions_interval_s: Positive = 10
    """How often it is written how far each connection has come that does not say so itself."""
    receipts_ranges_max: Positive = 4_096
    """Ranges and seen ids of one tenant that are gathered; with more the record is written before its interval ends."""
    receipts_queue_bytes_max: Positive = 16 * 1024 * 1024
    """Receipts that wait for a broker; of more the oldest go, counted."""
    audit_queue_records_max: Positive = 20_000
    """Audit records that wait for a broker; of more the log has the rest, counted."""
    audit_window_s: Positive = 60
    """What is refused alike from the same address in this time is one audit record, and one more with the count."""
    audit_repeats_max: Positive = 10_000
    """Addresses and reasons that are told apart in that; the others are counted together."""
    publish_stop_s_max: Positive = 3
    """How long a stopping gateway waits for the broker to take receipts and audit records."""
    seen_ids_max: Positive = 50_000
    """Newest findings, of all tenants together, of which the gateway takes note that somebody has looked at them."""
    critical_unseen_s: Positive = 60
    """A CRITICAL message that nobody has looked at for this long is told again, then after twice this time and so on."""
    critical_notices_max: Annotated[int, Field(ge=1, le=20)] = 5
    """How often a CRITICAL message is told again at most."""
    critical_messages_max: Positive = 1_000
    """Newest CRITICAL messages of a tenant that are watched for somebody who looks at them."""
    seen_by_max: Positive = 20
    """Users that are named in `message_seen`: the first ones."""
    health_interval_s: Positive = 5
    """How often the other components are asked how they are. One that is not well is asked every second."""
    health_timeout_s: Positive = 2
    """How long each of them has to answer."""
    worker_urls: list[str] = []
    """Where the workers' `/metrics` and `/readyz` are, such as `http://worker-1:9101`; without them the gateway cannot
    say whether the workers keep up."""
    connect_url: str | None = None
    """Kafka Connect's REST interface, where the gateway may ask it how the connector's task is."""
    feed_behind_s: Positive = 5
    """From this delay on clients are told that the feed is behind."""
    feed_status_hold_s: Annotated[float, Field(ge=0)] = 3.0
    """How long a trouble, or its end, must last before clients are told, so that they are not told of every blink."""
    feed_status_interval_s: Positive = 30
    """How often clients are told again while the feed is not live."""
    tls_certificate_file: Path | None = None
    """PEM chain; with `tls_key_file` the gateway speaks https and wss itself."""
    tls_key_file: Path | None = None


class LogSettings(Section):
    """What the processes write to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    """All sections. Build it with `load_settings`, which explains what is wrong."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    kafka: KafkaSettings = KafkaSettings()
    source: SourceSettings = SourceSettings()
    connect: ConnectSettings = ConnectSettings()
    worker: WorkerSettings = WorkerSettings()
    auth: AuthSettings = AuthSettings()
    gateway: GatewaySettings = GatewaySettings()
    log: LogSettings = LogSettings()


def load_settings(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process.

    Args:
        config: a TOML file; where it is None the file that `WATCHFLOOR_CONFIG` names, if any.
        environ: the environment; where it is None that of the process.

    Raises:
        SettingsError: a name is unknown, a value is out of range, or the file cannot be read.
    """
    environment = os.environ if environ is None else environ
    if config is None and environment.get("WATCHFLOOR_CONFIG"):
        config = Path(environment["WATCHFLOOR_CONFIG"])
    if config is not None and not config.is_file():
        raise SettingsError(f"the configuration file {config} is missing", "name an existing file with --config")
    _refuse_unknown_variables(environment)

    class FromHere(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced by `environment`
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            file = (TomlConfigSettingsSource(settings_cls, config),) if config is not None else ()
            variables = EnvSettingsSource(settings_cls)
            variables.env_vars = {name.lower(): value for name, value in environment.items()}
            return (init_settings, variables, *file)

    try:
        return FromHere()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise SettingsError(f"unknown setting {name}", "see docs/settings.md for the names") from error
        raise SettingsError(f"setting {name}: {first['msg']}", "correct it in the file or the environment") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"the configuration {config} cannot be read ({error})", "correct the file") from error


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    sections: dict[str, Any] = {name: field.annotation for name, field in Settings.model_fields.items()}
    for variable in sorted(environment):
        if not variable.startswith(ENV_PREFIX) or variable in _OTHER_VARIABLES:
            continue
        section, _, name = variable.removeprefix(ENV_PREFIX).lower().partition("__")
        known = sections.get(section)
        if known is None or (name and name.partition("__")[0] not in known.model_fields):
            raise SettingsError(f"unknown setting {variable} in the environment", "see docs/settings.md for the names")
