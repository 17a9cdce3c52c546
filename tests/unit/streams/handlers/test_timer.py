"""What is due without a row comes in the order of time, wherever ticks and rows fall."""

from support.changes import check_in
from support.sla_tickets import DUE_MS, HOUR_MS, ticket, types, worker


def test_the_tenants_next_row_comes_after_it_wherever_the_tick_falls() -> None:
    late = check_in(9, lsn=200, at_us=(DUE_MS + 5) * 1000, verified_person_id=23)
    by_row, by_tick = worker(), worker()
    assert types(by_row.run([ticket(), late])) == ["TICKET_SLA_BREACH", "WRONG_PERSON"]
    by_tick.run([ticket()])
    by_tick.run([], tick_ms=DUE_MS)
    by_tick.run([late])
    assert by_tick.feed() == by_row.feed()


def test_after_a_long_silence_a_tick_tells_a_part_and_the_next_one_comes_at_once() -> None:
    sut = worker(timers_per_tick_max=3)
    sut.run([ticket(id=number, tenant_id=1 + number % 2, lsn=100 + number) for number in range(7)])
    reported = []
    for _ in range(3):
        assert sut.wake_at_ms == DUE_MS
        reported.append(len(sut.run([], tick_ms=DUE_MS + HOUR_MS)))
    assert (reported, sut.wake_at_ms) == ([3, 3, 1], None)
    whole = worker()
    whole.run([ticket(id=number, tenant_id=1 + number % 2, lsn=100 + number) for number in range(7)])
    whole.run([], tick_ms=DUE_MS + HOUR_MS)
    assert sut.feed() == whole.feed()
