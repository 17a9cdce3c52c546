"""One connection as a state machine: messages and clock values in, effects out.

Also of gateway/session/effects.py and gateway/session/replies.py.
"""

import json
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from support.feed_samples import NOW, bearer

from common.settings.gateway import SessionSettings
from contracts.messages import ADVICE, CloseCode, ErrorCode, ErrorMessage, encode_message
from contracts.requests import ResumePosition
from gateway.access.scope import Scope
from gateway.session.effects import (
    Action,
    Audit,
    Close,
    Effect,
    NoteReceived,
    NoteSeen,
    Rewind,
    Send,
    Subscribe,
    Verify,
)
from gateway.session.protocol import Session
from gateway.session.replies import Facts

LIMITS = SessionSettings(authenticate_timeout_s=10, message_bytes_max=4096, messages_per_minute_max=100, filters_max=3)


class Feed:
    epoch = "epoch-1"

    def position(self, tenant_id: int) -> int:
        return 41 if tenant_id == 1 else 0

    def events_processed(self, tenant_id: int) -> int:
        return 7 if tenant_id == 1 else 0

    def connections(self, tenant_id: int) -> int:
        return 2 if tenant_id == 1 else 0


FACTS = Facts(Feed(), {1: 250}.get, "9.9", 25, NOW)  # type: ignore[arg-type]  # every tenant here is 1


def session() -> Session:
    ids = count(1)
    return Session(LIMITS, FACTS, new_id=lambda: f"correlation-{next(ids)}", now=NOW)


def signed_in(**who: object) -> Session:
    made = session()
    made.receive('{"type":"authenticate","token":"t"}', NOW)
    made.admitted(bearer(expires_at=NOW + 3600, **who), NOW)  # type: ignore[arg-type]
    return made


def said(effects: list[Effect]) -> list[dict[str, object]]:
    return [json.loads(encode_message(effect.message)) for effect in effects if isinstance(effect, Send)]


def closed_with(effects: list[Effect]) -> CloseCode | None:
    codes = [effect.code for effect in effects if isinstance(effect, Close)]
    assert codes == codes[:1]
    assert not codes or isinstance(effects[-1], Close)
    return codes[0] if codes else None


def test_the_first_message_signs_in_and_tells_where_the_feed_stands() -> None:
    made = session()
    assert made.receive('{"type":"authenticate","token":"secret","request_id":"a"}', NOW) == [Verify("secret")]
    effects = made.admitted(bearer(expires_at=NOW + 60), NOW)
    (established,) = said(effects)
    assert established == {
        "type": "connection_established",
        "timestamp": "2025-10-09T08:53:20.000Z",
        "request_id": "a",
        "tenant_id": 1,
        "max_events_per_second": 250,
        "epoch": "epoch-1",
        "seq": 41,
        "capabilities": ["noc:view"],
        "server_version": "9.9",
        "heartbeat_interval_s": 25,
        "expires_at": "2025-10-09T08:54:20.000Z",
    }
    # In the audit trail first, then in.
    assert effects[0] == Audit(Action.SIGN_IN, allowed=True, reason="noc:view")
    assert effects[2:] == [Subscribe(bearer(expires_at=NOW + 60), Scope(), None, "a")]


def test_a_position_and_filters_may_come_with_the_sign_in() -> None:
    made = session()
    made.receive(
        '{"type":"authenticate","token":"t","request_id":7,"resume":{"epoch":"e","seq":12},"site_ids":[3]}', NOW
    )
    subscribe = made.admitted(bearer(), NOW)[2]
    assert isinstance(subscribe, Subscribe)
    assert (subscribe.resume, subscribe.request_id) == (ResumePosition("e", 12), 7)
    assert subscribe.scope == Scope(wanted_sites=frozenset({3}))


@pytest.mark.parametrize(
    ("filters", "code"),
    [('"site_ids":[4]', "forbidden"), ('"client_ids":[9]', "forbidden"), ('"site_ids":[3,4,5,6]', "too_many_filters")],
)
def test_a_sign_in_with_filters_beyond_the_token_is_refused_whole(filters: str, code: str) -> None:
    made = session()
    made.receive('{"type":"authenticate","token":"t",' + filters + "}", NOW)
    effects = made.admitted(bearer(sites={3}, clients={2}), NOW)
    assert [message["code"] for message in said(effects)] == [code]
    assert closed_with(effects) is CloseCode.FORBIDDEN
    assert not any(isinstance(effect, Subscribe) for effect in effects)


