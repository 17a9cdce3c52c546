from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.changes import NOW_US, TOPICS, Worker, change, check_in, shift

from contracts.feed import AnomalyDetected, RateLimited, TicketUpdated, decode_processed
from contracts.findings import Category, FindingType, Severity
from detectors.attendance.wrong_person import WrongPerson
from detectors.finding_draft import FindingDraft
from detectors.interface import Event, FindingDrafts
from detectors.registry import named
from streams.engine.model import UnreadableRecord
from streams.feed.breaker import BreakerOpenError
from streams.state.entities import RateState


def ticket(status: str, *, number: int = 3, lsn: int = 500, **more: Any) -> dict[str, Any]:
    return {"id": number, "tenant_id": 1, "status": status, "site_id": 4, "priority": "HIGH"} | more


def test_somebody_elses_face_is_a_finding_with_the_names_beside_it() -> None:
    worker = Worker()
    site = change("site", {"id": 4, "tenant_id": 1, "name": "Harbour", "client_id": 9}, lsn=1)
    person = change("person", {"id": 17, "tenant_id": 1, "name": "Ann"}, lsn=2)
    (record,) = worker.run([site, person, shift(), check_in(verified_person_id=23)])
    assert isinstance(record, AnomalyDetected)
    assert (record.seq, record.site_name, record.person_name, record.client_id) == (1, "Harbour", "Ann", 9)
    (finding,) = record.findings
    assert finding.finding_type == "WRONG_PERSON"
    assert finding.evidence == {"expected_person_id": 17, "observed_person_id": 23}
    assert "Ann" not in finding.title + finding.description


def test_a_person_that_no_record_names_for_too_long_is_forgotten_and_one_that_is_named_is_not() -> None:
    worker, day_us, names = Worker(), 86_400_000_000, []
    people = [change("person", {"id": number, "tenant_id": 1, "name": "Ann"}, lsn=number) for number in (17, 18)]
    worker.run(people)
    for lsn, person, day in ((100, 17, 300), (101, 17, 500), (102, 18, 500)):
        event = check_in(lsn, person=person, lsn=lsn, at_us=NOW_US + day * day_us, verified_person_id=1)
        names += [record.person_name for record in worker.run([event])]
    assert names == ["Ann", "Ann", None]


def test_two_findings_of_one_event_are_one_record_and_their_scores_combine() -> None:
    (record,) = Worker().run([check_in(verified_person_id=23)])
    assert isinstance(record, AnomalyDetected)
    assert [finding.finding_type for finding in record.findings] == ["WRONG_PERSON", "UNAUTHORIZED_SITE"]
    assert {finding.fraud_score for finding in record.findings} == {0.95}


def test_a_clean_event_is_reported_as_processed() -> None:
    worker = Worker()
    assert worker.run([shift(), check_in(5)]) == []
    (output,) = worker.outputs[TOPICS.processed]
    processed = decode_processed(output.value)
    assert [event.event_id for event in processed.events] == ["attendance:5:100"]


def test_a_snapshot_teaches_and_never_alerts() -> None:
    worker = Worker()
    seen = change("attendance", {"id": 1, "tenant_id": 1, "person_id": 1, "verified_person_id": 2}, op="r")
    learn_only = change("person", {"id": 17, "tenant_id": 1, "name": "Ann"}, op="r")
    assert worker.run([seen, learn_only]) == []
    assert worker.state["person"].get((1, 17)).name == "Ann"


def test_an_update_is_judged_only_when_a_judged_column_changed() -> None:
    row = {"id": 1, "tenant_id": 1, "person_id": 17, "event_type": "CHECK_OUT"}
    same = change("attendance", row | {"verified_person_id": 23}, row | {"verified_person_id": 23}, lsn=1)
    late = change("attendance", row | {"verified_person_id": 23}, row | {"verified_person_id": None}, lsn=2)
    assert [record.source.lsn for record in Worker().run([same, late])] == [2]


@pytest.mark.parametrize(
    ("before", "after", "messages"),
    [("NEW", "OPEN", 1), ("NEW", "NEW", 0), (None, "NEW", 0)],
    ids=["changed status", "unchanged status", "creation"],
)
def test_ticket_updated_is_a_change_of_status_only(before: str | None, after: str, messages: int) -> None:
    old = None if before is None else ticket(before)
    worker = Worker()
    records = worker.run([change("ticket", ticket(after, description="x" * 300), old)])
    assert len(records) == messages
    assert TOPICS.dead_letters not in worker.outputs
    for record in records:
        assert isinstance(record, TicketUpdated)
        assert (record.old_status, record.new_status, len(record.description)) == (before, after, 200)


def test_a_ticket_update_without_its_old_row_is_a_dead_letter_that_says_what_to_do() -> None:
    worker = Worker()
    assert worker.run([change("ticket", ticket("OPEN"), op="u")]) == []
    (letter,) = worker.outputs[TOPICS.dead_letters]
    assert b"REPLICA IDENTITY FULL" in dict(letter.headers)["reason"]


def test_over_the_limit_events_are_dropped_but_ticket_status_and_reference_data_count() -> None:
    worker = Worker(limit=2)
    flood = [check_in(number, lsn=100 + number, verified_person_id=23) for number in range(5)]
    status = change("ticket", ticket("OPEN"), ticket("NEW"), lsn=200)
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


class Raising(WrongPerson):
    name = "raising"

    def judge(self, *_: Any) -> NoReturn:
        raise ZeroDivisionError("a defect")


