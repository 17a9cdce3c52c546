"""The settings of the micro-batch engine: all that `streams.engine` may know of the configuration.

A worker has them beside its own, so users write `worker.changelog.interval_ms`.
"""

from typing import Annotated, Literal

from pydantic import Field

from common.settings.model import NotNegative, Positive, Section


class GroupSettings(Section):
    """Membership of the consumer group."""

    instance_id: str | None = None
    """Static group membership: a restart under the same name keeps its partitions."""
    session_timeout_ms: Positive = 6_000
    heartbeat_interval_ms: Positive = 2_000


class FetchSettings(Section):
    """Reading the source topics."""

    bytes_max: Positive = 4 * 1024 * 1024
    """Of one answer of a broker, for all partitions together."""
    partition_bytes_max: Positive = 1024 * 1024
    """Of one topic partition in that answer, and in the buffer of records that are not processed yet."""
    idle_wait_ms: Positive = 200
    """How long a broker may hold a fetch back while there is nothing to read."""
    broker_silence_s_max: Annotated[float, Field(ge=1, le=600)] = 10
    """Without an answer from the brokers for this long about any topic of an owned partition the worker is not ready,
    and that partition's lag in seconds grows."""


class MergeSettings(Section):
    """Merging the topics of a partition into commit order."""

    wait_ms_max: Positive = 500
    """How long a micro-batch waits for a captured topic that lags behind its end offset and brings nothing."""
    second_look_after_ms: NotNegative = 2
    """After a fetch that took at least this long, all topics are asked once more before the rows are processed: along
    with the row that ended the wait, others may have just arrived. 0: always."""


class MicroBatchSettings(Section):
    """The size and the pace of micro-batches."""

    interval_ms: NotNegative = 4
    """At low rates at most one micro-batch per partition in this time: saves CPU, costs latency."""
    large_records: Positive = 1_000
    """From this size on the next micro-batch is fetched while this one is processed, and processed while this one is
    written."""
    records_max: Annotated[int, Field(ge=100, le=100_000)] = 5_000
    """Of one topic in a micro-batch. The other partitions of the worker get their turn after so many."""


class TickSettings(Section):
    """Running timers by the clock."""

    grace_ms: Annotated[int, Field(ge=0, le=1_500)] = 250
    """How long after its time a timer fires, so that rows committed before it have arrived: the capture's delay."""


class ChangelogSettings(Section):
    """Writing changed state."""

    interval_ms: NotNegative = 250
    """How often changed state is written under load. What came since then is processed again after a crash."""
    keys_max: Positive = 20_000
    """Changed keys after which the changelog is written without waiting for its interval."""
    batch_bytes_max: Positive = 8 * 1024 * 1024
    """A snapshot of changed keys is one RecordBatch up to this size, and is written in several steps above it.
    A single value must fit. The changelog's max.message.bytes must not be less."""


class OutputSettings(Section):
    """Writing the outputs of micro-batches."""

    batch_bytes_max: Positive = 900_000
    """Outputs of a micro-batch are split into RecordBatches of this size; one larger record is a batch of its own."""


class TransactionSettings(Section):
    """Kafka transactions, where `guarantee` is `transactions`."""

    timeout_ms: Positive = 60_000
    """After this time the broker aborts the open transaction of a worker that is gone and that nobody replaced."""


class TakeoverSettings(Section):
    """Taking over partitions."""

    concurrent_max: Positive = 4
    """Partitions that are recovered at the same time. A change of the assignment waits for those under way."""


class StandbySettings(Section):
    """Warm copies of the partitions that other workers own."""

    mode: Literal["off", "all"] = "off"
    """`all`: keep a warm copy of every partition that other workers own, so that taking it over is quick. Takes memory
    for the keys of all partitions instead of the owned ones."""
    interval_ms: Positive = 200
    """How often the copies are updated."""
    fetch_bytes_max: Positive = 256 * 1024
    """What is read at a time; while it is decoded, nothing else runs."""
    pause_s_max: Positive = 3_600
    """A copy that was incomplete for this long is built anew. Must be less than the changelog's delete.retention.ms."""


class EngineSettings(Section):
    """The micro-batch engine."""

    guarantee: Literal["journal", "transactions"] = "journal"
    """`journal`: each record counts once for readers that follow the readers' rule. `transactions`: for every
    reader of committed records too; costs latency. Stop all workers before you change it (docs/operations)."""
    group: GroupSettings = GroupSettings()
    fetch: FetchSettings = FetchSettings()
    merge: MergeSettings = MergeSettings()
    micro_batch: MicroBatchSettings = MicroBatchSettings()
    tick: TickSettings = TickSettings()
    changelog: ChangelogSettings = ChangelogSettings()
    output: OutputSettings = OutputSettings()
    transactions: TransactionSettings = TransactionSettings()
    takeover: TakeoverSettings = TakeoverSettings()
    standby: StandbySettings = StandbySettings()