def test_a_session_knows_what_it_heard_and_no_word_of_a_client_becomes_a_label() -> None:
    made = signed_in()
    heard = []
    for message in ('{"type":"ping"}', '{"type":"my own type"}', "[", '{"type":"subscribe_site"}'):
        made.receive(message, NOW)
        heard.append(made.last_type)
    assert heard == ["ping", "unknown", "unknown", "subscribe_site"]


def test_a_position_may_be_named_later() -> None:
    effects = signed_in().receive('{"type":"resume","epoch":"e","seq":3,"request_id":"r"}', NOW)
    assert effects == [Rewind(ResumePosition("e", 3), "r")]
    wrong = signed_in().receive('{"type":"resume","epoch":"e","seq":-1}', NOW)
    assert said(wrong)[0]["code"] == "invalid"


def test_receipts_are_noted_and_not_answered() -> None:
    made = signed_in()
    assert made.receive('{"type":"received","seq":9}', NOW) == [NoteReceived(9)]
    assert made.receive('{"type":"seen","ids":["a","b"]}', NOW) == [NoteSeen(("a", "b"))]
    assert said(made.receive('{"type":"seen","ids":[]}', NOW))[0]["code"] == "invalid"


def test_a_refreshed_connection_lives_and_shows_by_its_new_token() -> None:
    made = signed_in()
    made.receive('{"type":"subscribe_site","site_id":4}', NOW)
    assert made.receive('{"type":"refresh","token":"t2","request_id":"r"}', NOW) == [Verify("t2")]
    narrower = bearer(expires_at=NOW + 7200, sites={3})
    effects = made.admitted(narrower, NOW)
    (answer,) = said(effects)
    assert (answer["type"], answer["request_id"], answer["expires_at"]) == (
        "refreshed",
        "r",
        "2025-10-09T10:53:20.000Z",
    )
    # What was asked for is not allowed any more: nothing of it is shown, and nothing else either.
    scope = _scope(effects)
    assert scope == Scope(sites=frozenset({3}), wanted_sites=frozenset({4}))
    assert not scope.shows(None, 4)
    assert made.timeout(NOW + 3700) == []
    assert closed_with(made.timeout(NOW + 7200)) is CloseCode.NOT_AUTHENTICATED


@pytest.mark.parametrize("other", [{"tenant": 2}, {"subject": "somebody else"}])
def test_another_bearers_token_refreshes_nothing(other: dict[str, object]) -> None:
    made = signed_in()
    made.receive('{"type":"refresh","token":"t2"}', NOW)
    who = bearer(int(str(other.get("tenant", 1))), expires_at=NOW + 7200)
    effects = made.admitted(replace(who, subject=str(other.get("subject", who.subject))), NOW)
    assert said(effects)[0]["code"] == "forbidden"
    assert Action.REFRESH in {effect.action for effect in effects if isinstance(effect, Audit)}
    assert not any(isinstance(effect, Subscribe) for effect in effects)
    assert closed_with(made.timeout(NOW + 3600)) is CloseCode.NOT_AUTHENTICATED


def test_a_token_that_cannot_refresh_leaves_the_connection_as_it_is() -> None:
    made = signed_in()
    made.receive('{"type":"refresh","token":"bad","request_id":"r"}', NOW)
    effects = made.refused(CloseCode.NOT_AUTHENTICATED, "the token has expired", NOW)
    (error,) = said(effects)
    assert (error["code"], error["request_id"]) == ("not_authenticated", "r")
    assert closed_with(effects) is None
    assert said(made.receive('{"type":"ping"}', NOW))[0]["type"] == "pong"


def test_a_revoked_token_ends_the_connection() -> None:
    made = signed_in()
    effects = made.revoked("the token was revoked")
    assert closed_with(effects) is CloseCode.NOT_AUTHENTICATED
    assert isinstance(effects[0], Audit)
    assert made.revoked("again") == []


def test_refusals_are_audited_with_the_correlation_id_that_the_client_is_told() -> None:
    made = session()
    made.open("t")
    error, audit, _ = made.refused(CloseCode.NOT_AUTHENTICATED, "expired", NOW)
    assert isinstance(error, Send)
    assert isinstance(error.message, ErrorMessage)
    assert audit == Audit(Action.SIGN_IN, allowed=False, reason="expired", correlation_id=error.message.correlation_id)
    forbidden = signed_in(sites={3}).receive('{"type":"subscribe_site","site_id":4}', NOW)
    assert [effect.action for effect in forbidden if isinstance(effect, Audit)] == [Action.SUBSCRIBE]


