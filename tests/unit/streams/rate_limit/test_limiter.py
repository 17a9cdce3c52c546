"""The limit on scored events of each tenant, and the report of a burst over it."""

from support.changes import NOW_US, Worker, change, check_in, ticket_row

from contracts.feed import AnomalyDetected, RateLimited, TicketUpdated
from streams.state.entities import RateState


def test_over_the_limit_events_are_dropped_but_no_ticket_status_or_reference_row() -> None:
    worker = Worker(limit=2)
    flood = [check_in(number, lsn=100 + number, verified_person_id=23) for number in range(5)]
    status = change("ticket", ticket_row("OPEN"), ticket_row("NEW"), lsn=200)
    person = change("person", {"id": 8, "tenant_id": 1, "name": "Bo"}, lsn=201)
    records = worker.run([*flood, status, person])
    assert [type(record) for record in records] == [AnomalyDetected, AnomalyDetected, TicketUpdated]
    assert worker.state["person"].get((1, 8)).name == "Bo"


def test_a_burst_is_reported_once_when_it_is_over_also_without_another_event() -> None:
    worker = Worker(limit=2)
    worker.run([check_in(number, lsn=100 + number) for number in range(5)])
    due_ms = worker.wake_at_ms
    assert due_ms is not None
    assert worker.run([], tick_ms=due_ms - 1) == []
    (report,) = worker.run([], tick_ms=due_ms)
    assert isinstance(report, RateLimited)
    assert (report.dropped, report.limit) == (3, 2)
    assert worker.run([], tick_ms=due_ms + 10_000) == []
    assert worker.wake_at_ms is None


def burst(worker: Worker) -> int:
    """Five events where two are allowed; returns when the burst is over, Unix milliseconds."""
    worker.run([check_in(number, lsn=100 + number) for number in range(5)])
    assert worker.wake_at_ms is not None
    return worker.wake_at_ms


def test_a_tick_moves_a_tenant_to_the_time_its_burst_was_over_and_no_further() -> None:
    worker = Worker(limit=2)
    due_ms = burst(worker)
    worker.run([], tick_ms=due_ms + 60_000)
    later = [
        check_in(10 * second + number, lsn=200 + 10 * second + number, at_us=(due_ms + 1_000 * second) * 1000)
        for second in (1, 2)
        for number in range(3)
    ]
    worker.run(later)
    assert worker.state["tenant"].get(1).rate.window == due_ms // 1_000 + 2
    assert worker.state["tenant"].get(1).rate.dropped == 2
    assert worker.late == 0


def test_a_row_from_before_a_fired_timer_is_late_and_counts_where_its_tenant_stands() -> None:
    worker = Worker(limit=2)
    due_ms = burst(worker)
    worker.run([], tick_ms=due_ms + 300)
    early = [check_in(20 + number, lsn=200 + number, at_us=(due_ms - 1) * 1000) for number in range(3)]
    worker.run([*early, check_in(30, lsn=300, at_us=due_ms * 1000)])
    assert worker.late == 3
    assert worker.state["tenant"].get(1).rate == RateState(due_ms // 1_000, 2, 2, due_ms // 1_000, due_ms // 1_000)


def test_a_burst_that_was_over_before_a_row_is_reported_as_things_stood_before_it() -> None:
    raised = {"id": 1, "tenant_id": 1, "max_events_per_second": 50}
    before, after = Worker(limit=2), Worker(limit=2)
    for worker in (before, after):
        due_ms = burst(worker)
        change_of_limit = change("tenant", raised, lsn=200, at_us=(due_ms + 100) * 1000)
        ticks = [None, due_ms] if worker is before else [due_ms, None]
        for tick_ms in ticks:
            worker.run([] if tick_ms else [change_of_limit], tick_ms=tick_ms)
    reports = [each.limit for each in (*before.feed(), *after.feed()) if isinstance(each, RateLimited)]
    assert reports == [2, 2]


def test_one_tenants_flood_does_not_touch_another() -> None:
    worker = Worker(limit=2)
    flood = [check_in(number, lsn=100 + number) for number in range(50)]
    other = [check_in(99, tenant=2, lsn=999, verified_person_id=23)]
    records = worker.run([*flood, *other])
    assert [(record.tenant_id, record.seq) for record in records if record.tenant_id == 2] == [(2, 1)]


def test_a_tenants_own_limit_comes_from_its_row_and_goes_back_to_the_default() -> None:
    worker = Worker(limit=100)
    tenant = {"id": 1, "tenant_id": 1}
    worker.run([change("tenant", tenant | {"max_events_per_second": 1}, lsn=1)])
    assert len(worker.run([check_in(number, lsn=10 + number) for number in range(3)])) == 1
    worker.run([change("tenant", tenant | {"max_events_per_second": None}, tenant, lsn=50)])
    later = [check_in(number, lsn=60 + number, at_us=NOW_US + 5_000_000) for number in range(3)]
    assert sum(isinstance(record, AnomalyDetected) for record in worker.run(later)) == 3
