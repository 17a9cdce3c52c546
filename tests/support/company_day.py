"""The demo's company before the real fold: its transactions as changes, micro-batches and ticks, without servers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from support.changes import Worker, change

from contracts.envelope import Change
from contracts.feed import AnomalyDetected, TicketUpdated
from detectors.registry import named
from simulation.live.simulation import Plan, ResumePoint, Simulation
from simulation.live.sql import GROWING_TABLES
from simulation.live.transactions import Transaction, rounds
from simulation.live.wind_down import CHECK_IN_AGE_S_MAX, FINAL_STATUS, OpenRows, endings
from simulation.records import RowChange
from simulation.world.calendar import moment
from simulation.world.timeline import ENDED

START_S = datetime(2026, 3, 2, 9, 0, tzinfo=UTC).timestamp()
COMMIT_DELAY_S = 0.4
ROUND_S = 1.1
SETTLED_S = 3.0


@dataclass
class CompanyDay:
    """A simulation, the tables that its rows add up to, and a worker with all detectors that sees each change."""

    plan: Plan
    start_s: float = START_S
    resume: ResumePoint | None = None
    worker: Worker = field(default_factory=lambda: Worker(detectors=named(None)))
    planted: Counter[str] = field(default_factory=Counter)
    tables: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    rows: int = 0
    by_table: Counter[str] = field(default_factory=Counter)
    lsn: int = 100
    now_s: float = START_S

    def run(self, seconds: float) -> None:
        """The opening and so many seconds after it, with a tick each second."""
        simulation = Simulation(self.plan, self.start_s, self.resume)
        self.now_s = self.start_s
        for one in simulation.opening():
            self._commit(one, self.now_s)
            self.now_s += ROUND_S
        began_s, due, step = self.now_s, 0.0, 1 / self.plan.rows_per_s
        while due < seconds:
            part = []
            until = due + 1
            while due < until:
                part.append((simulation.step(began_s + due), began_s + due))
                due += step
            for transaction, at_s in part:
                self._commit([transaction], at_s)
            self.now_s = began_s + due
            self._tick()
        # The last burst is told when it is over.
        self.now_s += SETTLED_S
        for transaction in simulation.finish(self.now_s):
            self._commit([transaction], self.now_s - COMMIT_DELAY_S)
        self._tick()
        self.planted.update(simulation.due(self.now_s))

    def _tick(self) -> None:
        self.worker.run([], tick_ms=round(self.now_s * 1000))

    def end_what_is_open(self) -> None:
        """End the run as the writer does."""
        last = {}
        for (table, _), row in sorted(self.tables.items(), key=lambda item: str(item[1].get("occurred_at"))):
            if table == "attendance" and row["occurred_at"] > moment(self.now_s - CHECK_IN_AGE_S_MAX):
                last[row["person_id"]] = row
        checks = [row for row in last.values() if row["event_type"] == "CHECK_IN"]
        open_rows = OpenRows(
            check_ins=[(row["tenant_id"], row["person_id"], row["site_id"]) for row in checks],
            work=[
                (table, row["tenant_id"], row["id"], row["status"])
                for (table, _), row in self.tables.items()
                if table in FINAL_STATUS and row["status"] not in ENDED
            ],
            devices=[(row["tenant_id"], row["id"]) for (table, _), row in self.tables.items() if table == "device"],
            attendance_id=self.free_ids()["attendance"],
        )
        for one in rounds(endings(open_rows, self.now_s), self.plan.round_rows):
            self._commit(one, self.now_s)
            self.now_s += ROUND_S

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

    def _commit(self, transactions: Iterable[Transaction], at_s: float) -> None:
        at_us = round((at_s + COMMIT_DELAY_S) * 1e6)
        changes: list[Change] = []
        for transaction in transactions:
            changes.extend(self._change(each, at_us) for each in transaction.changes)
            self.rows += len(transaction.changes)
            self.by_table.update(each.table for each in transaction.changes)
            self.planted.update(transaction.planted)
        self.worker.run(changes)

    def _change(self, row_change: RowChange, at_us: int) -> Change:
        self.lsn += 1
        table, before, after = row_change.table, row_change.before, row_change.after
        key = (table, (after or before or {})["id"])
        before = None if before is None else self.tables.pop(key)
        if after is not None:
            after = self.tables[key] = (before or {}) | after
        return change(table, after, before, lsn=self.lsn, at_us=at_us)
