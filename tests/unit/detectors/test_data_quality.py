"""DATA_QUALITY: what cannot be right is removed and reported; what is merely unusual is left alone.

Also of detectors/row_quality/helpers/checks_by_table.py and detectors/row_quality/helpers/row_check.py.
"""

import timeit
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.changes import NOW, NOW_US

from contracts.rows import ROW_TYPES
from detectors.row_quality.data_quality import DataQualityPolicy, clean, quality_draft

POLICY = DataQualityPolicy()
GOOD: dict[str, dict[str, Any]] = {
    "location": {
        "person_id": 17,
        "latitude": 48.1,
        "longitude": 11.5,
        "accuracy_m": 8.0,
        "speed_mps": 1.2,
        "is_mock": False,
        "recorded_at": NOW,
    },
    "attendance": {"person_id": 17, "event_type": "CHECK_IN", "occurred_at": NOW},
    "jobneed": {
        "job_type": "TOUR",
        "status": "COMPLETED",
        "planned_start": NOW,
        "due_at": NOW + timedelta(hours=4),
        "started_at": NOW - timedelta(hours=1),
        "completed_at": NOW,
        "checkpoints_expected": 5,
        "checkpoints_scanned": 7,
    },
    "device": {"status": "ONLINE", "battery_percent": 100, "last_seen": NOW},
    "ticket": {"status": "NEW", "priority": "LOW", "escalation_level": 0, "created_at": NOW, "updated_at": NOW},
    "work_order": {"status": "OPEN", "due_at": NOW + timedelta(days=300), "created_at": NOW},
    "assignment": {"shift_start": NOW, "shift_end": NOW + timedelta(days=1)},
    "site": {"latitude": 48.1, "longitude": 11.5, "geofence_radius_m": 80, "timezone": "Europe/Berlin"},
    "tenant": {"timezone": "Asia/Kolkata"},
}


def row(table: str, **more: Any) -> Any:
    return ROW_TYPES[table](**{"id": 3, "tenant_id": 1} | GOOD.get(table, {}) | more)


@pytest.mark.parametrize("table", sorted(ROW_TYPES))
def test_a_good_row_is_the_same_object_and_an_empty_one_is_judged_by_what_it_has(table: str) -> None:
    good = row(table)
    assert clean(table, good, NOW_US, POLICY) == (good, ())
    assert clean(table, good, NOW_US, POLICY)[0] is good
    reasons = clean(table, ROW_TYPES[table](id=3, tenant_id=1), NOW_US, POLICY)[1]
    assert {reason.code for reason in reasons} <= {"missing"}
    assert bool(reasons) == (table in {"location", "attendance"})


