"""The fold of `noc.revocations`, and its view.

Also of gateway/access/signed_in.py.
"""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support.feed_samples import AUTH, NOW, SECRET, bearer, instant

from common.settings.auth import AuthSettings
from common.settings.gateway import ConnectionSettings
from common.settings.load import Settings
from contracts.messages import CloseCode
from contracts.revocations import (
    Revocation,
    RevocationKey,
    RevokedSubject,
    RevokedToken,
    decode_key,
    encode_revocation,
    key_bytes,
)
from gateway.access.admission import ConnectionCounts
from gateway.access.bearer import AccessRefusedError, Bearer
from gateway.access.revocation import Revocations, RevocationView
from gateway.access.signed_in import SignedIn
from gateway.metrics import GatewayMetrics

LIFE_S = 3_600
SHORT = AuthSettings(hs256_secret=SECRET, token_lifetime_s_max=LIFE_S, clock_skew_s=0)
OPS = RevokedSubject(1, "ops")


def value(not_before: float = NOW) -> bytes:
    return encode_revocation(Revocation(not_before=datetime.fromtimestamp(not_before, UTC)))


def fold(*records: tuple[RevocationKey, bytes | None], auth: AuthSettings = SHORT, now: float = NOW) -> Revocations:
    made = Revocations(auth)
    for key, content in records:
        made.take(key_bytes(key), content, NOW)
    made.forget(now)
    return made


def issued(at: float = NOW - 1, tenant: int = 1, subject: str = "ops", jti: str | None = None) -> Bearer:
    return bearer(tenant, subject=subject, issued_at=at, token_id=jti)


def test_only_the_subjects_tokens_that_were_issued_before_the_moment_are_refused() -> None:
    revoked = fold((OPS, value()))
    assert revoked.refuses(issued(NOW - 0.001))
    assert not revoked.refuses(issued(NOW))
    assert not revoked.refuses(issued(tenant=2))
    assert not revoked.refuses(issued(subject="ops2"))


def test_one_token_is_refused_by_its_id_whatever_its_time() -> None:
    revoked = fold((RevokedToken("a"), value()))
    assert revoked.refuses(issued(NOW + 100, jti="a"))
    assert not revoked.refuses(issued(jti="b"))
    assert not revoked.refuses(issued(jti=None))


@pytest.mark.parametrize("key", [OPS, RevokedToken("a")], ids=["subject", "token"])
def test_a_tombstone_lifts_it(key: RevocationKey) -> None:
    assert not fold((key, value()), (key, None)).refuses(issued(jti="a"))
    assert fold((key, value()), (key, None), (key, value())).refuses(issued(jti="a"))


def test_what_refuses_only_expired_tokens_is_forgotten() -> None:
    records = ((OPS, value()), (RevokedToken("a"), value(0)))  # one token's counts from when it was written
    assert len(fold(*records, now=NOW + LIFE_S - 1)) == 2
    assert len(fold(*records, now=NOW + LIFE_S + 1)) == 0


