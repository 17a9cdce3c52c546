"""What a worker has to say about one partition: a plain fold of rows, with nothing of the product in it.

Takes the batches of the journal one by one, and keeps per tenant the numbered messages, the clean events,
the dead letters and the tables as they must be. Written from the documentation, not from the product's code.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

WINDOW_MS = 1_000
LIMIT_PER_WINDOW = 100
LONG_BURST_MS = 60_000
SCORED = {"attendance", "jobneed", "location", "ticket", "work_order", "device"}
SHIFT_SLACK_S = 3_600.0
PERSONS = ("person_id", "verified_person_id")
VISIT = ("event_type", "site_id", "person_id", "occurred_at")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """A record of a captured topic."""

    topic: str
    source_index: int
    offset: int
    table: str
    body: Json | None
    """None: it cannot be read."""

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Commit order; what cannot be read has none and comes first."""
        if self.body is None:
            return (0, 0, self.source_index, self.offset)
        commit, lsn = json.loads(self.body["source"]["sequence"])
        return (int(commit), int(lsn), self.source_index, self.offset)


def read_source(topic: str, source_index: int, offset: int, value: bytes | None) -> Source:
    """Parse a record; a row without its numbers counts as unreadable."""
    table = topic.rpartition(".")[2]
    try:
        body = json.loads(value or b"")
        row = body["after"] or body["before"]
        if not isinstance(row["id"], int) or not isinstance(row["tenant_id"], int) or not body["source"]:
            body = None
    except (ValueError, KeyError, TypeError):
        body = None
    return Source(topic, source_index, offset, table, body)


@dataclass
class Tenant:
    """One tenant as the fold sees it."""

    seq: int = 0
    own_limit: int | None = None
    window: int = 0
    admitted: int = 0
    dropped: int = 0
    burst_window: int = 0
    last_drop_window: int = 0

    def state(self) -> list[Any]:
        """As the changelog has it."""
        rate = [self.window, self.admitted, self.dropped, self.burst_window, self.last_drop_window]
        return [self.seq, self.own_limit, rate]

    @property
    def limit(self) -> int:
        return LIMIT_PER_WINDOW if self.own_limit is None else self.own_limit


