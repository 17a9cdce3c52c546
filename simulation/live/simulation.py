"""The simulated day: which row changes come next, and what is planted among them.

Owns the order of things, the rate of planted anomalies and the bursts. What has its time happens then, and the rows
that are left until the next one are fixes. Pure: the same seed, start, resume point and times give the same
transactions; `step` never reads a clock and never waits.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from simulation.live.company import build_company
from simulation.live.fixes import Fixes
from simulation.live.planting import PLANTED_TYPES, Planting
from simulation.live.rota import Rota
from simulation.live.transactions import RATE_LIMITED, Transaction, rounds, transaction
from simulation.live.workload import Workload
from simulation.records import RowChange
from simulation.world.calendar import DAY_S
from simulation.world.company import PERSONS_MAX, Tenant
from simulation.world.devices import Devices
from simulation.world.timeline import Timeline

_PERSONS_PER_ROW_PER_S = 13.5
"""So that those at work, a third, send a fix about every six seconds."""
_PERSONS_MIN = 12
_DELAY_SHARE = 0.5
"""Share of the occasions to plant something that are not taken, so that it does not come like a clock."""
_QUIET_AFTER_BURST_S = 3.0
"""Longer than a window of the rate limit: what is planted must not be dropped with a burst."""
_OUTAGE_S_MAX, _OUTAGE_SHARE_MAX = 8.0, 0.3
"""How long before a burst a tenant's phones have no network; of the time between two bursts at the most."""
_LONG, _LONG_S_MAX = frozenset({"GEOFENCE_VIOLATION", "UNEXPECTED_MOVEMENT"}), 30.0
"""What takes several fixes is not begun when a burst is near, which would have to wait for it."""
_REFERENCE = ("tenant", "client", "site", "person", "assignment")
"""Tables whose rows do not count against the rate limit; each may refer to those before it."""
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
        return max(_PERSONS_MIN, min(wanted, PERSONS_MAX))

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


class _Company:
    """One tenant and the parts of its simulation."""

    def __init__(self, tenant: Tenant, rng: Random, timeline: Timeline, start_s: float, plan: Plan) -> None:
        self.tenant = tenant
        self.quiet_until_s = start_s
        rota = Rota(tenant, rng, timeline, start_s, is_prepared=plan.anomaly_rate > 0)
        self.fixes = Fixes(rota, rng, timeline, start_s)
        self.devices = Devices(timeline, plan.seed, tenant.id, tenant.devices, start_s)
        workload = Workload(rota, rng, timeline, start_s)
        self.planting = Planting(rota, self.fixes, workload, self.devices, rng, timeline)


