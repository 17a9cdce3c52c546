"""How the chain is, as `/api/noc/health/` reports it (R5.9). Pure: readings in, states and a report out.

Nothing about a tenant is in it, and no address, password or reason that another program worded: whoever may ask
for the health need not be an operator.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from connect.problems import Effect


class State(StrEnum):
    """How a component is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """It works, but not as it should."""
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"
    """This gateway was not given its address; does not count."""


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One component of the chain; null where it is not known."""

    state: State
    detail: str
    lag_records: int | None = None
    lag_seconds: float | None = None
    last_message_age_s: float | None = None
    """Since it last brought a message; on a quiet night this grows without harm."""
    rows_lost_since: str | None = None
    """Since when changes of the watched database were not captured, for good; null where none are known to be lost."""
    restarts_seen: int | None = None
    """How often it was found running again after it was not, since this gateway started."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `/api/noc/health/`."""

    status: State
    time: str
    gateway: str
    """The process that answers."""
    version: str
    checked_age_s: float | None
    """Since the other components were last probed."""
    feed: Mapping[str, object]
    """What was announced to clients last about the feed: see `feed_status` of the protocol."""
    components: Mapping[str, Component]
    queue_depths: Mapping[str, int]
    backlog: Mapping[str, float | None]
    tasks: Mapping[str, int | None]
    """Counters since the worker or the gateway started."""


encode_health = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class FeedReading:
    """What the gateway knows of the feed by reading it."""

    positions_known: bool
    answering: bool
    lag_records: int
    lag_seconds: float
    last_record_at: float | None
    """Append time of the newest feed record, seconds since 1970."""
    last_output_at: float | None
    """The same of whatever the worker wrote last, clean events included."""
    admits: bool
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerReading:
    """The workers' answers, added up."""

    asked: int
    answered: int
    ready: int
    partitions: int
    """Owned by those that are ready."""
    lag_records: int = 0
    lag_seconds: float = 0.0
    counters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConnectReading:
    """Kafka Connect's answer about the connector."""

    answers: bool
    registered: bool = False
    connector: str = ""
    tasks: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        """Whether there is a task and every one runs; the connector's own state does not count."""
        return bool(self.tasks) and all(task == "RUNNING" for task in self.tasks)


@dataclass(frozen=True, slots=True)
class DatabaseReading:
    """PostgreSQL's answer to the capture role."""

    answers: bool
    slot_active: bool | None = None
    """Whether somebody reads the replication slot; None where it is missing or cannot be read."""
    backlog_bytes: int | None = None
    """Of the log that Debezium has not confirmed."""
    capture: Mapping[Effect, tuple[str, ...]] | None = None
    """What `watchfloor doctor` finds wrong with the capture, with the canonical tables that it concerns (none: all).
    None where it is not known."""
    lost_since: str | None = None
    """Since when rows were lost, where the database knows."""

    @property
    def loses(self) -> bool | None:
        """Whether rows that are written now are lost; None where it is not known."""
        return None if self.capture is None else Effect.LOSES in self.capture


def gateway_component(feed: FeedReading, now: float) -> Component:
    """This gateway itself."""
    age = None if feed.last_record_at is None else round(max(0.0, now - feed.last_record_at), 3)
    state = State.HEALTHY if feed.admits and feed.answering else State.UNHEALTHY
    if feed.admits and not feed.answering:
        state = State.DEGRADED  # it still serves what it has; what is wrong is Kafka's
    return Component(
        state=state,
        detail=feed.reason,
        lag_records=feed.lag_records,
        lag_seconds=round(feed.lag_seconds, 3),
        last_message_age_s=age,
    )


def kafka_component(feed: FeedReading) -> Component:
    """The brokers, by what the gateway's own reader gets from them."""
    if feed.answering:
        return Component(state=State.HEALTHY, detail="a broker answers")
    return Component(state=State.UNHEALTHY, detail="no broker answers")


