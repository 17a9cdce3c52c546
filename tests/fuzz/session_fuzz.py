"""Fuzzes the protocol of a connection without a socket, and says what it saw.

    ./run python tests/fuzz/session_fuzz.py                          1,000,000 messages, about a minute
    ./run python tests/fuzz/session_fuzz.py --messages 20000 --seed 7

Checks after each message: nothing is raised; an open session answers or acts; what it says can be encoded, holds no word
of a token, and is as docs/schemas says (one in twenty is looked at); nothing happens before sign-in or after the close; a
subscription is never wider than its token. In the end: the process is no larger than after the first tenth.
"""

# ruff: noqa: E402 - a command, which has to find the tests' folder first
import argparse
import contextlib
import gc
import json
import random
import secrets
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from fuzz.fuzzed_messages import PLANTED, Fuzzer
from support.published_contract import check_heard

from common.settings.gateway import SessionSettings
from contracts.messages import CloseCode, encode_message
from gateway.access.bearer import Bearer
from gateway.session.effects import Audit, Close, Effect, Rewind, Send, Subscribe, Verify
from gateway.session.protocol import Session
from gateway.session.replies import Facts

ADDRESS = "ws://127.0.0.1/ws/noc/"
GROWTH_BYTES_MAX = 8 << 20
MESSAGES_OF_A_SESSION = 200
_CHECKED = 0.05
_ANSWERLESS = ('"received"', '"seen"')


class StandingFeed:
    """A feed at which nothing happens."""

    epoch = "of the tests"

    def position(self, _tenant_id: int) -> int:
        return 5

    def events_processed(self, _tenant_id: int) -> int:
        return 5

    def connections(self, _tenant_id: int) -> int:
        return 1


FACTS = Facts(StandingFeed(), lambda _tenant_id: 100, "fuzz", 25, 0.0)


@dataclass
class Seen:
    """What came of the messages."""

    effects: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    growth_bytes: int = 0
    seconds: float = 0.0


class SessionFuzz:
    """Sessions one after the other, each fed until it closes or has had enough.

    Args:
        seed: of everything.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._fuzzer = Fuzzer(seed)
        self._now = 1_760_000_000.0
        self.seen = Seen()

    def run(self, messages: int) -> Seen:
        """Feed so many messages.

        Raises:
            AssertionError: with the message that broke a rule.
        """
        began, process, settled = time.monotonic(), psutil.Process(), 0
        left, warm = messages, messages - messages // 10
        while left > 0:
            left -= self._session(min(left, MESSAGES_OF_A_SESSION))
            if settled == 0 and left <= warm:
                gc.collect()
                settled = process.memory_info().rss
        gc.collect()
        self.seen.growth_bytes = process.memory_info().rss - settled
        self.seen.seconds = time.monotonic() - began
        return self.seen

    def _session(self, messages: int) -> int:
        """One session; how many messages it took."""
        self.seen.sessions += 1
        limits = SessionSettings(
            authenticate_timeout_s=10,
            message_bytes_max=self._random.choice((1_000, 64 * 1024)),
            messages_per_minute_max=self._random.choice((100, 10_000)),
            filters_max=self._random.choice((3, 100)),
        )
        session = Session(limits, FACTS, new_id=lambda: "c" * 32, now=self._now)
        bearer = self._bearer()
        signed_in = False
        if self._random.random() < 0.9:
            self._check(session, session.open(PLANTED), None, b"")
            self._check(session, session.admitted(bearer, self._now), bearer, b"")
            signed_in = True
        for number in range(messages):
            if session.closed:
                return max(1, number)
            self._now += self._random.choice((0.0, 0.01, 2.0))
            message = self._fuzzer.next()
            if isinstance(message, bytes):  # as the library does: a text frame that is no UTF-8 never comes so far
                with contextlib.suppress(UnicodeDecodeError):
                    message = message.decode() if self._random.random() < 0.8 else message
            elif not message.isascii():
                message = message.encode("utf-8", "replace").decode()
            try:
                effects = session.receive(message, self._now)
            except Exception as error:
                raise AssertionError(f"{type(error).__name__} on {message!r}") from error
            signed_in = self._follow(session, effects, bearer if signed_in else None, message)
        return messages

    def _follow(self, session: Session, effects: list[Effect], bearer: Bearer | None, message: str | bytes) -> bool:
        """Check the effects, and do what a shell does with a token; whether the session is signed in."""
        self._check(session, effects, bearer, message)
        if not any(isinstance(effect, Verify) for effect in effects):
            return bearer is not None
        if self._random.random() < 0.3:
            other = self._bearer()
            self._check(session, session.admitted(other, self._now), other, message)
            return True
        code = self._random.choice((CloseCode.NOT_AUTHENTICATED, CloseCode.FORBIDDEN, CloseCode.TRY_AGAIN_LATER))
        self._check(session, session.refused(code, "the token is not valid", self._now), bearer, message)
        return bearer is not None

    def _check(self, session: Session, effects: list[Effect], bearer: Bearer | None, message: str | bytes) -> None:
        words = message if isinstance(message, str) else message.decode("utf-8", "replace")
        answerless = bearer is None or any(kind in words for kind in _ANSWERLESS)
        assert effects or answerless or not message, f"no answer to {message!r}"
        for place, effect in enumerate(effects):
            self.seen.effects[type(effect).__name__] += 1
            match effect:
                case Send(message=answer):
                    raw = encode_message(answer)
                    own_words = encode_message(msgspec.structs.replace(answer, request_id=msgspec.UNSET))
                    assert PLANTED.encode() not in own_words, f"a token was repeated after {message!r}"
                    if self._random.random() < _CHECKED:
                        check_heard(json.loads(raw), ADDRESS)
                case Subscribe(scope=scope):
                    assert bearer is not None, f"subscribed before sign-in by {message!r}"
                    allowed = (effect.bearer.clients, effect.bearer.sites)
                    assert (scope.clients, scope.sites) == allowed, f"wider than the token by {message!r}"
                case Rewind():
                    assert bearer is not None, f"resumed before sign-in by {message!r}"
                case Close():
                    rest = [later for later in effects[place + 1 :] if not isinstance(later, Audit)]
                    assert not rest, f"something follows the close after {message!r}"
                    assert session.closed
        if session.closed:
            assert session.receive('{"type": "ping"}', self._now) == []
            assert session.deadline is None

    def _bearer(self) -> Bearer:
        draw = self._random
        return Bearer(
            subject=draw.choice(("ops", "other")),
            tenant_id=draw.choice((1, 2)),
            capabilities=frozenset({"noc:view"}),
            clients=draw.choice((None, frozenset(), frozenset({1, 2}))),
            sites=draw.choice((None, frozenset(), frozenset({3}))),
            expires_at=self._now + draw.choice((0.0, 5.0, 3_600.0)),
        )


def main() -> int:
    """Fuzz as the command line says; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, help="default: a fresh one")
    arguments = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    seen = SessionFuzz(seed).run(arguments.messages)
    print(f"{arguments.messages:,} messages in {seen.sessions:,} sessions, {seen.seconds:.0f} s")
    print(", ".join(f"{count:,} {kind}" for kind, count in seen.effects.most_common()))
    print(f"grown by {seen.growth_bytes / 1024:,.0f} KiB since the first tenth")
    return int(seen.growth_bytes > GROWTH_BYTES_MAX)


if __name__ == "__main__":
    raise SystemExit(main())
