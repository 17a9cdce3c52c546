"""Outputs that would be too large for a record: one clear answer each, and the neighbours go on."""

from support.changes import TOPICS, Worker, change, check_in, entries, shift

from contracts.feed import AnomalyDetected, decode_processed


def test_a_message_that_would_be_too_large_is_a_dead_letter_without_a_hole() -> None:
    worker = Worker(worker={"feed.record_bytes_max": 4_000})
    long = change("person", {"id": 18, "tenant_id": 1, "name": "n" * 5_000}, lsn=1)
    bad = [check_in(number, person=17 + number % 2, verified_person_id=23, lsn=100 + number) for number in range(4)]
    records = worker.run([long, *bad])
    assert [(record.seq, record.person_id) for record in records if isinstance(record, AnomalyDetected)] == [
        (1, 17),
        (2, 17),
    ]
    first, second = worker.outputs[TOPICS.dead_letters]
    headers = dict(first.headers)
    assert headers["exception_class"] == b"RecordTooLargeError"
    assert b"the limit is 4000" in headers["reason"]
    assert (first.value, second.value) == (b"{}", b"{}")


def test_an_original_that_is_too_large_is_left_out_of_its_dead_letter() -> None:
    worker = Worker(worker={"feed.dead_letter_bytes_max": 1_000, "feed.record_bytes_max": 1})
    small, large = entries([check_in(1, verified_person_id=23), check_in(2, verified_person_id=23, lsn=101)])
    large.record.value = b"v" * 1_000
    kept, left_out = worker.memory.process([small, large]).outputs[TOPICS.dead_letters]
    assert (kept.value, dict(kept.headers).get("value_left_out")) == (b"{}", None)
    assert (left_out.key, left_out.value) == (None, None)
    headers = dict(left_out.headers)
    assert headers["value_left_out"] == b"1000"
    assert (headers["source_topic"], headers["source_offset"]) == (b"noc.public.attendance", b"%d" % large.offset)


def test_clean_events_are_split_over_records_that_stay_small() -> None:
    worker = Worker(worker={"feed.processed_events_max": 3})
    worker.run([shift(), *(check_in(number, lsn=100 + number) for number in range(7))])
    records = [decode_processed(output.value) for output in worker.outputs[TOPICS.processed]]
    assert [(record.batch, record.part, len(record.events)) for record in records] == [(1, 0, 3), (1, 1, 3), (1, 2, 1)]
    assert len({event.event_id for record in records for event in record.events}) == 7
