"""Reference rows are kept, and known to the events after them."""

from support.changes import NOW_US, Worker, change, check_in, shift


def test_a_person_that_is_not_named_for_too_long_is_forgotten() -> None:
    worker, day_us, names = Worker(), 86_400_000_000, []
    people = [change("person", {"id": number, "tenant_id": 1, "name": "Ann"}, lsn=number) for number in (17, 18)]
    worker.run(people)
    for lsn, person, day in ((100, 17, 300), (101, 17, 500), (102, 18, 500)):
        event = check_in(lsn, person=person, lsn=lsn, at_us=NOW_US + day * day_us, verified_person_id=1)
        names += [record.person_name for record in worker.run([event])]
    assert names == ["Ann", "Ann", None]


def test_a_removed_shift_no_longer_authorizes() -> None:
    worker = Worker()
    gone = change("assignment", None, {"id": 1, "tenant_id": 1, "person_id": 17, "site_id": 4}, lsn=20)
    (record,) = worker.run([shift(), gone, check_in()])
    assert record.findings[0].finding_type == "UNAUTHORIZED_SITE"
