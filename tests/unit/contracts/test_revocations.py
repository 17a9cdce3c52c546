"""The keys and values of `noc.revocations`."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.revocations import (
    SUBJECT_CHARACTERS_MAX,
    Revocation,
    RevokedSubject,
    RevokedToken,
    decode_key,
    decode_revocation,
    encode_revocation,
    key_bytes,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=SUBJECT_CHARACTERS_MAX)
KEYS = st.builds(RevokedSubject, st.integers(-(2**63), 2**63 - 1), TEXTS) | st.builds(RevokedToken, TEXTS)


@given(KEYS)
def test_a_key_reads_as_what_it_names(key: RevokedSubject | RevokedToken) -> None:
    assert decode_key(key_bytes(key)) == key


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"{}",
        b'"ops"',
        b'{"tenant_id":1}',
        b'{"subject":"ops"}',
        b'{"jti":""}',
        b'{"tenant_id":1,"subject":"ops","jti":"4f1d"}',
        b'{"tenant_id":"1","subject":"ops"}',
        b'{"jti":"%s"}' % (b"x" * (SUBJECT_CHARACTERS_MAX + 1)),
    ],
)
def test_a_key_that_names_neither_of_the_two_or_both_is_refused(key: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_key(key)


def test_a_revocation_keeps_its_moment_and_leaves_out_what_is_not_said() -> None:
    revocation = Revocation(datetime(2026, 3, 2, 9, tzinfo=UTC))
    assert encode_revocation(revocation) == b'{"not_before":"2026-03-02T09:00:00Z"}'
    assert decode_revocation(encode_revocation(revocation)) == revocation


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_revocation(b'{"not_before":"2026-03-02T09:00:00"}')