WRONG: list[tuple[str, dict[str, Any], str, set[str]]] = [
    ("location", {"latitude": 91.0}, "not_on_earth", {"latitude", "longitude"}),
    ("location", {"latitude": -91.0}, "not_on_earth", {"latitude", "longitude"}),
    ("location", {"longitude": 180.1}, "not_on_earth", {"latitude", "longitude"}),
    ("location", {"latitude": float("nan")}, "not_on_earth", {"latitude", "longitude"}),
    ("location", {"longitude": float("-inf")}, "not_on_earth", {"latitude", "longitude"}),
    ("location", {"latitude": 0.0, "longitude": 0.0}, "at_zero_zero", {"latitude", "longitude"}),
    ("location", {"latitude": None}, "missing", {"latitude", "longitude"}),
    ("location", {"longitude": None}, "missing", {"latitude", "longitude"}),
    ("location", {"recorded_at": None}, "missing", {"recorded_at"}),
    ("location", {"accuracy_m": -1.0}, "negative", {"accuracy_m"}),
    ("location", {"accuracy_m": float("inf")}, "not_a_number", {"accuracy_m"}),
    ("location", {"speed_mps": -2.5}, "negative", {"speed_mps"}),
    ("location", {"speed_mps": float("nan")}, "not_a_number", {"speed_mps"}),
    ("location", {"recorded_at": NOW + timedelta(seconds=601)}, "in_the_future", {"recorded_at"}),
    ("location", {"recorded_at": datetime(1970, 1, 1, tzinfo=UTC)}, "before_the_year_2000", {"recorded_at"}),
    ("attendance", {"event_type": "CHECKIN"}, "not_one_of_the_known_words", {"event_type"}),
    ("attendance", {"event_type": None}, "missing", {"event_type"}),
    ("attendance", {"person_id": None}, "missing", {"person_id"}),
    ("attendance", {"occurred_at": NOW + timedelta(hours=1)}, "in_the_future", {"occurred_at"}),
    ("attendance", {"latitude": 48.0}, "missing", {"latitude", "longitude"}),
    ("jobneed", {"completed_at": NOW - timedelta(hours=2)}, "after_completed_at", {"started_at"}),
    ("jobneed", {"due_at": NOW - timedelta(hours=2)}, "after_due_at", {"planned_start"}),
    ("jobneed", {"started_at": NOW + timedelta(days=1)}, "in_the_future", {"started_at"}),
    ("jobneed", {"due_at": datetime(1, 1, 1, tzinfo=UTC)}, "before_the_year_2000", {"due_at"}),
    ("jobneed", {"checkpoints_scanned": -1}, "negative", {"checkpoints_scanned"}),
    ("jobneed", {"checkpoints_expected": -9}, "negative", {"checkpoints_expected"}),
    ("jobneed", {"status": "DONE"}, "not_one_of_the_known_words", {"status"}),
    ("jobneed", {"job_type": "PPM"}, "not_one_of_the_known_words", {"job_type"}),
    ("device", {"battery_percent": 100.5}, "too_large", {"battery_percent"}),
    ("device", {"battery_percent": -1}, "negative", {"battery_percent"}),
    ("device", {"status": "online"}, "not_one_of_the_known_words", {"status"}),
    ("device", {"last_seen": NOW + timedelta(days=1)}, "in_the_future", {"last_seen"}),
    ("ticket", {"priority": "URGENT"}, "not_one_of_the_known_words", {"priority"}),
    ("ticket", {"status": ""}, "not_one_of_the_known_words", {"status"}),
    ("ticket", {"escalation_level": -1}, "negative", {"escalation_level"}),
    ("ticket", {"created_at": NOW + timedelta(days=1)}, "in_the_future", {"created_at"}),
    ("work_order", {"status": "CLOSED"}, "not_one_of_the_known_words", {"status"}),
    ("work_order", {"due_at": datetime(1970, 1, 1, tzinfo=UTC)}, "before_the_year_2000", {"due_at"}),
    ("assignment", {"shift_end": NOW - timedelta(hours=1)}, "before_shift_start", {"shift_start", "shift_end"}),
    ("site", {"latitude": 200.0}, "not_on_earth", {"latitude", "longitude"}),
    ("site", {"geofence_radius_m": 0.0}, "too_small", {"geofence_radius_m"}),
    ("site", {"geofence_radius_m": -80.0}, "negative", {"geofence_radius_m"}),
    ("site", {"geofence_radius_m": 1e7}, "too_large", {"geofence_radius_m"}),
    ("site", {"timezone": "Mars/Olympus"}, "no_time_zone", {"timezone"}),
    ("site", {"timezone": "Europe"}, "no_time_zone", {"timezone"}),
    ("site", {"timezone": "../../etc/passwd"}, "no_time_zone", {"timezone"}),
    ("site", {"timezone": "x" * 5_000}, "no_time_zone", {"timezone"}),
    ("site", {"geofence": '{"type":"Point"}'}, "no_area", set()),
    ("tenant", {"timezone": ""}, "no_time_zone", {"timezone"}),
]


@pytest.mark.parametrize(("table", "wrong", "code", "blanked"), WRONG)
def test_what_cannot_be_is_blanked_and_reported(
    table: str, wrong: dict[str, Any], code: str, blanked: set[str]
) -> None:
    given_row = row(table, **wrong)
    cleaned, reasons = clean(table, given_row, NOW_US, POLICY)
    assert [reason.code for reason in reasons] == [code]
    assert reasons[0].column in wrong or code.startswith(("after", "before", "missing"))
    assert cleaned == msgspec.structs.replace(given_row, **dict.fromkeys(blanked))
    assert all(reason.code == "missing" for reason in clean(table, cleaned, NOW_US, POLICY)[1]) or not blanked
    finding = quality_draft(reasons)
    assert (finding.severity, finding.evidence["reason"], finding.evidence["n"]) == ("INFO", code, 1)
    assert msgspec.json.encode(finding)