class Simulation:
    """The transactions of a simulated company, one after the other."""

    def __init__(self, plan: Plan, start_s: float, resume: ResumePoint | None = None) -> None:
        """Make the company.

        Args:
            plan: what it is to be like.
            start_s: the time of the opening, Unix seconds.
            resume: where an earlier run stopped; None for an empty database.
        """
        resume = resume or ResumePoint()
        self.plan = plan
        self._start_s = start_s
        self._rng = Random(f"{plan.seed}/day")
        self._timeline = Timeline(resume.first_ids)
        tenants = build_company(plan.seed, plan.tenants, persons=plan.persons, crew=resume.crew)
        for tenant in tenants:
            self._timeline.insert_reference(tenant, start_s - DAY_S, seen_s=start_s)
        self._companies = [_Company(tenant, self._rng, self._timeline, start_s, plan) for tenant in tenants]
        self._debt = 0.0
        self._tried: Counter[str] = Counter()
        self._awaited: list[tuple[float, str]] = []
        self._plan_burst(start_s)

    def opening(self) -> Iterator[Sequence[Transaction]]:
        """Yield what is there when the day is looked at first, in rounds.

        Each round keeps below every tenant's rate limit; the next one is for a second later.
        """
        reference: dict[int, list[RowChange]] = {each.tenant.id: [] for each in self._companies}
        scored: dict[int, list[RowChange]] = {each.tenant.id: [] for each in self._companies}
        for change in self._timeline.take(self._start_s):
            (reference if change.table in _REFERENCE else scored)[_tenant_id(change)].append(change)
        yield [transaction(tenant_id, changes) for tenant_id, changes in reference.items()]
        yield from rounds(scored, self.plan.round_rows)

    def step(self, now_s: float) -> Transaction:
        """Return the next transaction at a time; times must not go back.

        What was planted earlier and is due by now is among its `planted`.
        """
        step = self._next(now_s) or self._burst(now_s) or self._plant(now_s) or self._filler(now_s)
        self._debt += self.plan.anomaly_rate * len(step.changes)
        return replace(step, planted=(*step.planted, *self.due(now_s)))

    def finish(self, now_s: float) -> Iterator[Transaction]:
        """Yield the changes whose time has come, without planting or filling."""
        while (step := self._next(now_s)) is not None:
            yield step

    def due(self, now_s: float) -> Iterator[str]:
        """Yield the finding types that are due by now, each label once."""
        for label in self._timeline.labels:
            if label.required:
                heapq.heappush(self._awaited, (label.at_s, label.finding_type))
        self._timeline.labels.clear()
        while self._awaited and self._awaited[0][0] <= now_s:
            yield heapq.heappop(self._awaited)[1]

    @property
    def first_due_s(self) -> float | None:
        """When the next planted anomaly is due; None if there is none."""
        return self._awaited[0][0] if self._awaited else None

    def _next(self, now_s: float) -> Transaction | None:
        """The next change whose time has come."""
        change = next(self._timeline.take(now_s), None)
        return None if change is None else transaction(_tenant_id(change), [change])

    def _burst(self, now_s: float) -> Transaction | None:
        if self.plan.burst_interval_s <= 0 or now_s < self._next_burst_s:
            return None
        company = self._cut_off
        if company.fixes.is_planned(now_s) or now_s < company.quiet_until_s:
            return None
        self._plan_burst(now_s)
        if not company.fixes.send_backlog(now_s, self.plan.burst_rows):
            return None
        company.quiet_until_s = now_s + _QUIET_AFTER_BURST_S
        return transaction(company.tenant.id, list(self._timeline.take(now_s)), [RATE_LIMITED])

    def _plant(self, now_s: float) -> Transaction | None:
        # An anomaly is due once enough rows were written; when exactly it comes is random.
        if self._debt < 1 or self._rng.random() < _DELAY_SHARE:
            return None
        company = self._rng.choice(self._companies)
        if now_s < company.quiet_until_s:
            return None
        is_long_possible = self.plan.burst_interval_s <= 0 or self._next_burst_s - now_s > _LONG_S_MAX
        # What was planted least comes first, so that a short run shows all there is.
        for kind in sorted(self._rng.sample(list(PLANTED_TYPES), len(PLANTED_TYPES)), key=self._tried.__getitem__):
            if (is_long_possible or kind not in _LONG) and PLANTED_TYPES[kind](company.planting, now_s):
                self._debt -= 1
                self._tried[kind] += 1
                # What is planted by leaving a row out comes with another one.
                return self._next(now_s) or self._filler(now_s)
        return None

    def _filler(self, now_s: float) -> Transaction:
        """A fix of whoever waits longest for one; where nobody is at work, the report of a device."""
        is_cut_off = self.plan.burst_interval_s > 0 and now_s >= self._next_burst_s - self._outage_s
        waiting = []
        for number, company in enumerate(self._companies):
            first = company.fixes.first(now_s)
            if first is not None:
                since_s, shift = first
                waiting.append((is_cut_off and company is self._cut_off, since_s, number, company, shift))
        if waiting:
            *_, company, shift = min(waiting, key=lambda each: each[:3])
            company.fixes.send(shift, now_s)
        else:
            company = self._rng.choice(self._companies)
            company.devices.report(self._rng.choice(company.devices.online(now_s)), now_s)
        change = next(self._timeline.take(now_s))
        return transaction(company.tenant.id, [change])

    def _plan_burst(self, now_s: float) -> None:
        """Where the network goes away next, and when it is back."""
        self._cut_off = self._rng.choice(self._companies)
        self._next_burst_s = now_s + self.plan.burst_interval_s * self._rng.uniform(0.7, 1.3)
        self._outage_s = min(_OUTAGE_S_MAX, self.plan.burst_interval_s * _OUTAGE_SHARE_MAX)


def _tenant_id(change: RowChange) -> int:
    return int((change.after or change.before or {})["tenant_id"])
