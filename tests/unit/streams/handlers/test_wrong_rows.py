"""Wrong rows on their way through the worker: cleaned before the detectors, told once, never a dead letter."""

from datetime import UTC, datetime

from support.changes import Worker, change, check_in, shift
from support.wrong_rows import policy, reported, site, worker

from detectors.registry import named


def test_a_wrong_row_is_told_and_judged_by_what_is_left_of_it() -> None:
    (record,) = worker("wrong_person").run([check_in(latitude=95.0, longitude=11.0, verified_person_id=23)])
    assert reported([record]) == [("DATA_QUALITY", "not_on_earth"), ("WRONG_PERSON", None)]
    assert (record.event_type, record.site_id, record.person_id) == ("attendance", 4, 17)


def test_the_detectors_see_the_cleaned_row() -> None:
    (record,) = worker("unauthorized_site").run([check_in(event_type="CHECK_INN")])
    assert reported([record]) == [("DATA_QUALITY", "not_one_of_the_known_words")]


def test_a_time_that_was_wrong_before_is_blanked_and_not_told_again() -> None:
    row = {"id": 1, "tenant_id": 1, "person_id": 17, "site_id": 4, "event_type": "CHECK_IN"}
    later = row | {"occurred_at": datetime(2027, 3, 2, tzinfo=UTC)}
    wrong = change("attendance", later, later | {"site_id": 5}, lsn=100)
    assert worker("unauthorized_site").run([shift(), wrong]) == []


def test_it_is_told_only_where_it_runs_and_where_the_policy_lets_it() -> None:
    wrong = check_in(accuracy_m=-1.0)
    assert Worker(detectors=named(["wrong_person"])).run([wrong]) == []
    sut = worker()
    assert reported(sut.run([wrong])) == [("DATA_QUALITY", "negative")]
    assert sut.run([policy({"enabled": False}, 200), check_in(2, accuracy_m=-1.0, lsn=201)]) == []


def test_a_row_of_a_snapshot_and_one_over_the_limit_are_cleaned_and_not_told() -> None:
    assert worker().run([change("device", {"id": 1, "tenant_id": 1, "battery_percent": 200.0}, op="r")]) == []
    records = worker(limit=1).run([check_in(1), check_in(2, accuracy_m=-1.0, lsn=101)])
    assert records == []


def test_a_shift_that_ends_before_it_starts_is_told_and_is_no_shift() -> None:
    sut = worker("unauthorized_site")
    wrong = shift(lsn=10)
    row = {"id": 1, "tenant_id": 1, "person_id": 17, "site_id": 4}
    wrong = change("assignment", row | {"shift_start": wrong.row.shift_end, "shift_end": wrong.row.shift_start}, lsn=10)
    (first, second) = sut.run([site(), wrong, check_in()])
    assert (first.event_type, first.person_id, first.site_id, first.seq) == ("assignment", 17, 4, 1)
    assert reported([first, second]) == [("DATA_QUALITY", "before_shift_start"), ("UNAUTHORIZED_SITE", None)]
    assert second.findings[0].evidence["n"] == 0


def test_a_deleted_row_is_not_looked_at() -> None:
    wrong = {"id": 1, "tenant_id": 1, "timezone": "Nowhere"}
    assert worker().run([change("site", None, wrong)]) == []


def test_a_reference_row_that_is_wrong_costs_nothing_of_the_limit() -> None:
    sut = worker(limit=1)
    sut.run([site(), change("tenant", {"id": 1, "timezone": "Nowhere"}, lsn=60), check_in(1)])
    assert [record.seq for record in sut.feed()] == [1]
    assert reported(sut.feed()) == [("DATA_QUALITY", "no_time_zone")]
