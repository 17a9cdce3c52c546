"""The short form of session_fuzz.py, and that its checks can fail."""

import json
from typing import Any

import pytest
from fuzz.fuzzed_messages import PLANTED, Fuzzer
from fuzz.session_fuzz import GROWTH_BYTES_MAX, SessionFuzz

from gateway.session import protocol
from gateway.session.effects import Effect
from gateway.session.protocol import Session
from gateway.session.replies import Replies

MESSAGES = 20_000


@pytest.fixture
def seed() -> int:
    return 20_261_121


def test_twenty_thousand_messages_do_no_harm(seed: int) -> None:
    seen = SessionFuzz(seed).run(MESSAGES)
    assert seen.growth_bytes < GROWTH_BYTES_MAX
    assert {"Send", "Subscribe", "Verify", "Close", "Rewind", "NoteReceived", "NoteSeen"} <= set(seen.effects)
    assert seen.effects["Send"] > MESSAGES / 2


def test_a_seed_gives_the_same_messages_again(seed: int) -> None:
    first, second = Fuzzer(seed), Fuzzer(seed)
    assert [first.next() for _ in range(500)] == [second.next() for _ in range(500)]


def test_most_messages_are_wrong_and_many_are_right(seed: int) -> None:
    fuzzer, right = Fuzzer(seed), 0
    for _ in range(2_000):
        try:
            right += isinstance(json.loads(fuzzer.next()), dict)
        except (ValueError, RecursionError):
            continue
    assert 400 < right < 1_600


def test_an_exception_is_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "decode_client_head", json.loads)
    with pytest.raises(AssertionError, match=" on "):
        SessionFuzz(seed).run(2_000)


def test_a_repeated_token_is_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    unchanged = Replies.error

    def telling(self: Replies, code: Any, message: str, *rest: Any) -> list[Effect]:
        return unchanged(self, code, f"{message} {PLANTED}", *rest)

    monkeypatch.setattr(Replies, "error", telling)
    with pytest.raises(AssertionError, match="a token was repeated"):
        SessionFuzz(seed).run(2_000)


def test_growth_is_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytearray] = []
    unchanged = Session.receive

    def hoarding(self: Session, data: str | bytes, now: float) -> list[Effect]:
        kept.append(bytearray(b"x" * 20_000))  # more than what earlier tests have left free
        return unchanged(self, data, now)

    monkeypatch.setattr(Session, "receive", hoarding)
    assert SessionFuzz(seed).run(10_000).growth_bytes > GROWTH_BYTES_MAX
