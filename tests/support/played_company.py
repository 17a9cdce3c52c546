"""A company's changes as a property test draws them: committed at one time, delivered at another.

Envelopes of several tables and tenants over a few partitions of an in-memory log, which gets each record when
its time has come, in the order of its topic, as Debezium appends it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from support.memory_log import MemoryLog

from contracts.topics import TopicNames, tenant_key
from streams.engine.model import OutputRecord

START_MS = 1_800_000_000_000
PARTITIONS = 2
NAMES = TopicNames()


@dataclass(frozen=True)
class Step:
    """One committed change."""

    kind: str
    tenant: int
    after_ms: int
    """From the commit before it; a little below zero where the order of commits is not that of their times."""
    lag_ms: int
    """From its commit to its topic, at least."""
    again: bool = False
    """The connector restarts behind it and sends the latest changes again."""


def steps(lags_ms: st.SearchStrategy[int]) -> st.SearchStrategy[list[Step]]:
    """Runs of changes: bursts over the limit, pauses, changes of what messages and limits are made from."""
    kinds = ["check_in"] * 4 + [
        "ticket",
        "ticket",
        "resolved",
        "policy",
        "limit",
        "site",
        "person",
        "shift",
        "fix",
        "taken_back",
        "snapshot",
        "unreadable",
        "ahead",
    ]
    gaps_ms = st.sampled_from([0, 1, 40, 300, 700, 1_000, 2_000, 3_500]) | st.integers(-60, 2_500)
    again = st.integers(0, 19).map(lambda drawn: drawn == 0)
    tenants = st.integers(1, 3)
    single = st.builds(Step, st.sampled_from(kinds), tenants, gaps_ms, lags_ms, again).map(lambda step: [step])
    burst = st.builds(
        lambda count, tenant, lag_ms: [Step("check_in", tenant, 0, lag_ms)] * count, st.integers(3, 8), tenants, lags_ms
    )
    return st.lists(single | burst, max_size=40).map(lambda runs: [step for run in runs for step in run])


class Delivery:
    """Appends the records to the log as time goes by."""

    def __init__(self, log: MemoryLog, drawn: Sequence[Step]) -> None:
        self._log = log
        self._waiting = sorted(_schedule(drawn), key=lambda each: each[0])  # stable: a topic's order stays

    def until(self, now_ms: int) -> None:
        """Append what has arrived by this time."""
        while self._waiting and self._waiting[0][0] <= now_ms:
            at_ms, topic, partition, record = self._waiting.pop(0)
            self._log.append(topic, partition, [record], timestamp_ms=at_ms)

    @property
    def end_ms(self) -> int | None:
        """When the last record arrives; None when it has."""
        return self._waiting[-1][0] if self._waiting else None


def _schedule(drawn: Sequence[Step]) -> Iterator[tuple[int, str, int, OutputRecord]]:
    commit_ms = read_ms = START_MS
    sent_ms: dict[tuple[str, int], int] = {}
    latest: list[tuple[str, int, OutputRecord]] = []
    for number, step in enumerate(drawn, start=1):
        commit_ms += step.after_ms
        records = [
            (NAMES.captured(table), step.tenant % PARTITIONS, OutputRecord(tenant_key(step.tenant), value, ()))
            for table, value in _changes(number, step, commit_ms)
        ]
        # An interrupted snapshot is taken anew, at another LSN, and nothing before it is sent again.
        latest = [] if step.kind == "snapshot" else [*latest[-9:], *records]
        read_ms = max(read_ms, commit_ms)  # the connector reads in the order of the commits
        arrives_ms = read_ms + step.lag_ms
        for topic, partition, each in [*records, *(latest if step.again else [])]:
            sent_ms[topic, partition] = max(sent_ms.get((topic, partition), 0), arrives_ms)
            yield sent_ms[topic, partition], topic, partition, each


def _changes(number: int, step: Step, commit_ms: int) -> Iterator[tuple[str, bytes]]:
    if step.kind != "snapshot":
        yield _change(number, step, commit_ms)
        return
    for kind in ("limit", "site", "ticket"):
        table, value = _change(number, Step(kind, step.tenant, 0, 0), commit_ms)
        yield table, value.replace(b'"op": "c"', b'"op": "r"').replace(b'"op": "u"', b'"op": "r"')


def _change(number: int, step: Step, commit_ms: int) -> tuple[str, bytes]:
    tenant = step.tenant
    row: dict[str, Any] = {"id": number, "tenant_id": tenant, "site_id": number % 4}
    before: dict[str, Any] | None = None
    match step.kind:
        case "check_in" | "ahead" | "unreadable":
            table = "attendance"
            person = 7 + number % 2
            row |= {"person_id": person, "verified_person_id": 9 if number % 3 else person, "event_type": "CHECK_IN"}
        case "fix":
            table = "location"
            row |= {"person_id": 7 + number % 2}
        case "taken_back":
            table, before = "attendance", row | {"person_id": 7}
        case "person":
            table = "person"
            row = {"id": 7 + number % 2, "tenant_id": tenant, "name": f"Person v{number}"}
        case "shift":
            table = "assignment"
            day = {"shift_start": "2027-01-15T00:00:00Z", "shift_end": "2027-01-16T00:00:00Z"}
            row |= {"id": 1, "person_id": 7 + number % 2} | day
        case "ticket" | "resolved":
            # Few tickets, so that they change; their time is up within seconds (see the tests' policies).
            created = datetime.fromtimestamp((commit_ms // 5_000) * 5, UTC).isoformat()
            row |= {"id": number % 3, "priority": "HIGH" if number % 2 else "LOW", "created_at": created}
            table, before = "ticket", row | {"status": "NEW"}
            row |= {"status": "OPEN" if step.kind == "ticket" else "RESOLVED"}
        case "policy":
            table = "policy"
            settings = {"high_hours_max": (0.0001, 0.0009, 0.0)[number % 3]}  # the last one is refused
            row |= {"id": number % 2, "detector": "ticket_sla_breach", "settings": json.dumps(settings)}
        case "limit":
            table = "tenant"
            row = {"id": tenant, "tenant_id": tenant, "max_events_per_second": number % 4 or None}
        case _:
            table = "site"
            row = {"id": number % 4, "tenant_id": tenant, "client_id": 1, "name": f"Site v{number}"}
    if step.kind == "unreadable":
        return table, b"{"
    lsn = 1_000 + 10 * number
    claimed_ms = commit_ms + (3_600_000 if step.kind == "ahead" else 0)
    source = {
        "ts_us": claimed_ms * 1000 + number % 1000,
        "lsn": lsn,
        "sequence": f'["{lsn - 5}","{lsn}"]',
        "txId": number,
    }
    gone = step.kind == "taken_back"
    operation, after = ("d", None) if gone else ("u" if before else "c", row)
    body = {"op": operation, "before": before, "after": after, "source": source}
    return table, json.dumps(body).encode()