@pytest.mark.parametrize(
    ("table", "unusual"),
    [
        ("location", {"recorded_at": NOW + timedelta(seconds=599)}),
        ("location", {"recorded_at": NOW - timedelta(days=30)}),
        ("location", {"latitude": 0.0}),
        ("location", {"latitude": -90.0, "longitude": 180.0}),
        ("location", {"accuracy_m": 0.0, "speed_mps": 0.0}),
        ("location", {"accuracy_m": None, "speed_mps": None, "is_mock": None}),
        ("assignment", {"shift_end": datetime(9999, 12, 31, tzinfo=UTC)}),
        ("device", {"battery_percent": 0.0}),
        ("site", {"geofence": None, "geofence_radius_m": None, "timezone": None}),
        ("site", {"geofence": "__debezium_unavailable_value"}),
    ],
)
def test_what_is_merely_unusual_is_left_alone(table: str, unusual: dict[str, Any]) -> None:
    given_row = row(table, **unusual)
    assert clean(table, given_row, NOW_US, POLICY) == (given_row, ())


def test_a_phone_that_does_not_know_its_speed_is_no_news() -> None:
    cleaned, reasons = clean("location", row("location", speed_mps=-1.0), NOW_US, POLICY)
    assert (cleaned.speed_mps, list(reasons)) == (None, [])


def test_several_reasons_are_one_finding() -> None:
    wrong = row("location", latitude=95.0, accuracy_m=-4.0, recorded_at=None)
    evidence = quality_draft(clean("location", wrong, NOW_US, POLICY)[1]).evidence
    assert evidence == {
        "reason": "missing",
        "column": "recorded_at",
        "observed": None,
        "reason_2": "not_on_earth",
        "column_2": "latitude",
        "observed_2": 95.0,
        "threshold_2": 90.0,
        "reason_3": "negative",
        "column_3": "accuracy_m",
        "observed_3": -4.0,
        "threshold_3": 0,
        "n": 3,
    }


def test_an_update_tells_only_what_is_new_in_it() -> None:
    before = row("ticket", priority="URGENT")
    assert clean("ticket", row("ticket", priority="URGENT", status="OPEN"), NOW_US, POLICY, before)[1] == []
    reasons = clean("ticket", row("ticket", priority="URGENT", status="GONE"), NOW_US, POLICY, before)[1]
    assert [reason.column for reason in reasons] == ["status"]


def test_text_of_the_row_stands_shortened_in_the_evidence_and_nowhere_else() -> None:
    finding = quality_draft(clean("ticket", row("ticket", status="{person_name}" * 9), NOW_US, POLICY)[1])
    assert finding.evidence["observed"] == ("{person_name}" * 9)[:40]
    assert "{" not in finding.title + finding.description


ANY = st.one_of(st.none(), st.floats(), st.integers(-(2**63), 2**63 - 1).map(float))
TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
WORDS = st.none() | st.text(max_size=60) | st.sampled_from(["OPEN", "CHECK_IN", "TASK", "UTC"])


def column(field: msgspec.structs.FieldInfo) -> st.SearchStrategy[Any]:
    """Any value that the decoder lets through."""
    if field.name in {"id", "tenant_id"}:
        return st.integers(1, 2**63 - 1)
    kind = str(field.type)
    if "datetime" in kind:
        return TIMES
    if "float" in kind:
        return ANY
    if "bool" in kind:
        return st.none() | st.booleans()
    return WORDS if "str" in kind else st.none() | st.integers(-(2**63), 2**63 - 1)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the first text makes hypothesis read Unicode
@given(st.data(), st.sampled_from(sorted(ROW_TYPES)), st.integers(0, 4_000_000_000_000_000))
def test_any_row_is_cleaned_and_a_cleaned_row_has_nothing_left_to_tell(data: Any, table: str, now_us: int) -> None:
    fields = msgspec.structs.fields(ROW_TYPES[table])
    given_row = ROW_TYPES[table](**{field.name: data.draw(column(field)) for field in fields})
    cleaned, reasons = clean(table, given_row, now_us, POLICY)
    assert {reason.code for reason in clean(table, cleaned, now_us, POLICY)[1]} <= {"missing", "no_area"}
    assert all(reason.column in {field.name for field in fields} for reason in reasons)
    if reasons:
        msgspec.json.encode(quality_draft(reasons))


def test_a_good_fix_costs_next_to_nothing() -> None:
    good = row("location")
    seconds = min(timeit.repeat(lambda: clean("location", good, NOW_US, POLICY), number=10_000, repeat=5)) / 10_000
    assert seconds < 5e-6  # measured 0.6 us on a free core
