"""Envelopes as the real connector wrote them (tests/golden), and as nobody should."""

import json
import timeit
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import GOLDEN

from contracts.envelope import Change, ChangeDecoder
from contracts.rows import UNAVAILABLE, Attendance, Site, Tenant, Ticket, known
from contracts.topics import CAPTURED_TABLES, partition_of, tenant_key

CANONICAL = ChangeDecoder()
NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))


def golden(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def decode(name: str) -> Change:
    record = golden(name)
    change = ChangeDecoder({record["table"]: record["columns"]}).decode(record["table"], encoded(record))
    assert change is not None
    return change


def encoded(record: dict[str, Any]) -> bytes:
    return json.dumps(record["value"], separators=(",", ":")).encode()


def envelope(table: str = "ticket", **changes: Any) -> bytes:
    value = golden(f"insert_{table}")["value"]
    return json.dumps(value | changes).encode()


def test_every_kind_of_change_was_captured() -> None:
    assert {f"insert_{table}" for table in CAPTURED_TABLES} <= set(NAMES)
    assert {decode(name).op for name in NAMES if "refused" not in name} == {"c", "u", "d", "r"}


@pytest.mark.parametrize("name", [name for name in NAMES if "refused" not in name])
def test_a_golden_envelope_decodes_to_what_it_says(name: str) -> None:
    record = golden(name)
    change = decode(name)
    value = record["value"]
    assert change.table == record["table"]
    assert change.op == value["op"]
    assert change.lsn == value["source"]["lsn"]
    assert change.commit_us == value["source"]["ts_us"]
    assert change.txid == value["source"]["txId"]
    assert change.snapshot == (value["op"] == "r")
    previous_commit = json.loads(value["source"]["sequence"])[0]
    assert change.order == (change.lsn if previous_commit is None else int(previous_commit), change.lsn)
    for row, theirs in ((change.before, value["before"]), (change.after, value["after"])):
        assert (row is None) == (theirs is None) or name == "update_repairs"
        for column in () if row is None else row.__struct_fields__:
            raw = theirs.get(record["columns"].get(column, column))
            ours = getattr(row, column)
            if isinstance(ours, datetime):
                assert ours == datetime.fromisoformat(raw)
            else:
                assert ours == raw


@pytest.mark.parametrize("name", NAMES)
def test_a_record_lies_where_its_tenant_belongs(name: str) -> None:
    record = golden(name)
    tenant_id = json.loads(record["key"])["tenant_id"]
    assert record["key"].encode() == tenant_key(tenant_id)
    assert record["partition"] == partition_of(tenant_id, record["partitions"])
    if "refused" not in name:
        assert decode(name).row.tenant_id == tenant_id


@pytest.mark.parametrize("name", [name for name in NAMES if "refused" in name])
def test_a_row_with_a_wrong_type_is_refused_with_the_place(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.(before|after)\."):
        decode(name)


def test_an_update_tells_the_old_and_the_new_row() -> None:
    change = decode("update_ticket")
    assert isinstance(change.before, Ticket)
    assert isinstance(change.after, Ticket)
    assert (change.before.status, change.after.status) == ("OPEN", "RESOLVED")


def test_a_delete_tells_the_whole_old_row() -> None:
    change = decode("delete_ticket")
    assert change.after is None
    assert change.row is change.before
    assert isinstance(change.row, Ticket)
    assert (change.row.id, change.row.ticket_no) == (2, "T-2")


def test_times_are_aware_and_keep_their_microseconds() -> None:
    row = decode("insert_attendance").row
    assert isinstance(row, Attendance)
    assert row.occurred_at == datetime(2026, 3, 2, 5, 1, 2, 123456, tzinfo=UTC)
    assert row.occurred_at.tzinfo is UTC


def test_the_largest_identifiers_are_exact() -> None:
    row = decode("insert_extremes").row
    assert isinstance(row, Attendance)
    assert (row.id, row.site_id) == (2**63 - 1, -(2**63))


def test_geojson_stays_text() -> None:
    row = decode("insert_site").row
    assert isinstance(row, Site)
    assert row.geofence is not None
    assert json.loads(row.geofence)["type"] == "Polygon"


def test_an_unchanged_long_text_comes_whole_where_old_rows_are_logged() -> None:
    row = decode("update_unchanged_long_text").row
    assert isinstance(row, Ticket)
    assert row.description == "x" * 2100


def test_an_unchanged_long_text_is_unavailable_where_old_rows_are_not_logged() -> None:
    change = decode("mapped_update_unavailable")
    assert change.before is None
    assert isinstance(change.after, Ticket)
    assert change.after.description == UNAVAILABLE
    assert known(change.after.description) is None


def test_an_added_column_is_ignored_and_a_dropped_one_is_none() -> None:
    assert "colour" in golden("insert_column_added")["value"]["after"]
    assert decode("insert_column_added").row.id == 4
    assert "priority" not in golden("insert_column_dropped")["value"]["after"]
    row = decode("insert_column_dropped").row
    assert isinstance(row, Ticket)
    assert row.priority is None


def test_moving_a_row_to_another_tenant_is_a_delete_there_and_a_create_here() -> None:
    gone, new = decode("update_of_tenant_delete"), decode("update_of_tenant_insert")
    assert (gone.op, gone.row.tenant_id) == ("d", 7)
    assert (new.op, new.row.tenant_id) == ("c", 27)
    assert gone.order == new.order


def test_the_update_that_repairs_a_malformed_row_is_not_refused_with_it() -> None:
    assert golden("update_repairs")["value"]["before"]["latitude"] == "NaN"
    change = decode("update_repairs")
    assert change.before is None
    assert change.row.id == 77


def test_a_customers_names_become_the_canonical_ones_even_swapped() -> None:
    tenant = decode("mapped_snapshot_tenant").row
    assert isinstance(tenant, Tenant)
    assert (tenant.id, tenant.tenant_id, tenant.name) == (3, 3, "Acme")
    row = decode("mapped_insert_ticket").row
    assert isinstance(row, Ticket)
    assert (row.tenant_id, row.status, row.priority) == (3, "OPEN", "HIGH")
    attendance = decode("mapped_insert_attendance").row
    assert isinstance(attendance, Attendance)
    assert (attendance.latitude, attendance.verified_person_id) == (12.971599, 33)
    assert attendance.occurred_at == datetime(2026, 3, 2, 5, 1, 2, 250000, tzinfo=UTC)


@pytest.mark.parametrize("columns", [{"tickets": {}}, {"ticket": {"colour": "color"}}])
def test_a_mapping_of_what_is_not_canonical_is_refused(columns: dict[str, dict[str, str]]) -> None:
    with pytest.raises(KeyError):
        ChangeDecoder(columns)


@pytest.mark.parametrize("value", [None, b'{"ts_ms":1795255934842}', envelope(op="t", after=None), envelope(op="m")])
def test_what_is_no_row_change_is_skipped(value: bytes | None) -> None:
    assert CANONICAL.decode("ticket", value) is None


@pytest.mark.parametrize(
    "value",
    [
        b"{}",
        b"[]",
        b"null",
        envelope(op="x"),
        envelope(after=None),
        envelope(op="d"),
        envelope(source={"lsn": 1}),
        envelope(after={"id": 1}),
        envelope(after={"id": 1, "tenant_id": 0}),
        envelope(after={"id": "1", "tenant_id": 7}),
        envelope(after={"id": 1, "tenant_id": 7, "created_at": "2026-03-02T05:00:00"}),
    ],
)
def test_a_malformed_envelope_is_refused(value: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        CANONICAL.decode("ticket", value)


@pytest.mark.parametrize("sequence", ["", "x", '["', '["a","1"]', "[,]", '["9'])
def test_a_malformed_sequence_is_an_error_or_a_number_never_something_else(sequence: str) -> None:
    source = golden("insert_ticket")["value"]["source"] | {"sequence": sequence}
    try:
        change = CANONICAL.decode("ticket", envelope(source=source))
    except ValueError:
        return
    assert change is not None
    assert isinstance(change.commit_lsn, int)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise_what_is_documented(value: bytes) -> None:
    try:
        change = CANONICAL.decode("ticket", value)
    except (msgspec.MsgspecError, ValueError):
        return
    assert change is None or isinstance(change, Change)


def test_changes_sort_by_commit_where_a_transaction_began_early_and_committed_late() -> None:
    def change(commit: int | None, lsn: int) -> Change:
        sequence = json.dumps([None if commit is None else str(commit), str(lsn)], separators=(",", ":"))
        source = golden("insert_ticket")["value"]["source"] | {"sequence": sequence, "lsn": lsn}
        decoded = CANONICAL.decode("ticket", envelope(source=source))
        assert decoded is not None
        return decoded

    snapshot = change(None, 100)
    first = [change(None, 110), change(None, 130)]  # its commit ends at 140
    quick = [change(140, 150)]  # ends at 160
    long = [change(160, 120), change(160, 145)]  # began before the quick one, committed after it
    in_commit_order = [snapshot, *first, *quick, *long]
    by_lsn = sorted(in_commit_order, key=lambda each: each.lsn)
    assert by_lsn != in_commit_order
    assert sorted(by_lsn, key=lambda each: each.order) == in_commit_order


def test_decoding_is_fast_enough_for_a_hot_path() -> None:
    value = encoded(golden("insert_attendance"))
    best_us = min(timeit.repeat(lambda: CANONICAL.decode("attendance", value), number=2_000, repeat=10)) / 2_000 * 1e6
    # 1.3 us measured; ten times that leaves room for a busy machine and still catches a second pass in Python.
    assert best_us < 13
