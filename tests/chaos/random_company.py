"""A made-up company's row changes, as Debezium would say them: seeded, endless, in commit order.

Several tenants; transactions of several rows over several tables; transactions that began early and commit
late; anomalies, ticket status changes, bursts over the rate limit, unreadable records, changes of reference
data that later judgements depend on. Shares no code with the product.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

TABLES = (
    "tenant",
    "client",
    "site",
    "person",
    "assignment",
    "device",
    "attendance",
    "jobneed",
    "location",
    "ticket",
    "work_order",
)
_STATUSES = ("NEW", "OPEN", "IN_PROGRESS", "ON_HOLD", "RESOLVED", "CLOSED")
_PERSONS = 12
_SITES = 4
_KEPT_ROWS = 40
"""Tickets and check-ins per tenant that can still be changed."""

Row = dict[str, Any]


class Message(NamedTuple):
    """A record for a captured topic."""

    table: str
    tenant: int
    value: bytes


class _Statement(NamedTuple):
    table: str
    tenant: int
    before: Row | None
    after: Row | None
    keeps_before: bool = True


class Company:
    """Draws transactions.

    Args:
        seed: the same seed gives the same rows (their times are the caller's).
        tenants: how many; their ids are 1 to that.
    """

    def __init__(self, seed: int, tenants: int) -> None:
        self._random = random.Random(seed)
        self.tenants = range(1, tenants + 1)
        self._next_id = 1_000
        self._lsn = 1_000_000
        self._commit_lsn = 999_000
        self._tickets: dict[int, list[Row]] = {tenant: [] for tenant in self.tenants}
        self._check_ins: dict[int, list[Row]] = {tenant: [] for tenant in self.tenants}
        self._shifts: dict[int, list[Row]] = {tenant: [] for tenant in self.tenants}
        self._site_names: dict[tuple[int, int], Row] = {}
        self._limits: dict[int, Row] = {}

    def founding(self, now: datetime) -> Iterator[Message]:
        """The reference data, one transaction a tenant."""
        for tenant in self.tenants:
            statements = [_Statement("tenant", tenant, None, self._tenant_row(tenant, None))]
            statements.append(
                _Statement("client", tenant, None, {"id": tenant, "tenant_id": tenant, "name": f"Client {tenant}"})
            )
            for number in range(_SITES):
                row = {"id": tenant * 100 + number, "tenant_id": tenant, "client_id": tenant, "name": f"Site {number}"}
                self._site_names[tenant, number] = row
                statements.append(_Statement("site", tenant, None, row))
            for number in range(_PERSONS):
                row = {"id": tenant * 100 + number, "tenant_id": tenant, "name": f"Person {tenant}-{number}"}
                statements.append(_Statement("person", tenant, None, row))
                statements.append(self._new_shift(tenant, tenant * 100 + number, now))
            yield from self._transaction(statements, now)

    def more_persons(self, count: int, now: datetime) -> Iterator[Message]:
        """Persons that nobody talks of: state to carry."""
        for number in range(count):
            tenant = self.tenants[number % len(self.tenants)]
            row = {"id": 10_000_000 + number, "tenant_id": tenant, "name": f"Person {number}"}
            yield from self._transaction([_Statement("person", tenant, None, row)], now)

    def rows(self, count: int, now: datetime, tenant: int | None = None) -> Iterator[Message]:
        """About `count` row changes committed at `now`, of one tenant or of all."""
        made = 0
        while made < count:
            first = self._statements(now, tenant)
            made += len(first)
            if self._random.random() < 0.1:
                # Two transactions at once: the second to begin commits first.
                second = self._statements(now, tenant)
                made += len(second)
                early = self._reserve(len(first))
                yield from self._transaction(second, now)
                yield from self._transaction(first, now, early)
            else:
                yield from self._transaction(first, now)
            if self._random.random() < 0.0005:
                owner = tenant or self._random.choice(self.tenants)
                bad = (b"{not json", b'{"op":"c","after":{"id":"x"},"source":null}', b"\xff\xfe")
                yield Message("attendance", owner, self._random.choice(bad))

    def _statements(self, now: datetime, tenant: int | None) -> list[_Statement]:
        owner = tenant or self._random.choice(self.tenants)
        return [self._statement(owner, now) for _ in range(self._random.choice((1, 1, 1, 2, 4)))]

    def _statement(self, tenant: int, now: datetime) -> _Statement:
        drawn = self._random.random()
        if drawn < 0.30:
            return self._check_in(tenant, now)
        if drawn < 0.35:
            return self._changed_check_in(tenant, now)
        if drawn < 0.50:
            return self._ticket(tenant, now)
        if drawn < 0.52:
            return self._reference(tenant, now)
        table = self._random.choice(("jobneed", "location", "location", "device", "work_order"))
        row = {"id": self._id(), "tenant_id": tenant, "site_id": self._site(tenant)}
        if self._random.random() < 0.03:
            return _Statement(table, tenant, row, None)
        return _Statement(table, tenant, None, row)

    def _check_in(self, tenant: int, now: datetime) -> _Statement:
        person = self._person(tenant)
        verified: int | None = person
        if self._random.random() < 0.08:
            verified = self._random.choice((None, self._person(tenant)))
        row = {
            "id": self._id(),
            "tenant_id": tenant,
            "site_id": self._likely_site(tenant, person),
            "person_id": person,
            "verified_person_id": verified,
            "event_type": self._random.choice(("CHECK_IN", "CHECK_IN", "CHECK_OUT")),
            "occurred_at": iso(now),
            "accuracy_m": 5.0,
        }
        _keep(self._check_ins[tenant], row, self._random)
        return _Statement("attendance", tenant, None, row)

    def _changed_check_in(self, tenant: int, now: datetime) -> _Statement:
        known = self._check_ins[tenant]
        if not known:
            return self._check_in(tenant, now)
        at = self._random.randrange(len(known))
        before = known[at]
        change = self._random.choice(({"accuracy_m": 9.5}, {"verified_person_id": self._person(tenant)}))
        known[at] = before | change
        return _Statement("attendance", tenant, before, known[at], keeps_before=self._random.random() < 0.9)

    def _ticket(self, tenant: int, now: datetime) -> _Statement:
        known = self._tickets[tenant]
        if not known or self._random.random() < 0.25:
            row = {
                "id": self._id(),
                "tenant_id": tenant,
                "site_id": self._site(tenant),
                "ticket_no": f"T-{self._next_id}",
                "status": "NEW",
                "priority": "HIGH",
                "description": "door open",
                "updated_at": iso(now),
            }
            _keep(known, row, self._random)
            return _Statement("ticket", tenant, None, row)
        at = self._random.randrange(len(known))
        before = known[at]
        if self._random.random() < 0.05:
            return _Statement("ticket", tenant, known.pop(at), None)
        status = before["status"] if self._random.random() < 0.2 else self._random.choice(_STATUSES)
        known[at] = before | {"status": status, "updated_at": iso(now)}
        # Now and then a table that does not log its old rows: nobody can tell what changed.
        return _Statement("ticket", tenant, before, known[at], keeps_before=self._random.random() > 0.003)

    def _reference(self, tenant: int, now: datetime) -> _Statement:
        drawn = self._random.random()
        shifts = self._shifts[tenant]
        if drawn < 0.25:
            number = self._random.randrange(_SITES)
            before = self._site_names[tenant, number]
            after = before | {"name": f"Site {number} v{self._id()}"}
            self._site_names[tenant, number] = after
            return _Statement("site", tenant, before, after)
        if drawn < 0.35:
            before = self._limits[tenant]
            return _Statement("tenant", tenant, before, self._tenant_row(tenant, self._random.choice((None, 60, 250))))
        if drawn < 0.6 and len(shifts) < 2 * _PERSONS:
            return self._new_shift(tenant, self._person(tenant), now)
        at = self._random.randrange(len(shifts))
        before = shifts[at]
        if drawn < 0.8 and len(shifts) > _PERSONS // 2:
            del shifts[at]
            return _Statement("assignment", tenant, before, None)
        shifts[at] = before | {"site_id": self._site(tenant), "person_id": self._person(tenant)}
        return _Statement("assignment", tenant, before, shifts[at])

    def _new_shift(self, tenant: int, person: int, now: datetime) -> _Statement:
        row = {
            "id": self._id(),
            "tenant_id": tenant,
            "person_id": person,
            "site_id": self._site(tenant),
            "shift_start": iso(now - timedelta(hours=2)),
            "shift_end": iso(now + timedelta(hours=6)),
        }
        self._shifts[tenant].append(row)
        return _Statement("assignment", tenant, None, row)

    def _tenant_row(self, tenant: int, limit: int | None) -> Row:
        row = {"id": tenant, "tenant_id": tenant, "name": f"Tenant {tenant}", "max_events_per_second": limit}
        self._limits[tenant] = row
        return row

    def _transaction(
        self, statements: list[_Statement], now: datetime, lsns: list[int] | None = None
    ) -> Iterator[Message]:
        lsns = lsns or self._reserve(len(statements))
        before_this = self._commit_lsn
        for statement, lsn in zip(statements, lsns, strict=True):
            yield Message(statement.table, statement.tenant, _envelope(statement, before_this, lsn, now))
        self._lsn += 56
        self._commit_lsn = self._lsn

    def _reserve(self, count: int) -> list[int]:
        lsns = []
        for _ in range(count):
            self._lsn += self._random.randrange(40, 200)
            lsns.append(self._lsn)
        return lsns

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _site(self, tenant: int) -> int:
        return tenant * 100 + self._random.randrange(_SITES)

    def _person(self, tenant: int) -> int:
        return tenant * 100 + self._random.randrange(_PERSONS)

    def _likely_site(self, tenant: int, person: int) -> int:
        sites = [shift["site_id"] for shift in self._shifts[tenant] if shift["person_id"] == person]
        return int(self._random.choice(sites)) if sites and self._random.random() < 0.85 else self._site(tenant)


def iso(moment: datetime) -> str:
    """As Debezium's isostring."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _keep(rows: list[Row], row: Row, draws: random.Random) -> None:
    rows.append(row)
    if len(rows) > _KEPT_ROWS:
        del rows[draws.randrange(_KEPT_ROWS)]


def _envelope(statement: _Statement, commit_lsn: int, lsn: int, now: datetime) -> bytes:
    before, after = statement.before, statement.after
    commit_us = int(now.timestamp() * 1e6)
    body = {
        "before": before if statement.keeps_before else None,
        "after": after,
        "source": {
            "version": "3.6.0.Final",
            "connector": "postgresql",
            "name": "chaos",
            "ts_ms": commit_us // 1000,
            "snapshot": "false",
            "db": "chaos",
            "sequence": f'["{commit_lsn}","{lsn}"]',
            "ts_us": commit_us,
            "schema": "public",
            "table": statement.table,
            "txId": commit_lsn % 100_000,
            "lsn": lsn,
            "xmin": None,
        },
        "transaction": None,
        "op": "c" if before is None else "d" if after is None else "u",
        "ts_ms": commit_us // 1000,
    }
    return json.dumps(body, separators=(",", ":")).encode()
