"""The simulated day: which row changes come next, and what is planted among them.

Owns the order of things, the rate of planted anomalies and the bursts. What has its time happens then, and the rows
that are left until the next one are fixes. Pure: the same seed, start, resume point and times give the same
transactions; `step` never reads a clock and never waits.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from simulation.live.agenda import Agenda
from simulation.live.company import PERSONS_PER_TENANT_MAX, Tenant, build_company
from simulation.live.operations import ANOMALIES, Insert, Planted, Transaction
from simulation.live.people import People
from simulation.live.rounds import Told, rounds

_PERSONS_PER_ROW_PER_S = 13.5
"""So that those at work, a third, send a fix about every six seconds."""
_PERSONS_MIN = 12
_PAYMENT_DELAY_SHARE = 0.5
"""Of the occasions to plant what is owed are left to chance, so that it does not come like a clock."""
_QUIET_AFTER_BURST = timedelta(seconds=3)
"""Longer than a window of the rate limit: what is planted must not be dropped with a burst."""
_OUTAGE_S_MAX, _OUTAGE_SHARE_MAX = 8.0, 0.3
"""How long before a burst a tenant's telephones have no network; of the time between two bursts at the most."""
_LONG, _LONG_MAX = frozenset({Planted.GEOFENCE_VIOLATION, Planted.UNEXPECTED_MOVEMENT}), timedelta(seconds=30)
"""What takes several fixes is not begun when a burst is near, which would have to wait for it."""
_REFERENCE = frozenset({"tenant", "client", "site", "person", "assignment"})
"""Tables whose rows do not count against the rate limit."""
_ROUND_SHARE = 0.6
"""Of a burst's rows are in one round, which therefore stays below the limit."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the simulation is to be like."""

    seed: int = 1
    tenants: int = 3
    anomaly_rate: float = 0.01
    """Planted anomalies per row written, 0 to 0.5."""
    burst_interval_s: float = 60.0
    """Seconds between two bursts over the rate limit, on average; 0 for none."""
    burst_rows: int = 150
    rows_per_s: float = 20.0
    """Over all tenants; a burst counts as one. The company has as many persons as that can show."""

    @property
    def persons(self) -> int:
        """Of each tenant."""
        wanted = round(_PERSONS_PER_ROW_PER_S * self.rows_per_s / self.tenants)
        return max(_PERSONS_MIN, min(wanted, PERSONS_PER_TENANT_MAX))

    @property
    def round_rows(self) -> int:
        """Rows of a tenant that may come at once."""
        return max(1, int(self.burst_rows * _ROUND_SHARE))


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where an earlier run on the same database stopped."""

    first_ids: Mapping[str, int] = field(default_factory=dict)
    """The next free id of each table that grows; 1 where it is not named."""
    crew: int = 0
    """Which identifiers the persons of this run have."""


class Simulation:
    """The transactions of a simulated company, one after the other."""

    def __init__(self, plan: Plan, start: datetime, resume: ResumePoint | None = None) -> None:
        """Make the company.

        Args:
            plan: what it is to be like.
            start: the time of the opening, timezone-aware.
            resume: where an earlier run stopped; None for an empty database.
        """
        resume = resume or ResumePoint()
        self.plan = plan
        self.tenants = build_company(plan.seed, plan.tenants, persons=plan.persons, crew=resume.crew)
        self._start = start
        self._rng = Random(f"{plan.seed}/day")
        self._ids = dict(resume.first_ids)
        self._agenda = Agenda()
        self._people = {
            tenant.id: People(tenant, self._rng, self._next_id, self._agenda, tempted=plan.anomaly_rate > 0)
            for tenant in self.tenants
        }
        self._debt = 0.0
        self._tried: Counter[Planted] = Counter()
        self._awaited: list[tuple[datetime, Planted]] = []
        self._quiet_until = {tenant.id: start for tenant in self.tenants}
        self._plan_burst(start)

    def opening(self) -> Iterator[Sequence[Transaction]]:
        """Yield what is there when the day is looked at first, in rounds.

        Each round keeps below every tenant's rate limit; the next one is for a second later.
        """
        reference: list[Transaction] = []
        scored: dict[int, list[Told]] = {}
        for tenant in self.tenants:
            rows = [self._seen(row) for row in tenant.rows()]
            rows.extend(self._people[tenant.id].opening(self._start))
            reference.append(Transaction(tenant.id, tuple(row for row in rows if row.table in _REFERENCE)))
            scored[tenant.id] = [(row, None) for row in rows if row.table not in _REFERENCE]
        yield reference
        yield from rounds(scored, self.plan.round_rows)

    def step(self, now: datetime) -> Transaction:
        """Return the next transaction, with `now` as the time of what happens in it; times must not go back.

        What was planted earlier and is due by now is among its `planted`.
        """
        transaction = self._burst(now) or self._agenda.take(now) or self._planted(now) or self._fix(now)
        self._debt += self.plan.anomaly_rate * len(transaction.operations)
        for each in transaction.later:
            heapq.heappush(self._awaited, each)
        return replace(transaction, planted=(*transaction.planted, *self.due(now)))

    def due(self, now: datetime) -> Iterator[Planted]:
        """Yield what was planted for a later time that has come, each once."""
        while self._awaited and self._awaited[0][0] <= now:
            yield heapq.heappop(self._awaited)[1]

    @property
    def first_due(self) -> datetime | None:
        """When the next of what was planted for a later time comes due; None where nothing waits."""
        return self._awaited[0][0] if self._awaited else None

    def _burst(self, now: datetime) -> Transaction | None:
        if self.plan.burst_interval_s <= 0 or now < self._next_burst:
            return None
        tenant = self._cut_off
        people = self._people[tenant.id]
        if people.busy or now < self._quiet_until[tenant.id]:
            return None
        self._plan_burst(now)
        fixes = people.backlog(now, self.plan.burst_rows)
        if not fixes:
            return None
        self._quiet_until[tenant.id] = now + _QUIET_AFTER_BURST
        return Transaction(tenant.id, tuple(fixes), (Planted.RATE_LIMITED,))

    def _planted(self, now: datetime) -> Transaction | None:
        # An anomaly is owed once enough rows were written; chance decides when it is paid.
        if self._debt < 1 or self._rng.random() < _PAYMENT_DELAY_SHARE:
            return None
        tenant: Tenant = self._rng.choice(self.tenants)
        if now < self._quiet_until[tenant.id]:
            return None
        plants = self._people[tenant.id].plants
        long = self.plan.burst_interval_s <= 0 or self._next_burst - now > _LONG_MAX
        # What was planted least comes first, so that a short run shows all there is.
        for kind in sorted(self._rng.sample(ANOMALIES, len(ANOMALIES)), key=self._tried.__getitem__):
            if kind in _LONG and not long:
                continue
            transaction = plants[kind](now)
            if transaction is not None:
                self._debt -= 1
                self._tried[kind] += 1
                # What is planted by leaving a row out comes with another one.
                return transaction if transaction.operations else replace(self._fix(now), later=transaction.later)
        return None

    def _fix(self, now: datetime) -> Transaction:
        """A fix of whoever waits longest for one; where nobody is at work, the report of a device."""
        cut_off = self.plan.burst_interval_s > 0 and now >= self._next_burst - self._outage
        waiting = []
        for tenant_id, people in self._people.items():
            first = people.first_waiting()
            if first is not None:
                waiting.append((cut_off and tenant_id == self._cut_off.id, *first, people))
        if not waiting:
            return self._people[self._rng.choice(self.tenants).id].report(now)
        *_, duty, people = min(waiting, key=lambda each: each[:3])
        return people.fix(duty, now)

    def _seen(self, row: Insert) -> Insert:
        return Insert("device", {**row.values, "last_seen": self._start}) if row.table == "device" else row

    def _plan_burst(self, now: datetime) -> None:
        """Where the network goes away next, and when it is back."""
        self._cut_off = self._rng.choice(self.tenants)
        self._next_burst = now + timedelta(seconds=self.plan.burst_interval_s * self._rng.uniform(0.7, 1.3))
        self._outage = timedelta(seconds=min(_OUTAGE_S_MAX, self.plan.burst_interval_s * _OUTAGE_SHARE_MAX))

    def _next_id(self, table: str) -> int:
        following = self._ids.get(table, 1)
        self._ids[table] = following + 1
        return following
