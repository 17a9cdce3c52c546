import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.feed_samples import NOW, anomaly, instant, ticket

from contracts.feed import AnomalyDetected, FeedRecord, TicketUpdated
from contracts.findings import Category
from contracts.messages import encode_message
from contracts.projections import dashboard_messages, filled, stream_messages
from gateway.access.known_names import TenantNames
from gateway.access.masking import PII_FIELDS, mask_field, mask_nested, masked_record


@pytest.mark.parametrize(
    ("field", "value", "masked"),
    [
        ("email", "jane.doe@example.com", "j***@example.com"),
        ("email", "nobody", "no***y"),
        ("phone", "+1-555-867-1234", "+1-***-***-1234"),
        ("mobile", "+15558671234", "+1-***-***-1234"),
        ("mobno", "98765", "***"),
        ("peoplename", "valerie", "va***e"),
        ("person_name", "Bo", "***"),
        ("address", "1 Long Road", "1 ***d"),
        ("Person_Name", "valerie", "va***e"),
        ("phone", 15558671234, "***"),
        ("email", None, None),
    ],
)
def test_fields_are_masked_by_their_rule(field: str, value: object, masked: object) -> None:
    assert mask_field(field, value) == masked


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*sorted(PII_FIELDS), "evidence", "n"]), inner, max_size=4)
    ),
)


@given(json_values)
def test_no_personal_value_survives_at_any_depth(value: object) -> None:
    def check(before: object, after: object) -> None:
        match before, after:
            case dict(), dict():
                assert before.keys() == after.keys()
                for name in before:
                    if name in PII_FIELDS:
                        assert after[name] is None or "***" in after[name]
                    else:
                        check(before[name], after[name])
            case list(), list():
                for one, other in zip(before, after, strict=True):
                    check(one, other)
            case _:
                assert before == after

    check(value, mask_nested(value))


def test_a_masked_record_shows_no_name_anywhere() -> None:
    finding = msgspec.structs.replace(anomaly(1, 1).findings[0], evidence={"phone": "+15558671234", "n": 3})
    record = masked_record(anomaly(1, 1, person_name="Valerie Ondo"), TenantNames(9))
    record = masked_record(msgspec.structs.replace(record, findings=[finding]), TenantNames(9))
    for message in (*dashboard_messages(record, instant(), 1.0), *stream_messages(record, instant(), 1.0)):
        text = encode_message(message)
        assert b"Valerie" not in text
        assert b"867" not in text


def test_placeholders_are_filled_once_and_unknown_names_become_numbers() -> None:
    record = anomaly(1, 1, person_name="{site_name}", site_name=None, site_id=3)
    assert filled("{person_name} at {site_name}, {other}", record) == "{site_name} at site 3, {other}"
    assert filled("{person_name}", anomaly(1, 1, person_name=None, person_id=None)) == "unknown person"


def test_a_ticket_s_description_is_cut_at_200_characters() -> None:
    (message,) = dashboard_messages(ticket(1, 1, description="é" * 500), instant(), 1.0)
    assert json.loads(encode_message(message))["description"] == "é" * 200


def test_prev_seq_is_the_last_field_of_every_sequenced_message() -> None:
    for record in (anomaly(1, 1), ticket(1, 2)):
        for project in (dashboard_messages, stream_messages):
            for message in project(record, instant(NOW), 1.0):
                assert encode_message(message).endswith(b',"prev_seq":0}')


def test_the_dashboard_message_has_every_field_of_the_contract() -> None:
    (message,) = dashboard_messages(anomaly(1, 1, site_name=None, person_id=None, person_name=None), instant(), 1.0)
    got = json.loads(encode_message(message))
    wanted = "type timestamp seq prev_seq anomaly_id person_id person_name site_id site_name anomaly_type fraud_score severity"
    assert set(wanted.split()) <= set(got)
    assert (got["person_name"], got["site_name"], got["anomaly_type"]) == (None, None, "WRONG_PERSON")


def test_the_stream_message_has_every_field_of_the_contract() -> None:
    (message,) = stream_messages(anomaly(1, 1, findings=2), instant(), 12.5)
    got = json.loads(encode_message(message))
    wanted = "type timestamp seq prev_seq event_id event_type findings_count detection_latency_ms findings"
    assert set(wanted.split()) <= set(got)
    wanted = "id finding_type category severity title description evidence created_at"
    assert set(wanted.split()) <= set(got["findings"][1])


PLANTED = ("valerie.ondo@example.com", "+49 30 5550 1234", "Jakob Reim")
_somewhere = st.sampled_from(["{}", "call {} now", "({})", "x: {}, y", "{}\n"])
_ticket_fields = st.sampled_from(["description", "priority", "old_status", "new_status", "ticket_no"])
_finding_fields = st.sampled_from(["title", "observed", "reason"])


def known() -> TenantNames:
    names = TenantNames(9)
    names.learn("Jakob Reim")
    return names


def texts_of(record: FeedRecord) -> str:
    messages = (*dashboard_messages(record, instant(), 1.0), *stream_messages(record, instant(), 1.0))
    return " ".join(json.dumps(json.loads(encode_message(message)), ensure_ascii=False) for message in messages)


def with_text(field: str, text: str) -> FeedRecord:
    if field in TicketUpdated.__struct_fields__:
        return msgspec.structs.replace(ticket(1, 1), **{field: text})
    finding = anomaly(1, 1).findings[0]
    changes = {field: text} if field == "title" else {"evidence": {**finding.evidence, field: text}}
    return msgspec.structs.replace(anomaly(1, 1), findings=[msgspec.structs.replace(finding, **changes)])


@given(_ticket_fields | _finding_fields, _somewhere, st.sampled_from(PLANTED))
def test_nothing_personal_that_was_typed_anywhere_reaches_a_masked_viewer(
    field: str, around: str, planted: str
) -> None:
    record = with_text(field, around.format(planted))
    assert planted in texts_of(record)
    hidden = texts_of(masked_record(record, known()))
    assert planted not in hidden
    assert "***" in hidden


def test_a_text_that_was_cut_shows_no_half_of_a_name() -> None:
    record = ticket(1, 1, description=f"{'x ' * 95}a Jakob Reim"[:200])
    assert "Jako" not in texts_of(masked_record(record, known()))


def test_a_phone_number_in_a_column_of_numbers_is_hidden() -> None:
    finding = msgspec.structs.replace(
        anomaly(1, 1).findings[0],
        category=Category.DATA_QUALITY,
        evidence={"observed": 15558671234.0, "observed_2": 130.0, "threshold": 100.0, "n": 2},
    )
    record = masked_record(msgspec.structs.replace(anomaly(1, 1), findings=[finding]), known())
    assert isinstance(record, AnomalyDetected)
    assert record.findings[0].evidence == {"observed": "***", "observed_2": 130.0, "threshold": 100.0, "n": 2}


@pytest.mark.parametrize("number", ["T-2026", "48123", "TCK-2026-000123", "INC001234", "4/17"])
def test_ordinary_ticket_numbers_and_names_of_sites_stay(number: str) -> None:
    text = f"Ticket {number} of person 17"
    record = msgspec.structs.replace(ticket(1, 1, site_name="Jakob Reim Tower", description=text), ticket_no=number)
    masked = masked_record(record, known())
    assert isinstance(masked, TicketUpdated)
    assert (masked.ticket_no, masked.site_name, masked.description) == (number, "Jakob Reim Tower", text)
