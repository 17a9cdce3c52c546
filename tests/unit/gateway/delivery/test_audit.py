"""The audit trail has every sensitive action, and of a flood of refusals how many there were."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from support.feed_samples import NOW

from contracts.audit import AuditRecord
from gateway.delivery.audit import Actor, AuditTrail
from gateway.session.effects import Action, Audit
from gateway.session.replies import iso

ALICE = Actor(connection="c1", endpoint="dashboard", peer="10.0.0.1", tenant_id=1, subject="alice")
STRANGER = Actor(peer="203.0.113.9")


def trail(kinds_max: int = 100) -> tuple[AuditTrail, list[AuditRecord]]:
    given_records: list[AuditRecord] = []
    return AuditTrail("here", given_records.append, window_s=60, kinds_max=kinds_max), given_records


def refused(action: Action = Action.SUBSCRIBE, reason: str = "not yours") -> Audit:
    return Audit(action, allowed=False, reason=reason, correlation_id="x1")


def handshake(reason: str) -> Audit:
    return Audit(Action.HANDSHAKE, allowed=False, reason=reason)


def test_a_record_says_who_what_when_and_why() -> None:
    audit, records = trail()
    audit.note(Audit(Action.SIGN_IN, allowed=True, reason="noc:view noc:view_pii"), ALICE, NOW)
    audit.note(refused(), ALICE, NOW + 1)
    assert records == [
        AuditRecord(
            time=iso(NOW),
            gateway="here",
            action="sign_in",
            allowed=True,
            reason="noc:view noc:view_pii",
            tenant_id=1,
            subject="alice",
            connection="c1",
            endpoint="dashboard",
            peer="10.0.0.1",
        ),
        AuditRecord(
            time=iso(NOW + 1),
            gateway="here",
            action="subscribe",
            allowed=False,
            reason="not yours",
            tenant_id=1,
            subject="alice",
            connection="c1",
            endpoint="dashboard",
            peer="10.0.0.1",
            correlation_id="x1",
        ),
    ]


def test_the_same_refusal_again_is_counted_until_its_window_is_over() -> None:
    audit, records = trail()
    for step in range(1_000):
        audit.note(handshake("origin"), STRANGER, NOW + step * 0.01)
    audit.sweep(NOW + 59)
    assert [record.count for record in records] == [1]
    audit.sweep(NOW + 60)
    assert [(record.action, record.peer, record.count, record.time) for record in records[1:]] == [
        ("handshake", "203.0.113.9", 999, iso(NOW + 9.99))
    ]
    audit.sweep(NOW + 600)
    audit.note(handshake("origin"), STRANGER, NOW + 601)
    assert [record.count for record in records] == [1, 999, 1]


def test_what_is_allowed_is_never_summed_up() -> None:
    audit, records = trail()
    for _ in range(50):
        audit.note(Audit(Action.SIGN_IN, allowed=True, reason="noc:view"), ALICE, NOW)
    assert len(records) == 50


def test_others_and_other_reasons_have_their_own_records() -> None:
    audit, records = trail()
    bob = Actor(connection="c2", endpoint="dashboard", peer="10.0.0.1", tenant_id=1, subject="bob")
    for who in (ALICE, bob, STRANGER):
        for reason in ("one", "two"):
            audit.note(refused(reason=reason), who, NOW)
    assert len(records) == 6


def test_ten_thousand_addresses_are_one_line_once_too_many_are_known() -> None:
    audit, records = trail(kinds_max=10)
    for number in range(10_000):
        audit.note(handshake("origin"), Actor(peer=f"10.0.{number >> 8}.{number & 255}"), NOW)
    assert len(records) == 11
    assert len(audit._repeats) == 11
    audit.close()
    assert [(record.peer, record.count) for record in records[11:]] == [(None, 9_989)]
    assert sum(record.count for record in records) == 10_000


def test_reasons_without_end_are_one_line_too() -> None:
    audit, records = trail(kinds_max=10)
    for number in range(10_000):
        audit.note(handshake(f"reason {number}"), STRANGER, NOW)
    assert len(audit._repeats) <= 10 + 101
    audit.close()
    assert sum(record.count for record in records) == 10_000


def test_long_reasons_and_subjects_are_cut() -> None:
    audit, records = trail()
    audit.note(refused(reason="x" * 10_000), Actor(subject="s" * 10_000), NOW)
    assert (len(records[0].reason), len(records[0].subject or "")) == (300, 256)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["p1", "p2", "p3"]), st.floats(0, 90)), max_size=60),
    st.integers(1, 5),
)
def test_no_refusal_is_lost_and_none_counts_twice(script: list[tuple[str, str, float]], kinds: int) -> None:
    audit, records = trail(kinds)
    now = NOW
    for reason, peer, wait in script:
        now += wait
        audit.note(handshake(reason), Actor(peer=peer), now)
        if wait > 45:
            audit.sweep(now)
    audit.close()
    counted: Counter[str] = Counter()
    for record in records:
        counted[record.reason] += record.count
    assert counted == Counter(reason for reason, _, _ in script)
