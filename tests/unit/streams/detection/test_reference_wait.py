"""An event that comes before what it refers to waits, in its person's order, then is judged without it and says so."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.changes import NOW, NOW_US, TOPICS, Worker, change, check_in, shift

from common.settings.worker import WorkerSettings
from contracts.envelope import Change
from contracts.feed import decode_processed
from detectors.attendance.wrong_person import WrongPerson
from detectors.registry import named
from streams.engine.state.partition_state import PartitionState
from streams.state.tables import table_specs

NOW_MS = NOW_US // 1000
DUE_MS = NOW_MS + 2_000
SECOND_US = 1_000_000


def worker(**more: Any) -> Worker:
    detectors = named(["data_quality", "wrong_person", "unauthorized_site"])
    return Worker(**({"reference_wait_ms": 2_000, "detectors": detectors} | more))


def site(lsn: int = 200, *, number: int = 4, after_s: float = 1.0) -> Change:
    at_us = NOW_US + int(after_s * SECOND_US)
    return change("site", {"id": number, "tenant_id": 1, "name": "Harbour", "client_id": 9}, lsn=lsn, at_us=at_us)


def person(lsn: int = 201, *, after_s: float = 1.0) -> Change:
    at_us = NOW_US + int(after_s * SECOND_US)
    return change("person", {"id": 17, "tenant_id": 1, "name": "Ann"}, lsn=lsn, at_us=at_us)


def swapped(number: int = 1, **more: Any) -> Change:
    """A check-in with somebody else's face."""
    return check_in(number, verified_person_id=23, **more)


def reported(records: list[Any]) -> list[tuple[str, list[str]]]:
    return [(each.event_id, [finding.finding_type for finding in each.findings]) for each in records]


def clean(sut: Worker) -> list[str]:
    return [
        event.event_id
        for output in sut.outputs.get(TOPICS.processed, [])
        for event in decode_processed(output.value).events
    ]


def test_it_is_judged_with_its_site_as_soon_as_that_comes_as_if_it_had_come_in_order() -> None:
    late, in_order = worker(), worker()
    assert late.run([shift(), swapped()]) == []
    (record,) = late.run([site()])
    (wanted,) = in_order.run([site(lsn=9, after_s=0), shift(), swapped()])
    assert record == wanted
    assert (record.site_name, record.client_id) == ("Harbour", 9)
    assert late.wake_at_ms is None


def test_without_its_references_it_is_judged_at_its_time_and_says_so() -> None:
    sut = worker()
    assert sut.run([swapped()]) == []
    assert sut.wake_at_ms == DUE_MS
    assert sut.run([], tick_ms=DUE_MS - 1) == []
    (record,) = sut.run([], tick_ms=DUE_MS)
    assert [(each.finding_type, each.evidence.get("reason")) for each in record.findings] == [
        ("WRONG_PERSON", None),
        ("UNAUTHORIZED_SITE", None),
        ("DATA_QUALITY", "unknown_site"),
        ("DATA_QUALITY", "unknown_person"),
    ]
    assert record.findings[0].evidence["reference_missing"] == "site,person,assignment"
    assert record.findings[2].evidence["site_id"] == 4


def test_what_is_known_not_to_come_is_not_waited_for_again() -> None:
    sut = worker()
    sut.run([swapped()])
    sut.run([], tick_ms=DUE_MS)
    (again,) = sut.run([swapped(2, lsn=300, at_us=NOW_US + 1_800 * SECOND_US)])
    assert reported([again]) == [("attendance:2:300", ["WRONG_PERSON", "UNAUTHORIZED_SITE"])]
    assert again.findings[0].evidence["reference_missing"] == "site,person,assignment"
    assert sut.run([swapped(3, lsn=400, at_us=NOW_US + 3_602 * SECOND_US)]) == []


