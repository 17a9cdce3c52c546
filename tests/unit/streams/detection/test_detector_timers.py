"""What did not happen is found at its time: by a tick, by the tenant's next row, after a restart, from a snapshot."""

from datetime import UTC, datetime, timedelta
from typing import Any

from support.changes import NOW, NOW_US, Worker, change, check_in
from support.sla_tickets import DUE_MS, HOUR_MS, NOW_MS, ticket, types, worker

from common.settings.worker import WorkerSettings
from contracts.envelope import Change
from detectors.registry import named
from streams.engine.state.partition_state import PartitionState
from streams.state.tables import table_specs


def test_a_breach_is_told_by_the_tick_at_its_time_and_once() -> None:
    sut = worker()
    assert sut.run([ticket()]) == []
    assert sut.wake_at_ms == DUE_MS
    assert sut.run([], tick_ms=DUE_MS - 1) == []
    (record,) = sut.run([], tick_ms=DUE_MS + 300)
    assert types([record]) == ["TICKET_SLA_BREACH"]
    assert record.time == f"{datetime.fromtimestamp(DUE_MS / 1000, UTC):%Y-%m-%dT%H:%M:%S}.000000Z"
    assert sut.run([], tick_ms=DUE_MS + 10 * HOUR_MS) == []
    assert sut.wake_at_ms is None


def test_a_ticket_that_ended_in_time_is_not_told() -> None:
    sut = worker()
    sut.run([ticket(), ticket("u", status="RESOLVED", lsn=101)])
    assert sut.wake_at_ms is None
    assert types(sut.run([], tick_ms=DUE_MS + 1)) == []


def test_a_recovered_worker_tells_it() -> None:
    first = worker()
    first.run([ticket()])
    recovered = PartitionState(table_specs(WorkerSettings()))
    for key, value in first.state.take_changes(1):
        recovered.load(key, value)
    assert types(worker(state=recovered).run([], tick_ms=DUE_MS)) == ["TICKET_SLA_BREACH"]


def test_a_row_of_the_snapshot_is_told_at_its_time() -> None:
    sut = worker()
    assert sut.run([ticket("r")]) == []
    assert types(sut.run([], tick_ms=DUE_MS)) == ["TICKET_SLA_BREACH"]


def test_what_was_due_before_the_snapshot_is_told_unless_it_is_old() -> None:
    sut = worker()
    sut.run([ticket("r", created_at=NOW - timedelta(hours=5)), ticket("r", id=6, created_at=NOW - timedelta(days=3))])
    assert sut.wake_at_ms == NOW_MS + 2_000
    assert types(sut.run([], tick_ms=NOW_MS + 2_000)) == ["TICKET_SLA_BREACH"]
    assert sut.wake_at_ms is None


def test_what_is_overdue_when_its_row_comes_is_told_with_the_row() -> None:
    (record,) = worker().run([ticket(created_at=NOW - timedelta(hours=5))])
    assert (record.event_id, types([record])) == ("ticket:5:100", ["TICKET_SLA_BREACH"])


def test_a_row_over_the_limit_teaches() -> None:
    sut = worker(limit=1)
    sut.run([ticket(id=6), ticket(lsn=101), ticket("u", lsn=102, id=6, status="CLOSED")])
    assert types(sut.run([], tick_ms=DUE_MS)) == ["TICKET_SLA_BREACH"]


def test_a_policy_moves_what_waits_already() -> None:
    def policy(settings: str, lsn: int) -> Change:
        row = {"id": 1, "tenant_id": 1, "site_id": 4, "detector": "ticket_sla_breach", "settings": settings}
        return change("policy", row, lsn=lsn, at_us=NOW_US)

    sut = worker()
    site = change("site", {"id": 4, "tenant_id": 1}, lsn=50)
    sut.run([site, ticket(), policy('{"high_hours_max": 1}', 101)])
    assert sut.wake_at_ms == NOW_MS + HOUR_MS
    sut.run([policy('{"high_hours": 2}', 102)])
    assert sut.wake_at_ms == NOW_MS + HOUR_MS
    assert len(sut.outputs["noc.dead-letters"]) == 1
    (record,) = sut.run([], tick_ms=DUE_MS)
    assert record.findings[0].evidence["threshold"] == 1.0


def test_a_shift_that_is_extended_while_it_runs_moves_its_check_out() -> None:
    def shift_until(hour: int, *, lsn: int, number: int = 1, **before: int) -> Change:
        def row(end: int) -> dict[str, Any]:
            times = {"shift_start": NOW.replace(hour=8), "shift_end": NOW.replace(hour=end)}
            return {"id": number, "tenant_id": 1, "person_id": 17, "site_id": 4} | times

        return change("assignment", row(hour), row(before["was"]) if before else None, lsn=lsn)

    sut = Worker(detectors=named(["missing_check_out"]))
    sut.run([shift_until(16, lsn=10), check_in(occurred_at=NOW.replace(hour=8))])
    end_ms = round(NOW.replace(hour=16, minute=0).timestamp() * 1000)
    minutes_ms = (sut.wake_at_ms or 0) - end_ms
    sut.run([shift_until(18, lsn=101, was=16)])
    assert (sut.wake_at_ms or 0) - end_ms == minutes_ms + 2 * HOUR_MS
    sut.run([shift_until(17, lsn=102, was=18)])
    assert types(sut.run([], tick_ms=end_ms + minutes_ms + HOUR_MS - 1)) == []
    assert types(sut.run([], tick_ms=end_ms + minutes_ms + HOUR_MS)) == ["MISSING_CHECK_OUT"]