def test_a_token_in_the_subprotocols_signs_in_at_once() -> None:
    assert session().open("secret") == [Verify("secret")]
    assert session().open(None) == []


def test_a_token_does_not_show_in_a_trace() -> None:
    assert "secret" not in repr(Verify("secret"))


@pytest.mark.parametrize(
    "first",
    [
        '{"type":"ping"}',
        '{"type":"authenticate"}',
        '{"type":"authenticate","token":5}',
        '{"type":"subscribe_site","site_id":1}',
        "not json",
        "[]",
        "",
    ],
)
def test_whoever_does_not_sign_in_first_is_closed_with_4401(first: str) -> None:
    effects = session().receive(first, NOW)
    assert said(effects)[0]["code"] == "not_authenticated"
    assert closed_with(effects) is CloseCode.NOT_AUTHENTICATED


@pytest.mark.parametrize(
    ("code", "kind"),
    [(CloseCode.NOT_AUTHENTICATED, "not_authenticated"), (CloseCode.FORBIDDEN, "forbidden")],
)
def test_a_refused_token_closes_with_its_code(code: CloseCode, kind: str) -> None:
    made = session()
    made.open("t")
    effects = made.refused(code, "because", NOW)
    assert said(effects)[0]["code"] == kind
    assert closed_with(effects) is code
    assert made.receive('{"type":"ping"}', NOW) == []
    assert made.admitted(bearer(), NOW) == []


def test_whoever_does_not_sign_in_within_ten_seconds_is_closed_with_4408() -> None:
    made = session()
    assert made.timeout(NOW + 9.9) == []
    assert closed_with(made.timeout(NOW + 10)) is CloseCode.AUTHENTICATION_LATE
    assert made.deadline is None


def test_a_token_check_that_outlasts_the_deadline_lets_nobody_in() -> None:
    made = session()
    made.open("t")
    made.timeout(NOW + 10)
    assert made.admitted(bearer(), NOW + 11) == []


def test_the_connection_ends_with_the_token() -> None:
    made = signed_in()
    assert made.deadline == NOW + 3600
    assert made.timeout(NOW + 3599) == []
    assert closed_with(made.timeout(NOW + 3600)) is CloseCode.NOT_AUTHENTICATED


@pytest.mark.parametrize("kind", ["ping", "heartbeat"])
def test_a_ping_is_answered_with_its_request_id(kind: str) -> None:
    (pong,) = said(signed_in().receive(json.dumps({"type": kind, "request_id": 12}), NOW))
    assert pong == {"type": "pong", "timestamp": "2025-10-09T08:53:20.000Z", "request_id": 12}


def test_stats_are_of_the_tenant() -> None:
    (stats,) = said(signed_in().receive('{"type":"get_stats"}', NOW + 5))
    assert stats == {
        "type": "stats",
        "timestamp": "2025-10-09T08:53:25.000Z",
        "uptime_seconds": 5.0,
        "events_processed": 7,
        "tenant_id": 1,
        "group_name": "noc_tenant_1",
        "connections": 2,
    }


def test_subscriptions_narrow_and_widen() -> None:
    made = signed_in()
    effects = made.receive('{"type":"subscribe_site","site_id":3,"request_id":"s"}', NOW)
    (subscribe,) = effects
    assert isinstance(subscribe, Subscribe)
    assert (subscribe.announce, subscribe.request_id, subscribe.resume) == (True, "s", None)
    assert _scope(effects) == Scope(wanted_sites=frozenset({3}))
    effects = made.receive('{"type":"subscribe_client","client_id":2}', NOW)
    assert _scope(effects) == Scope(wanted_sites=frozenset({3}), wanted_clients=frozenset({2}))
    assert _scope(made.receive('{"type":"unsubscribe"}', NOW)) == Scope()


def test_a_site_or_client_beyond_the_token_is_forbidden() -> None:
    made = signed_in(sites={3}, clients={2})
    assert said(made.receive('{"type":"subscribe_site","site_id":4}', NOW))[0]["code"] == "forbidden"
    assert said(made.receive('{"type":"subscribe_client","client_id":9}', NOW))[0]["code"] == "forbidden"
    assert _scope(made.receive('{"type":"subscribe_site","site_id":3}', NOW)).sites == frozenset({3})


