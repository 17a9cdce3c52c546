"""The demo's company before the real fold: its transactions as changes, micro-batches and ticks, without servers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from support.changes import Worker, change

from contracts.envelope import Change
from contracts.feed import AnomalyDetected, TicketUpdated
from detectors.registry import named
from simulation.live.operations import Delete, Insert, Operation, Transaction
from simulation.live.rounds import rounds
from simulation.live.simulation import Plan, ResumePoint, Simulation
from simulation.live.sql import GROWING_TABLES
from simulation.live.wind_down import CHECK_IN_AGE_MAX, ENDED, ENDS, OpenRows, endings

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
COMMIT_DELAY = timedelta(seconds=0.4)
ROUND = timedelta(seconds=1.1)
SETTLED = timedelta(seconds=3)


@dataclass
class CompanyDay:
    """A simulation, the tables that its rows add up to, and a worker with all detectors that sees each change."""

    plan: Plan
    start: datetime = START
    resume: ResumePoint | None = None
    worker: Worker = field(default_factory=lambda: Worker(detectors=named(None)))
    planted: Counter[str] = field(default_factory=Counter)
    tables: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    rows: int = 0
    by_table: Counter[str] = field(default_factory=Counter)
    lsn: int = 100
    now: datetime = START

    def run(self, seconds: float) -> None:
        """The opening and so many seconds after it, with a tick each second."""
        simulation = Simulation(self.plan, self.start, self.resume)
        self.now = self.start
        for one in simulation.opening():
            self._commit(one, self.now)
            self.now += ROUND
        began, due, step = self.now, 0.0, 1 / self.plan.rows_per_s
        while due < seconds:
            part = []
            until = due + 1
            while due < until:
                part.append((simulation.step(began + timedelta(seconds=due)), began + timedelta(seconds=due)))
                due += step
            for transaction, at in part:
                self._commit([transaction], at)
            self.now = began + timedelta(seconds=due)
            self.worker.run([], tick_ms=round(self.now.timestamp() * 1000))
        # The last burst is told when it is over.
        self.now += SETTLED
        self.worker.run([], tick_ms=round(self.now.timestamp() * 1000))
        self.planted.update(simulation.due(self.now))

    def end_what_is_open(self) -> None:
        """End the run as the writer does."""
        last = {}
        for (table, _), row in sorted(self.tables.items(), key=lambda item: str(item[1].get("occurred_at"))):
            if table == "attendance" and row["occurred_at"] > self.now - CHECK_IN_AGE_MAX:
                last[row["person_id"]] = row
        checks = [row for row in last.values() if row["event_type"] == "CHECK_IN"]
        open_rows = OpenRows(
            check_ins=[(row["tenant_id"], row["person_id"], row["site_id"]) for row in checks],
            work=[
                (table, row["tenant_id"], row["id"])
                for (table, _), row in self.tables.items()
                if table in ENDS and row["status"] not in ENDED
            ],
            devices=[(row["tenant_id"], row["id"]) for (table, _), row in self.tables.items() if table == "device"],
            attendance_id=self.free_ids()["attendance"],
        )
        for one in rounds(endings(open_rows, self.now), self.plan.round_rows):
            self._commit(one, self.now)
            self.now += ROUND

    def free_ids(self) -> dict[str, int]:
        """Where the next run goes on."""
        return {table: 1 + max(row_id for name, row_id in self.tables if name == table) for table in GROWING_TABLES}

    def found(self) -> Counter[str]:
        """Findings by type, and messages by type where they are none."""
        found: Counter[str] = Counter()
        for record in self.worker.feed():
            if isinstance(record, AnomalyDetected):
                found.update(finding.finding_type for finding in record.findings)
            else:
                found["ticket_updated" if isinstance(record, TicketUpdated) else "rate_limited"] += 1
        return found

    def _commit(self, transactions: Iterable[Transaction], at: datetime) -> None:
        at_us = round((at + COMMIT_DELAY).timestamp() * 1e6)
        changes: list[Change] = []
        for transaction in transactions:
            changes.extend(self._change(operation, at_us) for operation in transaction.operations)
            self.rows += len(transaction.operations)
            self.by_table.update(operation.table for operation in transaction.operations)
            self.planted.update(transaction.planted)
        self.worker.run(changes)

    def _change(self, operation: Operation, at_us: int) -> Change:
        self.lsn += 1
        if isinstance(operation, Insert):
            after = dict(operation.values)
            self.tables[operation.table, int(str(after["id"]))] = after
            return change(operation.table, after, lsn=self.lsn, at_us=at_us)
        key = (operation.table, operation.row_id)
        if isinstance(operation, Delete):
            return change(operation.table, None, self.tables.pop(key), lsn=self.lsn, at_us=at_us)
        before = self.tables[key]
        after = self.tables[key] = before | dict(operation.values)
        return change(operation.table, after, before, lsn=self.lsn, at_us=at_us)
