"""The simulated day: which row changes come next, and what is planted among them.

Owns the mix of activities, the rate of planted anomalies and the bursts. Pure: the same seed, start,
resume point and times give the same transactions; `step` never reads a clock and never waits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from deploy.demo.company import Tenant, build_company
from deploy.demo.operations import ANOMALIES, Insert, Operation, Planted, Transaction
from deploy.demo.roster import Roster
from deploy.demo.work import OpenItem, Work

_ACTIVITIES = {"fix": 58, "attend": 8, "job": 14, "ticket": 5, "device": 10, "work_order": 2, "renew": 3}
_PAYMENT_DELAY_SHARE = 0.5
"""Of the occasions to plant what is owed are left to chance, so that it does not come like a clock."""
_QUIET_AFTER_BURST = timedelta(seconds=3)
"""Longer than a window of the rate limit: what is planted must not be dropped with a burst."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the simulation is to be like."""

    seed: int = 1
    tenants: int = 3
    anomaly_rate: float = 0.02
    """Planted anomalies per row written, 0 to 0.5."""
    burst_interval_s: float = 60.0
    """Seconds between two bursts over the rate limit, on average; 0 for none."""
    burst_rows: int = 150


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where an earlier run on the same database stopped."""

    first_ids: Mapping[str, int] = field(default_factory=dict)
    """The next free id of each table that grows; 1 where it is not named."""
    open_items: Mapping[str, Sequence[OpenItem]] = field(default_factory=dict)
    """Unfinished rows of `ticket`, `jobneed` and `work_order`."""


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
        self.tenants = build_company(plan.seed, plan.tenants)
        self._start = start
        self._rng = Random(f"{plan.seed}/day")  # noqa: S311 - a simulation, to be repeated
        self._ids = dict(resume.first_ids)
        self._rosters = {tenant.id: Roster(tenant, self._rng, self._next_id) for tenant in self.tenants}
        self._work = {
            tenant.id: Work(tenant, self._rng, self._next_id, self._rosters[tenant.id].someone)
            for tenant in self.tenants
        }
        for table, items in resume.open_items.items():
            for item in items:
                if item.tenant_id in self._work:
                    self._work[item.tenant_id].carry_over(table, [item])
        self._debt = 0.0
        self._quiet_until = {tenant.id: start for tenant in self.tenants}
        self._next_burst = start + self._burst_pause()

    def opening(self) -> Iterator[Transaction]:
        """Yield the reference rows and the first shifts, one transaction a tenant."""
        for tenant in self.tenants:
            rows = [self._seen(row) for row in tenant.rows()]
            rows.extend(self._rosters[tenant.id].opening(self._start))
            yield Transaction(tenant.id, tuple(rows))

    def step(self, now: datetime) -> Transaction:
        """Return the next transaction, with `now` as the time of what happens in it; times must not go back."""
        tenant = self._rng.choice(self.tenants)
        transaction = self._burst(tenant, now) or self._planted(tenant, now) or self._ordinary(tenant, now)
        self._debt += self.plan.anomaly_rate * len(transaction.operations)
        return transaction

    def _burst(self, tenant: Tenant, now: datetime) -> Transaction | None:
        if self.plan.burst_interval_s <= 0 or now < self._next_burst:
            return None
        self._next_burst = now + self._burst_pause()
        fixes = self._rosters[tenant.id].backlog(now, self.plan.burst_rows)
        if not fixes:
            return None
        self._quiet_until[tenant.id] = now + _QUIET_AFTER_BURST
        return Transaction(tenant.id, tuple(fixes), Planted.RATE_LIMITED)

    def _planted(self, tenant: Tenant, now: datetime) -> Transaction | None:
        # An anomaly is owed once enough rows were written; chance decides when it is paid.
        if self._debt < 1 or now < self._quiet_until[tenant.id] or self._rng.random() < _PAYMENT_DELAY_SHARE:
            return None
        planted = self._rosters[tenant.id].plant(self._rng.choice(ANOMALIES), now)
        if planted is None:
            return None
        self._debt -= 1
        kind, row = planted
        return Transaction(tenant.id, (row,), kind)

    def _ordinary(self, tenant: Tenant, now: datetime) -> Transaction:
        roster, work = self._rosters[tenant.id], self._work[tenant.id]
        [activity] = self._rng.choices(list(_ACTIVITIES), list(_ACTIVITIES.values()))
        row: Operation | None = None
        if activity == "ticket":
            row, changed = work.ticket(now)
            return Transaction(tenant.id, (row,), Planted.TICKET_UPDATED if changed else None)
        if activity == "job":
            row = work.job(now)
        elif activity == "work_order":
            row = work.work_order(now)
        elif activity == "renew":
            row = roster.renew(now)
        elif activity == "attend":
            row = roster.attend(now)
        elif activity == "fix":
            # Nobody there yet: somebody has to arrive first.
            row = roster.fix(now) or roster.attend(now)
        return Transaction(tenant.id, (row or work.device(now),))

    def _seen(self, row: Insert) -> Insert:
        return Insert("device", {**row.values, "last_seen": self._start}) if row.table == "device" else row

    def _burst_pause(self) -> timedelta:
        return timedelta(seconds=self.plan.burst_interval_s * self._rng.uniform(0.7, 1.3))

    def _next_id(self, table: str) -> int:
        following = self._ids.get(table, 1)
        self._ids[table] = following + 1
        return following