@dataclass
class Fold:
    """One partition's state and everything it had to write."""

    tenants: dict[int, Tenant] = field(default_factory=dict)
    sites: dict[tuple[int, int], list[Any]] = field(default_factory=dict)
    persons: dict[tuple[int, int], list[Any]] = field(default_factory=dict)
    shifts: dict[tuple[int, int], list[list[Any]]] = field(default_factory=dict)
    messages: dict[int, list[Json]] = field(default_factory=dict)
    """Tenant to its messages; seq is the place in the list, from 1."""
    clean: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    """(batch, tenant) to event ids."""
    dead: set[tuple[str, int]] = field(default_factory=set)
    """(topic, offset)."""
    counts: dict[str, int] = field(default_factory=dict)
    fired_ms: int = 0
    """The latest time of a timer that a tick has fired."""
    _seen: set[tuple[str, int, int, int, int]] = field(default_factory=set)

    def batch(self, number: int, sources: list[Source], tick_ms: int | None) -> None:
        """Fold one batch."""
        for source in sorted(sources, key=lambda each: each.place):
            self._one(number, source)
        if tick_ms is not None:
            self._tick(tick_ms)

    def tables(self) -> dict[str, Any]:
        """Changelog key to value."""
        tables: dict[str, Any] = {f"tenant:{tenant}": each.state() for tenant, each in self.tenants.items()}
        for name, table in (("site", self.sites), ("person", self.persons), ("shift", self.shifts)):
            tables |= {f"{name}:[{key[0]},{key[1]}]": value for key, value in table.items() if value}  # type: ignore[attr-defined]
        return tables

    def _one(self, number: int, source: Source) -> None:
        if source.body is None:
            self._count("unreadable")
            self.dead.add((source.topic, source.offset))
            return
        body = source.body
        row = body["after"] or body["before"]
        place = source.place
        identity = (source.table, row["tenant_id"], row["id"], place[0], place[1])
        if identity in self._seen:
            self._count("repeated")
            return
        self._seen.add(identity)
        if source.table in SCORED:
            self._event(number, source, body, row)
        else:
            self._learn(source.table, body, row)

    def _learn(self, table: str, body: Json, row: Json) -> None:
        tenant, key, gone = row["tenant_id"], (row["tenant_id"], row["id"]), body["op"] == "d"
        if tenant in self.tenants:
            self._timer(tenant, self.tenants[tenant], body["source"]["ts_us"] // 1000)
        if table == "tenant":
            self._tenant(tenant).own_limit = None if gone else row.get("max_events_per_second")
        elif table == "site":
            self.sites[key] = [] if gone else [row["name"], row["client_id"]]
        elif table == "person":
            self.persons[key] = [] if gone else [row["name"]]
        elif table == "assignment":
            if body["before"]:
                old = body["before"]
                held = self.shifts.setdefault((tenant, old["person_id"]), [])
                held[:] = [shift for shift in held if shift[0] != old["id"]]
            if not gone:
                times = [_seconds(row["shift_start"]), _seconds(row["shift_end"])]
                held = self.shifts.setdefault((tenant, row["person_id"]), [])
                held[:] = [shift for shift in held if shift[0] != row["id"]]
                held.append([row["id"], row["site_id"], *times])

    def _event(self, number: int, source: Source, body: Json, row: Json) -> None:
        tenant_id = row["tenant_id"]
        tenant = self._tenant(tenant_id)
        event_id = f"{source.table}:{row['id']}:{body['source']['lsn']}"
        self._move(tenant_id, tenant, body["source"]["ts_us"] // 1000 // WINDOW_MS)
        scored = tenant.admitted < tenant.limit
        if scored:
            tenant.admitted += 1
        else:
            self._count("dropped")
            if not tenant.dropped:
                tenant.burst_window = tenant.window
            tenant.dropped += 1
            tenant.last_drop_window = tenant.window
        if source.table == "ticket" and body["op"] == "u":
            old = body["before"]
            if old is None:
                self._count("unjudgeable")
                self.dead.add((source.topic, source.offset))
                return
            if old["status"] != row["status"]:
                self._say(tenant_id, "ticket_updated", event_id, self._ticket(row, old))
        if not scored or body["op"] == "d":
            return
        found = self._findings(source.table, body, row)
        if found:
            self._say(tenant_id, "anomaly_detected", event_id, self._anomaly(row, found))
        else:
            self._count("clean")
            self.clean.setdefault((number, tenant_id), []).append(event_id)

    def _findings(self, table: str, body: Json, row: Json) -> list[str]:
        if table != "attendance":
            return []
        old = body["before"]
        found = []
        if row["verified_person_id"] not in (None, row["person_id"]) and _is_new(PERSONS, old, row):
            found.append("WRONG_PERSON")
        at_s = _seconds(row["occurred_at"])
        shifts = self.shifts.get((row["tenant_id"], row["person_id"]), [])
        covered = any(
            site == row["site_id"] and start - SHIFT_SLACK_S <= at_s <= end + SHIFT_SLACK_S
            for _, site, start, end in shifts
        )
        if row["event_type"] == "CHECK_IN" and not covered and _is_new(VISIT, old, row):
            found.append("UNAUTHORIZED_SITE")
        return sorted(found)

    def _anomaly(self, row: Json, found: list[str]) -> Json:
        site = self.sites.get((row["tenant_id"], row["site_id"])) or [None, None]
        person = self.persons.get((row["tenant_id"], row["person_id"])) or [None]
        return {"findings": found, "site_name": site[0], "client_id": site[1], "person_name": person[0]}

    def _ticket(self, row: Json, old: Json) -> Json:
        site = self.sites.get((row["tenant_id"], row["site_id"])) or [None, None]
        said = {"ticket_id": row["id"], "old_status": old["status"], "new_status": row["status"]}
        return said | {"site_name": site[0], "client_id": site[1]}

    def _move(self, tenant_id: int, tenant: Tenant, window: int) -> None:
        """To a later window; a burst is over once a window without a drop has passed."""
        if window <= tenant.window:
            return
        if tenant.dropped:
            adjacent = window == tenant.last_drop_window + 1
            long = (window - tenant.burst_window) * WINDOW_MS >= LONG_BURST_MS
            if not adjacent or long:
                report = {"dropped": tenant.dropped, "limit": tenant.limit}
                self._say(
                    tenant_id, "rate_limited", f"rate_limit:{tenant_id}:{tenant.burst_window * WINDOW_MS}", report
                )
                tenant.dropped = 0
        if not tenant.dropped:
            tenant.burst_window = tenant.last_drop_window = 0
        tenant.window, tenant.admitted = window, 0

    def _tick(self, until_ms: int) -> None:
        self._count("ticks")
        for tenant_id, tenant in sorted(self.tenants.items()):
            if self._timer(tenant_id, tenant, until_ms):
                self.fired_ms = max(self.fired_ms, tenant.window * WINDOW_MS)

    def _timer(self, tenant_id: int, tenant: Tenant, until_ms: int) -> bool:
        """A burst is over two windows after its last drop, at that time, whenever somebody looks; whether it is."""
        over = tenant.last_drop_window + 2
        if not tenant.dropped or until_ms < over * WINDOW_MS:
            return False
        self._move(tenant_id, tenant, over)
        return True

    def _tenant(self, tenant_id: int) -> Tenant:
        return self.tenants.setdefault(tenant_id, Tenant())

    def _say(self, tenant_id: int, kind: str, event_id: str, said: Json) -> None:
        tenant = self._tenant(tenant_id)
        tenant.seq += 1
        self._count(kind)
        message = {"type": kind, "tenant_id": tenant_id, "seq": tenant.seq, "event_id": event_id}
        self.messages.setdefault(tenant_id, []).append(message | said)

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


def _is_new(names: tuple[str, ...], old: Json | None, row: Json) -> bool:
    """Whether a detector that reads these columns has not judged the same before."""
    return old is None or any(old[name] != row[name] for name in names)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
