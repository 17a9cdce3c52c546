"""Asks the other components how they are: the workers' probes, Connect's REST interface, the database's catalogs.

Each probe is bounded in time and size and never fails: it returns that there was no answer. Only reads, and
keeps nothing of the answers but numbers and states.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpx
import msgspec
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from common.errors import SettingsError
from common.settings.source import SourceSettings
from connect.check import capture_dsn
from connect.problems import Effect, problems, slot_problems
from connect.source_state import GAPS, WITHOUT_JIT, source_state, state_query, with_gaps
from gateway.health.report import ConnectReading, DatabaseReading, WorkerReading

_BODY_BYTES_MAX: Final = 2 << 20
_PREFIX: Final = "watchfloor_worker_"
_COUNTERS: Final = {
    "watchfloor_worker_events_total": "events_processed",
    "watchfloor_worker_findings_total": "findings",
    "watchfloor_worker_messages_total": "messages",
    "watchfloor_worker_rate_limited_total": "rate_limited",
    "watchfloor_worker_dead_letters_total": "dead_letters",
    "watchfloor_worker_batches_total": "micro_batches",
}


class _Status(msgspec.Struct):
    class Side(msgspec.Struct):
        state: str

    connector: Side
    tasks: list[Side]


_decode_status = msgspec.json.Decoder(_Status).decode
# What Connect answers while it starts or rebalances.
_TRANSIENT: Final = frozenset({409, 500, 503})
_STATES: Final = frozenset({"RUNNING", "FAILED", "PAUSED", "UNASSIGNED", "RESTARTING", "DESTROYED", "STOPPED"})


async def ask_workers(client: httpx.AsyncClient, urls: Iterable[str], timeout_s: float) -> WorkerReading:
    """Ask every worker at once; the answers are added up."""
    answers = await asyncio.gather(*(_ask_worker(client, url.rstrip("/"), timeout_s) for url in urls))
    answered = [answer for answer in answers if answer is not None]
    ready = [metrics for is_ready, metrics in answered if is_ready]
    return WorkerReading(
        asked=len(answers),
        answered=len(answered),
        ready=len(ready),
        partitions=sum(int(metrics.get("partitions", 0)) for metrics in ready),
        lag_records=sum(int(metrics.get("lag_records", 0)) for _, metrics in answered),
        lag_seconds=max((metrics.get("lag_seconds", 0.0) for _, metrics in answered), default=0.0),
        counters={
            name: sum(int(metrics.get(name, 0)) for _, metrics in answered) for name in sorted(set(_COUNTERS.values()))
        },
    )


async def ask_connect(
    client: httpx.AsyncClient, url: str, connector: str, timeout_s: float, sign_in: tuple[str, str] | None = None
) -> ConnectReading:
    """Ask Kafka Connect for the connector's tasks, with the user and the password that it asks for."""
    try:
        async with asyncio.timeout(timeout_s):
            status, body = await _get(client, f"{url.rstrip('/')}/connectors/{connector}/status", sign_in)
        if status in _TRANSIENT:
            return ConnectReading(answers=True, registered=True, connector="UNASSIGNED", tasks=("UNASSIGNED",))
        if status != httpx.codes.OK:
            return ConnectReading(answers=status == httpx.codes.NOT_FOUND)
        found = _decode_status(body)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, msgspec.DecodeError):
        return ConnectReading(answers=False)
    tasks = tuple(side.state if side.state in _STATES else "UNKNOWN" for side in found.tasks)
    return ConnectReading(answers=True, registered=True, connector=found.connector.state, tasks=tasks)


async def ask_database(source: SourceSettings, timeout_s: float) -> DatabaseReading:
    """Sign in as the capture role and look at the slot and at what the doctor looks at, over one connection."""
    try:
        async with asyncio.timeout(timeout_s):
            connection = await psycopg.AsyncConnection.connect(
                capture_dsn(source), application_name="watchfloor-health", autocommit=True
            )
            async with connection:
                return await _capture(connection, source)
    except (psycopg.Error, OSError, TimeoutError):
        return DatabaseReading(answers=False)


async def _capture(connection: "psycopg.AsyncConnection[tuple[Any, ...]]", source: SourceSettings) -> DatabaseReading:
    await connection.execute(WITHOUT_JIT)
    try:
        query = state_query(source, connection.info.server_version)
        ((document,),) = await (await connection.execute(query)).fetchall()
        state = source_state(document)
        if state.keeps_gaps:
            ((gaps,),) = await (await connection.execute(GAPS, (source.publication,))).fetchall()
            state = with_gaps(state, gaps)
    except (psycopg.Error, SettingsError):
        return DatabaseReading(answers=True)  # the role may not look; the database is there
    found: dict[Effect, tuple[str, ...]] = {}
    lost_since = None
    for problem in (*slot_problems(source.slot, state.slot), *problems(source, state)):
        of_all = problem.table is None or found.get(problem.effect) == ()
        found[problem.effect] = () if of_all else (*found.get(problem.effect, ()), str(problem.table))
        lost_since = min(filter(None, (lost_since, problem.since)), default=None)
    return DatabaseReading(
        answers=True,
        slot_active=state.slot.active if state.slot else None,
        backlog_bytes=state.slot.backlog_bytes if state.slot else None,
        capture={effect: tuple(dict.fromkeys(tables)) for effect, tables in found.items()},
        lost_since=lost_since,
    )


async def _ask_worker(client: httpx.AsyncClient, url: str, timeout_s: float) -> tuple[bool, Mapping[str, float]] | None:
    try:
        async with asyncio.timeout(timeout_s):
            ready, _ = await _get(client, f"{url}/readyz")
            status, body = await _get(client, f"{url}/metrics")
        if status != httpx.codes.OK:
            return None
        return ready == httpx.codes.OK, _numbers(body.decode(errors="replace"))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError):
        return None


def _numbers(text: str) -> dict[str, float]:
    """The worker's numbers that matter here, added up over their labels; of lags in seconds the largest.

    >>> _numbers('watchfloor_worker_lag_records{partition="0"} 3.0')
    {'lag_records': 3.0}
    """
    wanted = {f"{_PREFIX}{name}": name for name in ("lag_records", "lag_seconds", "partitions")} | _COUNTERS
    # The parser is slow: it gets the few lines that are read.
    lines = [line for line in text.splitlines() if line.startswith(_PREFIX) and _name(line) in wanted]
    found: dict[str, float] = {}
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            name = wanted[sample.name]
            before = found.get(name, 0.0)
            found[name] = max(before, sample.value) if name == "lag_seconds" else before + sample.value
    return found


def _name(line: str) -> str:
    return line.partition("{")[0].partition(" ")[0]


async def _get(client: httpx.AsyncClient, url: str, sign_in: tuple[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body, which is cut where it is too long."""
    async with client.stream("GET", url, auth=sign_in) as response:
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _BODY_BYTES_MAX:
                break
    return response.status_code, bytes(body)