def test_a_person_without_shifts_is_waited_for_but_is_no_wrong_row() -> None:
    sut = worker()
    sut.run([site(lsn=1, after_s=0), person(lsn=2, after_s=0), check_in(event_type="CHECK_OUT")])
    assert sut.wake_at_ms == DUE_MS
    assert sut.run([], tick_ms=DUE_MS) == []
    assert clean(sut) == ["attendance:1:100"]


def test_a_persons_events_keep_their_order_and_others_do_not_wait() -> None:
    sut = worker()
    known = [site(lsn=1, number=5, after_s=0), shift(), shift(person=18, number=2, lsn=11, site=5)]
    first = swapped(1, lsn=100)
    behind = swapped(2, lsn=101, site=5)
    other = swapped(3, lsn=102, person=18, site=5)
    assert reported(sut.run([*known, first, behind, other])) == [("attendance:3:102", ["WRONG_PERSON"])]
    assert sut.run([site(150, number=6, after_s=0.5)]) == [], "another reference ends nobody's wait"
    assert [event for event, _ in reported(sut.run([site()]))] == ["attendance:1:100", "attendance:2:101"]


def test_a_deleted_row_was_judged_before_it_went() -> None:
    sut = worker()
    row = {"id": 1, "tenant_id": 1, "person_id": 17, "site_id": 4, "verified_person_id": 23}
    records = sut.run([shift(), swapped(), change("attendance", None, before=row, lsn=110)])
    assert reported(records) == [("attendance:1:100", ["WRONG_PERSON", "DATA_QUALITY"])]
    assert sut.run([], tick_ms=DUE_MS) == []


def test_a_restarted_worker_goes_on_waiting() -> None:
    first, straight = worker(), worker()
    first.run([shift(), swapped(), swapped(2, lsn=101)])
    recovered = PartitionState(table_specs(WorkerSettings()))
    for key, value in first.state.take_changes(1):
        recovered.load(key, value)
    straight.run([shift(), swapped(), swapped(2, lsn=101)])
    second = worker(state=recovered)
    assert second.run([site()]) == straight.run([site()]) != []


def test_of_too_many_none_waits() -> None:
    sut = worker(waiting_max=1)
    (record,) = sut.run([shift(), shift(person=18, number=2, lsn=11), swapped(), swapped(2, person=18, lsn=101)])
    assert record.event_id == "attendance:2:101"
    assert [each.finding_type for each in record.findings] == ["WRONG_PERSON", "DATA_QUALITY"]


def test_snapshot_rows_updates_and_other_tables_do_not_wait() -> None:
    sut = worker()
    row = {"id": 9, "tenant_id": 1, "site_id": 4, "person_id": 17, "event_type": "CHECK_IN", "occurred_at": NOW}
    sut.run([change("attendance", row, op="r"), change("jobneed", {"id": 1, "tenant_id": 1, "site_id": 4}, lsn=101)])
    sut.run([change("attendance", row, before=row, lsn=102)])
    assert sut.wake_at_ms is None


def test_a_detector_that_raises_on_an_event_that_waited_buries_its_record() -> None:
    class Broken(WrongPerson):
        def judge(self, *_: Any) -> Any:
            raise RuntimeError("broken")

    sut = worker(detectors=[Broken()])
    sut.run([swapped()])
    sut.run([], tick_ms=DUE_MS)
    (letter,) = sut.outputs[TOPICS.dead_letters]
    assert (letter.value, dict(letter.headers)["detector"]) == (b"{}", b"wrong_person")


@given(st.integers(1, 4_000), st.booleans())
def test_it_never_waits_longer_than_that(after_ms: int, comes: bool) -> None:
    sut = worker()
    sut.run([shift(), swapped()])
    row = (
        site(after_s=after_ms / 1000)
        if comes
        else check_in(5, lsn=200, person=None, site=None, at_us=NOW_US + after_ms * 1000)
    )
    heard = [each.event_id for each in sut.run([row]) if each.event_id == "attendance:1:100"]
    assert bool(heard) == (comes or after_ms >= 2_000)
