"""The schemas and the code agree: what the one takes the other takes.

Also of contracts/messages.py, contracts/feed_messages.py, contracts/projections.py and contracts/requests.py.
"""

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feed_samples import anomaly, limited, ticket
from support.published_contract import check_heard, check_said, heard_problems, said_problems

from contracts.messages import (
    ErrorCode,
    ErrorMessage,
    Pong,
    Resumed,
    UnrecoverableReason,
    encode_message,
)
from contracts.projections import dashboard_messages, stream_messages
from contracts.requests import CLIENT_TYPES, ClientMessage, decode_client_message

DASHBOARD, STREAM = "ws://127.0.0.1/ws/noc/", "ws://127.0.0.1/ws/noc/anomaly-stream/"
NOW = "2026-11-21T12:00:00.000Z"

_fields = sorted({field.encode_name for kind in get_args(ClientMessage) for field in msgspec.structs.fields(kind)})
# Whole numbers that are written as 1.0 are integers for JSON Schema and none for the gateway: not drawn.
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.sampled_from([-1, 0, 1, 0.5, "", "x", "x" * 128, "x" * 129, "ping"])
)
_positions = st.dictionaries(st.sampled_from(["epoch", "seq", "other"]), _scalars, max_size=3)
_lists = st.lists(st.integers(0, 9) | st.sampled_from(["a", "", "x" * 129]), max_size=3) | st.sampled_from(
    [[1] * 1_000, [1] * 1_001, ["a"] * 100, ["a"] * 101]
)
_bodies = st.dictionaries(st.sampled_from([*_fields, "unknown"]), _scalars | _positions | _lists, max_size=5)


@settings(max_examples=1_500, deadline=None)
@given(kind=st.sampled_from([*sorted(CLIENT_TYPES), "unknown"]), body=_bodies)
def test_the_gateway_takes_exactly_what_the_schemas_allow(kind: str, body: dict[str, Any]) -> None:
    message = {"type": kind} | body
    try:
        decode_client_message(json.dumps(message).encode())
        taken = True
    except msgspec.ValidationError:
        taken = False
    assert taken == (not list(said_problems(message))), message


def test_the_gateway_takes_the_smallest_message_of_each_type() -> None:
    """Without this the property above could hold by refusing everything."""
    least: dict[str, dict[str, Any]] = {
        "authenticate": {"token": "t"},
        "subscribe_client": {"client_id": 1},
        "subscribe_site": {"site_id": 1},
        "resume": {"epoch": "e", "seq": 0},
        "refresh": {"token": "t"},
        "received": {"seq": 0},
        "seen": {"ids": ["a"]},
    }
    for kind in CLIENT_TYPES:
        message = {"type": kind} | least.get(kind, {})
        check_said(message)
        assert decode_client_message(json.dumps(message).encode())


@pytest.mark.parametrize("record", [anomaly(1, 1), anomaly(1, 2, 3), ticket(1, 3), limited(1, 4)])
def test_messages_of_the_feed_are_as_their_schemas_say(record: Any) -> None:
    for message in dashboard_messages(record, NOW, 1.5):
        check_heard(json.loads(encode_message(message)), DASHBOARD)
    for message in stream_messages(record, NOW, 1.5):
        check_heard(json.loads(encode_message(message)), STREAM)


def test_answers_are_as_their_schemas_say() -> None:
    for message in (
        Pong(timestamp=NOW, request_id="a"),
        Resumed(timestamp=NOW, recovered=False, reason=UnrecoverableReason.UNKNOWN_POSITION, first=None, last=7),
        Resumed(timestamp=NOW, recovered=True, reason=None, first=1, last=0),
        ErrorMessage(timestamp=NOW, code=ErrorCode.INVALID, message="m", correlation_id="c"),
    ):
        check_heard(json.loads(encode_message(message)), DASHBOARD)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "no_such_type"},
        {"seq": "1"},
        {"prev_seq": None},
        {"severity": "GRAVE"},
        {"timestamp": "yesterday"},
        {"timestamp": "2026-11-21T12:00:00+01:00"},
        {"part": {"index": 0}},
    ],
)
def test_a_wrong_message_is_refused(change: dict[str, Any]) -> None:
    right = json.loads(encode_message(dashboard_messages(anomaly(1, 1), NOW, 1.5)[0]))
    check_heard(right, DASHBOARD)
    assert list(heard_problems(right | change, DASHBOARD))
    with pytest.raises(AssertionError, match="not as docs/schemas/server says"):
        check_heard(right | change, DASHBOARD)


@pytest.mark.parametrize("missing", ["seq", "prev_seq", "timestamp", "findings", "type"])
def test_a_message_without_one_of_its_fields_is_refused(missing: str) -> None:
    message = json.loads(encode_message(stream_messages(anomaly(1, 1), NOW, 1.5)[0]))
    del message[missing]
    assert list(heard_problems(message, STREAM))


def test_each_endpoint_has_its_own_shape() -> None:
    message = json.loads(encode_message(dashboard_messages(anomaly(1, 1), NOW, 1.5)[0]))
    assert list(heard_problems(message, STREAM))


def test_a_wrong_request_is_refused_without_its_words() -> None:
    with pytest.raises(AssertionError, match="docs/schemas/client") as refused:
        check_said({"type": "authenticate", "token": ["secret-thing"]})
    assert "secret-thing" not in str(refused.value)
