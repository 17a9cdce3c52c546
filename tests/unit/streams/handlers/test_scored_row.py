"""An event is judged once, and says what was found or that it is clean."""

from support.changes import TOPICS, Worker, change, check_in, shift

from contracts.feed import AnomalyDetected, decode_processed


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


def test_a_delete_is_neither_scored_nor_reported() -> None:
    worker = Worker()
    gone = change("attendance", None, {"id": 1, "tenant_id": 1, "person_id": 17, "verified_person_id": 23})
    assert worker.run([gone]) == []
    assert worker.outputs == {}