@pytest.mark.parametrize(
    ("key", "content"),
    [
        (b"", value()),
        (b"{}", value()),
        (b"[1]", value()),
        (b"\xff", value()),
        (b'{"tenant_id":1}', value()),
        (b'{"subject":"ops"}', value()),
        (b'{"tenant_id":"1","subject":"ops"}', value()),
        (b'{"tenant_id":true,"subject":"ops"}', value()),
        (b'{"tenant_id":1,"subject":"ops","jti":"a"}', value()),
        (b'{"tenant_id":1,"subject":""}', value()),
        (key_bytes(OPS), b""),
        (key_bytes(OPS), b"{}"),
        (key_bytes(OPS), b'{"not_before":"2026-11-21T16:00:00"}'),
        (key_bytes(OPS), b'{"not_before":"soon"}'),
        (key_bytes(OPS), b'{"not_before":1760000000}'),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(key: bytes, content: bytes) -> None:
    revoked = Revocations(SHORT)
    with pytest.raises(msgspec.DecodeError):
        revoked.take(key, content, NOW)
    assert len(revoked) == 0


def test_a_key_is_written_in_one_way_only() -> None:
    assert decode_key(b'{"tenant_id": 1, "subject": "ops", "more": 1}') == OPS
    assert key_bytes(OPS) == b'{"tenant_id":1,"subject":"ops"}'
    assert encode_revocation(Revocation(datetime.fromtimestamp(NOW, UTC), reason="left")) == (
        b'{"not_before":"2025-10-09T08:53:20Z","reason":"left"}'
    )


subjects = st.builds(RevokedSubject, st.integers(1, 3), st.sampled_from("abc"))
tokens = st.builds(RevokedToken, st.sampled_from(["t0", "t1", "t2", "t3"]))
histories = st.lists(st.tuples(st.one_of(subjects, tokens), st.one_of(st.none(), st.integers(0, 2 * LIFE_S))))


@given(
    histories, st.integers(1, 6), st.integers(0, 2 * LIFE_S), st.integers(1, 3), st.sampled_from("abc"), st.booleans()
)
def test_a_full_table_refuses_too_much_and_never_too_little(
    history: list[tuple[RevocationKey, int | None]],
    entries_max: int,
    token_at: int,
    tenant: int,
    subject: str,
    named: bool,
) -> None:
    """Against a table without a limit, for every token that has not expired."""
    auth = SHORT.model_copy(update={"revocations_max": entries_max})
    small, large = Revocations(auth), Revocations(SHORT)
    now = NOW + 2 * LIFE_S
    for key, at in history:
        for table in (small, large):
            content = None if at is None else value(NOW + at)
            table.take(key_bytes(key), content, NOW + (at or 0))
        small.forget(now)
    large.forget(now)
    assert len(small) <= entries_max
    # A token's id is revoked when the token is there already.
    known = [at for key, at in history if key == RevokedToken("t0") and at is not None]
    who = issued(NOW + token_at, tenant, subject, "t0" if named and all(at >= token_at for at in known) else None)
    alive = who.issued_at + LIFE_S > now
    if alive and large.refuses(who):
        assert small.refuses(who)
    if len(large) <= entries_max and not small.floor:
        assert small.refuses(who) == large.refuses(who)


def record(key: RevocationKey | bytes, content: bytes | None, at: float = NOW) -> Any:
    raw = key if isinstance(key, bytes) else key_bytes(key)
    return SimpleNamespace(key=raw, value=content, timestamp=int(at * 1000), offset=5)


class Connection:
    """A connection that somebody has signed in on."""

    def __init__(self) -> None:
        self.bearer = issued()
        self.revoked = ""

    def revoke(self, reason: str) -> None:
        self.revoked = reason


def view_of(auth: AuthSettings = SHORT) -> tuple[RevocationView, Connection]:
    metrics = GatewayMetrics()
    signed_in, connection = SignedIn(ConnectionCounts(ConnectionSettings()), metrics), Connection()
    signed_in.admit(connection, connection.bearer)
    return RevocationView(Settings(auth=auth), signed_in, metrics, lambda: NOW), connection


def refuses(view: RevocationView, bearer: Bearer) -> bool:
    try:
        view.check(bearer)
    except AccessRefusedError as refusal:
        return refusal.code is CloseCode.NOT_AUTHENTICATED
    return False


def take(view: RevocationView, *records: Any) -> None:
    view.take({TopicPartition("noc.revocations", 0): list(records)}, {})


def test_a_view_that_has_caught_up_ends_the_connections_of_revoked_tokens() -> None:
    view, connection = view_of()
    view.begin({})
    take(view, record(OPS, value()))
    assert (view.known, refuses(view, issued()), connection.revoked) == (False, False, "")
    view.caught_up()
    assert (view.known, refuses(view, issued()), connection.revoked) == (True, True, "the token was revoked")
    take(view, record(OPS, None))
    view.caught_up()
    assert not refuses(view, issued())


def test_what_was_revoked_stays_so_while_the_topic_is_read_anew() -> None:
    view, _ = view_of()
    view.begin({})
    take(view, record(OPS, value()))
    view.caught_up()
    view.begin({})
    assert refuses(view, issued())
    view.caught_up()
    assert not refuses(view, issued())


def test_an_unreadable_record_is_counted_and_nothing_of_it_is_logged() -> None:
    view, _ = view_of()
    view.begin({})
    with capture_logs() as logs:
        take(view, record(b'{"tenant_id":1,"subjekt":"valerie"}', value()))
    assert [(line["log_level"], line["offset"]) for line in logs] == [("error", 5)]
    assert "valerie" not in str(logs)
    assert view._metrics.registry.get_sample_value("watchfloor_gateway_revocations_unreadable_total") == 1


def test_a_missing_topic_is_told_once_and_nobody_is_refused() -> None:
    view, _ = view_of()
    with capture_logs() as logs:
        view.missing()
        view.missing()
    assert (view.known, refuses(view, issued())) == (True, False)
    assert [line["topic"] for line in logs] == ["noc.revocations"]


def test_a_table_that_overflows_is_told_and_a_long_topic_does_not_grow_it() -> None:
    view, _ = view_of(SHORT.model_copy(update={"revocations_max": 10}))
    view.begin({})
    largest = 0
    for number in range(200):
        take(view, record(RevokedToken(f"t{number}"), value(NOW - number), NOW - number))
        largest = max(largest, len(view._next))
    with capture_logs() as logs:
        view.caught_up()
    assert largest <= 21
    assert len(logs) == 1
    assert "auth.revocations_max" in logs[0]["event"]
    assert refuses(view, issued(NOW - 100))  # of somebody else, but as old as the ones forgotten
    assert not refuses(view, issued(NOW + 1))


def test_the_default_settings_remember_as_long_as_a_token_may_live() -> None:
    assert instant(NOW)  # the clock of these tests
    assert len(fold((OPS, value()), auth=AUTH, now=NOW + AUTH.token_lifetime_s_max)) == 1