def worker_component(
    reading: WorkerReading | None, feed: FeedReading, partitions: int, behind_s: float, now: float
) -> Component:
    """The workers together.

    Args:
        reading: None where the gateway was not given their addresses.
        feed: when their latest record came.
        partitions: that have to be processed.
        behind_s: from this delay on they are degraded.
        now: seconds since 1970.
    """
    age = None if feed.last_output_at is None else round(max(0.0, now - feed.last_output_at), 3)
    if reading is None:
        return Component(state=State.UNKNOWN, detail="gateway.health.worker_urls is not set", last_message_age_s=age)
    if not reading.answered:
        return Component(state=State.UNHEALTHY, detail=_of(0, reading.asked, "answer"), last_message_age_s=age)
    if reading.partitions < partitions:
        state, detail = State.UNHEALTHY, f"{reading.partitions} of {partitions} partitions are processed"
    elif reading.ready < reading.asked:
        ready = _of(reading.ready, reading.asked, "are ready")
        state, detail = State.DEGRADED, f"all partitions are processed; {ready}"
    elif reading.lag_seconds >= behind_s:
        state, detail = State.DEGRADED, "behind the captured topics"
    else:
        state, detail = State.HEALTHY, _of(reading.ready, reading.asked, "are ready")
    return Component(
        state=state,
        detail=detail,
        lag_records=reading.lag_records,
        lag_seconds=round(reading.lag_seconds, 3),
        last_message_age_s=age,
    )


def connect_component(
    reading: ConnectReading | None, database: DatabaseReading | None, restarts_seen: int
) -> Component:
    """Kafka Connect and the connector's task; where nobody reads the slot nothing is captured."""
    if reading is None:
        return Component(state=State.UNKNOWN, detail="gateway.health.connect_url is not set")
    if not reading.answers:
        state, detail = State.UNHEALTHY, "Kafka Connect does not answer"
    elif not reading.registered:
        state, detail = State.UNHEALTHY, "the connector is not registered"
    elif not reading.running:
        state, detail = State.UNHEALTHY, f"the connector's task: {', '.join(reading.tasks) or 'none'}"
    elif database is not None and database.slot_active is False:
        state, detail = State.DEGRADED, "the task runs, but nobody reads the replication slot"
    else:
        state, detail = State.HEALTHY, "the connector's task runs"
    return Component(state=state, detail=detail, restarts_seen=restarts_seen)


_CAPTURE = {
    Effect.LOSES: (State.UNHEALTHY, "changes of {} are lost"),
    Effect.BREAKS_WRITES: (State.UNHEALTHY, "the application's writes to {} fail because of the capture"),
    Effect.UNPREPARED: (State.DEGRADED, "not prepared for the capture of {}"),
    Effect.LOST: (State.DEGRADED, "changes of {} were lost until a new snapshot is taken"),
    Effect.PARTIAL: (State.DEGRADED, "deletes of {} are not processed"),
}
"""The worst first."""


def database_component(reading: DatabaseReading | None, losing_since: str | None = None) -> Component:
    """The watched database, and whether all of its changes are captured.

    Args:
        reading: None where the gateway has no password.
        losing_since: when this gateway first saw that rows are lost.
    """
    if reading is None:
        return Component(state=State.UNKNOWN, detail="the gateway has no password of the capture role")
    if not reading.answers:
        return Component(state=State.UNHEALTHY, detail="PostgreSQL does not answer, or refuses the capture role")
    found = reading.capture or {}
    for effect, (state, words) in _CAPTURE.items():
        if effect in found:
            return Component(
                state=state,
                detail=f"{words.format(', '.join(found[effect]) or 'all tables')}: run watchfloor doctor",
                rows_lost_since=reading.lost_since or losing_since,
            )
    detail = "PostgreSQL answers" if reading.capture is not None else "PostgreSQL answers; its capture is not known"
    return Component(state=State.HEALTHY, detail=detail)


def overall(components: Mapping[str, Component]) -> State:
    """The worst state of all that is known.

    >>> fine = Component(state=State.HEALTHY, detail="")
    >>> overall({"kafka": fine, "worker": Component(state=State.UNKNOWN, detail="")})
    <State.HEALTHY: 'healthy'>
    """
    states = {component.state for component in components.values()}
    return next((state for state in (State.UNHEALTHY, State.DEGRADED) if state in states), State.HEALTHY)


def _of(some: int, number: int, what: str) -> str:
    return f"{some} of {number} workers {what}"