def test_a_connection_names_a_bounded_number_of_sites() -> None:
    made = signed_in()
    for site in range(3):
        made.receive(json.dumps({"type": "subscribe_site", "site_id": site}), NOW)
    refused = made.receive('{"type":"subscribe_site","site_id":3}', NOW)
    assert said(refused)[0]["code"] == "too_many_filters"
    assert _scope(made.receive('{"type":"subscribe_site","site_id":2}', NOW)).filters == 3


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type":"no_such_type","request_id":"r"}', "unknown_type"),
        ('{"type":"subscribe_site","request_id":"r"}', "invalid"),
        ('{"type":"subscribe_site","site_id":"3","request_id":"r"}', "invalid"),
        ('{"type":"authenticate","token":"again","request_id":"r"}', "invalid"),
    ],
)
def test_a_wrong_message_is_answered_and_the_connection_goes_on(message: str, code: str) -> None:
    made = signed_in()
    (error,) = said(made.receive(message, NOW))
    assert (error["type"], error["code"], error["request_id"]) == ("error", code, "r")
    assert str(error["correlation_id"]).startswith("correlation-")
    assert said(made.receive('{"type":"ping"}', NOW))[0]["type"] == "pong"


def test_a_binary_frame_is_malformed() -> None:
    assert said(signed_in().receive(b'{"type":"ping"}', NOW))[0]["code"] == "malformed"


def test_a_message_over_the_limit_closes_with_4413() -> None:
    made = signed_in()
    effects = made.receive(json.dumps({"type": "ping", "padding": "é" * 2100}, ensure_ascii=False), NOW)
    assert said(effects)[0]["code"] == "message_too_large"
    assert closed_with(effects) is CloseCode.TOO_LARGE


def test_the_hundred_and_first_message_of_a_minute_closes_with_4429() -> None:
    made = signed_in()  # its authenticate was the first
    for _ in range(99):
        assert closed_with(made.receive('{"type":"ping"}', NOW)) is None
    effects = made.receive('{"type":"ping"}', NOW)
    assert said(effects)[0]["code"] == "too_many_messages"
    assert closed_with(effects) is CloseCode.TOO_MANY


def test_a_client_below_the_rate_goes_on_for_ever() -> None:
    made = session()
    made.open("t")
    made.admitted(bearer(expires_at=NOW + 10**6), NOW)
    for number in range(2000):
        assert closed_with(made.receive('{"type":"ping"}', NOW + number * 0.61)) is None


def test_every_close_code_of_the_server_comes_with_advice() -> None:
    assert set(ADVICE) == set(CloseCode)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
types = st.sampled_from(
    [
        "authenticate",
        "ping",
        "heartbeat",
        "get_stats",
        "subscribe_site",
        "subscribe_client",
        "unsubscribe",
        "resume",
        "received",
        "seen",
        "refresh",
        "",
    ]
)
near_messages = st.builds(
    lambda kind, rest: json.dumps(rest | {"type": kind}),
    types,
    st.dictionaries(
        st.sampled_from(["token", "site_id", "client_id", "request_id", "epoch", "seq", "ids", "x"]),
        json_values,
        max_size=4,
    ),
)
anything = st.one_of(st.text(max_size=200), st.binary(max_size=200), json_values.map(json.dumps), near_messages)


@given(st.lists(anything, max_size=8), st.booleans())
def test_no_message_breaks_a_session(messages: list[str | bytes], sign_in: bool) -> None:
    made = signed_in() if sign_in else session()
    over = False
    for message in messages:
        effects = made.receive(message, NOW)
        assert not (over and effects)
        over = over or closed_with(effects) is not None
        if over or any(isinstance(effect, Verify) for effect in effects):
            break
        # A connection that lives does something with every message: nothing is ignored silently.
        assert effects
        assert all(
            effect.message.correlation_id
            for effect in effects
            if _is_error(effect)  # type: ignore[union-attr]
        )
    assert made.closed is over


@given(near_messages)
def test_an_error_repeats_the_request_id_that_could_be_read(message: str) -> None:
    asked = json.loads(message).get("request_id", UNSET)
    for answer in said(signed_in().receive(message, NOW)):
        if answer.get("code") == ErrorCode.MALFORMED:
            continue  # the request id itself was not one
        assert answer.get("request_id", UNSET) == asked


def _is_error(effect: Effect) -> bool:
    return isinstance(effect, Send) and isinstance(effect.message, ErrorMessage)


def _scope(effects: list[Effect]) -> Scope:
    (scope,) = [effect.scope for effect in effects if isinstance(effect, Subscribe)]
    return scope
