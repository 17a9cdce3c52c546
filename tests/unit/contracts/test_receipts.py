"""Counting recipients in runs is counting them one by one."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.audit import AuditRecord, audit_key, decode_audit, encode_audit
from contracts.receipts import (
    Reach,
    ReceiptBatch,
    RecipientCounts,
    RecipientRuns,
    Run,
    SeenMark,
    decode_receipts,
    encode_receipts,
    receipt_headers,
)

writes = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 20), st.integers(1, 5)).map(lambda w: (w[0], w[0] + w[1], w[2])),
    max_size=30,
)


def one_by_one(written: list[tuple[int, int, int]]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for first, last, recipients in written:
        for seq in range(first, last + 1):
            counts[seq] += recipients
    return counts


def expanded(runs: list[Run]) -> Counter[int]:
    return one_by_one([(run.first, run.last, run.recipients) for run in runs])


@given(writes)
def test_runs_are_what_counting_each_message_gives(written: list[tuple[int, int, int]]) -> None:
    runs = RecipientRuns()
    for write in written:
        runs.add(*write)
    found = runs.runs()
    assert expanded(found) == one_by_one(written)
    assert all(runs.of(seq) == count for seq, count in one_by_one(written).items())
    assert len(runs) <= 2 * len(written)
    for run, following in pairwise(found):
        assert run.last < following.first
        assert run.last + 1 < following.first or run.recipients != following.recipients
    assert all(run.recipients > 0 and run.first <= run.last for run in found)


def batch(tenant: int, runs: list[Run], epoch: str = "a", gateway: str = "g") -> ReceiptBatch:
    return ReceiptBatch(tenant_id=tenant, gateway=gateway, at="2026-01-01T00:00:00Z", epoch=epoch, runs=runs)


@given(st.lists(writes, max_size=5), st.randoms(use_true_random=False))
def test_the_fold_adds_up_gateways_and_catch_ups_in_any_order(
    parts: list[list[tuple[int, int, int]]], random: object
) -> None:
    batches = []
    for part in parts:
        runs = RecipientRuns()
        for write in part:
            runs.add(*write)
        batches.append(batch(1, runs.runs()))
    random.shuffle(batches)  # type: ignore[attr-defined]
    counts = RecipientCounts()
    for made in batches:
        counts.take(decode_receipts(encode_receipts(made)))
    expected = one_by_one([write for part in parts for write in part])
    assert {seq: counts.of("a", 1, seq) for seq in range(1, 90)} == {seq: expected[seq] for seq in range(1, 90)}
    assert counts.of("b", 1, 5) == counts.of("a", 2, 5) == 0


@given(writes, st.integers(1, 90))
def test_what_is_settled_and_what_is_left_is_the_whole(written: list[tuple[int, int, int]], below: int) -> None:
    runs = RecipientRuns()
    for write in written:
        runs.add(*write)
    counts = RecipientCounts()
    counts.take(batch(1, runs.runs()))
    settled = expanded(counts.settled("a", 1, below))
    expected = one_by_one(written)
    assert all(seq < below for seq in settled)
    assert all(settled[seq] + counts.of("a", 1, seq) == count for seq, count in expected.items())
    assert all(counts.of("a", 1, seq) == 0 for seq in range(1, below))


def test_only_records_with_marks_say_so_in_a_header() -> None:
    plain = batch(3, [Run(1, 2, 3)])
    marked = ReceiptBatch(
        tenant_id=3,
        gateway="g",
        at="2026-01-01T00:00:00Z",
        epoch="a",
        connections=[Reach(user="ops", connection="c", endpoint="dashboard", written=7, received=5)],
        seen=[SeenMark(user="ops", id="x", at="2026-01-01T00:00:00Z")],
    )
    assert (receipt_headers(plain), receipt_headers(marked)) == ([], [("holds", b"seen")])
    assert decode_receipts(encode_receipts(marked)) == marked
    assert encode_receipts(plain) == (
        b'{"type":"receipts","tenant_id":3,"gateway":"g","at":"2026-01-01T00:00:00Z","epoch":"a","runs":[[1,2,3]]}'
    )


def test_audit_records_are_keyed_by_their_tenant() -> None:
    record = AuditRecord(time="2026-01-01T00:00:00Z", gateway="g", action="sign_in", allowed=False, reason="expired")
    assert audit_key(record) == b'{"tenant_id":null}'
    mine = AuditRecord(
        time="2026-01-01T00:00:00Z", gateway="g", action="sign_in", allowed=True, reason="", tenant_id=3, subject="ops"
    )
    assert audit_key(mine) == b'{"tenant_id":3}'
    assert decode_audit(encode_audit(mine)) == mine