def test_a_detector_that_raises_stops_neither_the_others_nor_the_stream() -> None:
    worker = Worker(detectors=(Raising(), WrongPerson()))
    first, second = worker.run([check_in(1, lsn=1, verified_person_id=2), check_in(2, lsn=2, verified_person_id=2)])
    assert [first.source.key, second.source.key] == ["1", "2"]
    headers = [dict(letter.headers) for letter in worker.outputs[TOPICS.dead_letters]]
    assert [header["detector"] for header in headers] == [b"raising", b"raising"]
    assert headers[0]["exception_class"] == b"ZeroDivisionError"
    assert headers[0]["reason"] == b"a defect"


class Unencodable(WrongPerson):
    name = "unencodable"

    def judge(self, state: None, event: Event[Any], _: Any) -> tuple[None, FindingDrafts]:
        if event.row.id != 2:
            return state, ()
        judgement = FindingDraft(
            finding_type=FindingType.WRONG_PERSON,
            category=Category.ATTENDANCE,
            severity=Severity.LOW,
            title="",
            description="",
            evidence={"impossible": object()},  # type: ignore[dict-item]
        )
        return state, (judgement,)


def test_a_record_that_cannot_be_written_leaves_no_hole_in_the_numbers() -> None:
    worker = Worker(detectors=(Unencodable(), WrongPerson()))
    records = worker.run([check_in(number, lsn=number, verified_person_id=23) for number in (1, 2, 3)])
    assert [(record.source.key, record.seq) for record in records] == [("1", 1), ("3", 2)]
    assert len(worker.outputs[TOPICS.dead_letters]) == 1


def test_a_delete_is_neither_scored_nor_reported() -> None:
    worker = Worker()
    gone = change("attendance", None, {"id": 1, "tenant_id": 1, "person_id": 17, "verified_person_id": 23})
    assert worker.run([gone]) == []
    assert worker.outputs == {}


def test_an_unreadable_record_is_a_dead_letter_and_its_neighbours_are_processed() -> None:
    worker = Worker()
    records = worker.run([check_in(1, lsn=1), UnreadableRecord("not JSON", "DecodeError"), check_in(2, lsn=2)])
    assert [record.source.key for record in records] == ["1", "2"]
    (letter,) = worker.outputs[TOPICS.dead_letters]
    assert dict(letter.headers)["reason"] == b"not JSON"
    assert letter.value == b"{}"


def test_a_run_of_failures_stops_the_worker_before_anything_is_buried() -> None:
    worker = Worker(run_max=3)
    with pytest.raises(BreakerOpenError):
        worker.run([UnreadableRecord("not JSON", "DecodeError")] * 4)
    assert worker.outputs == {}


def test_unreadable_records_that_lie_apart_are_no_run_however_large_the_micro_batch() -> None:
    worker = Worker(run_max=3, limit=1_000)
    rows: list[Any] = [check_in(number, lsn=number + 1) for number in range(100)]
    for at in range(90, 0, -10):
        rows.insert(at, UnreadableRecord("not JSON", "DecodeError"))
    worker.run(rows)
    assert len(worker.outputs[TOPICS.dead_letters]) == 9
    rows[50:50] = [UnreadableRecord("not JSON", "DecodeError")] * 4
    with pytest.raises(BreakerOpenError, match="more than 3 records in a row"):
        Worker(run_max=3, limit=1_000).run(rows)


def test_a_detector_that_always_raises_blows_the_fuse_too() -> None:
    worker = Worker(detectors=(Raising(),), run_max=3)
    with pytest.raises(BreakerOpenError):
        worker.run([check_in(number, lsn=number + 1) for number in range(4)])


def test_a_removed_shift_no_longer_authorizes() -> None:
    worker = Worker()
    gone = change("assignment", None, {"id": 1, "tenant_id": 1, "person_id": 17, "site_id": 4}, lsn=20)
    (record,) = worker.run([shift(), gone, check_in()])
    assert record.findings[0].finding_type == "UNAUTHORIZED_SITE"


def _company(draw_events: list[tuple[int, int, bool]]) -> list[Any]:
    changes: list[Any] = [shift(tenant=tenant, lsn=tenant) for tenant in (1, 2, 3)]
    for index, (tenant, millisecond, wrong) in enumerate(draw_events):
        at_us = NOW_US + (index * 40 + millisecond) * 1000
        verified = 23 if wrong else 17
        changes.append(check_in(index, tenant=tenant, lsn=100 + index, at_us=at_us, verified_person_id=verified))
    return changes


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 30), st.booleans()), max_size=60),
    st.lists(st.integers(1, 20), max_size=20),
)
def test_any_split_into_micro_batches_gives_the_same_feed_and_state(
    events: list[tuple[int, int, bool]], sizes: list[int]
) -> None:
    changes = _company(events)
    whole, split = Worker(limit=3), Worker(limit=3)
    whole.run(changes)
    rest = list(changes)
    for size in [*sizes, len(changes)]:
        part, rest = rest[:size], rest[size:]
        split.run(part)
    assert [each.value for each in split.outputs.get(TOPICS.anomalies, [])] == [
        each.value for each in whole.outputs.get(TOPICS.anomalies, [])
    ]
    assert split.state["tenant"].data == whole.state["tenant"].data
    for tenant in (1, 2, 3):
        numbers = [record.seq for record in whole.feed() if record.tenant_id == tenant]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_memory_in_which_nothing_is_left_goes() -> None:
    worker = Worker(detectors=named(["ticket_escalated"]))
    raised = ticket("OPEN", escalation_level=1)
    worker.run([change("ticket", raised, lsn=500)])
    memories = worker.state["memory_ticket_row"]
    assert len(memories) == 1
    worker.run([change("ticket", raised | {"escalation_level": 0}, raised, lsn=501)])
    assert len(memories) == 0
