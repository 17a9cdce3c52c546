"""Client messages that are nearly right, made from a seed: right ones of every type, and what becomes of them when
values, fields, structure or bytes are changed.
"""

import json
import random
from collections.abc import Callable
from typing import Any

PLANTED = "planted-token-that-nobody-may-repeat"
"""The tokens of these messages; it must turn up in no answer and no log."""

_NUMBERS = (0, 1, -1, 2, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40, 0.5, -0.0, 1e308, 5e-324)
_TEXTS = (
    "", "x", " ", "\x00", "\u202e", "🙂", "\ud83d", "null", "'; DROP TABLE ticket; --", "<script>", "{person_name}", "%s%n",
    "../../etc/passwd", "\r\nSet-Cookie: a=b", "x" * 128, "x" * 129, "é" * 300, PLANTED,
)  # fmt: skip
_FIELDS = (
    "type", "request_id", "token", "resume", "epoch", "seq", "client_id", "site_id", "client_ids", "site_ids", "ids",
    "tenant_id", "__proto__", "capabilities", "",
)  # fmt: skip


class Fuzzer:
    """A stream of client messages.

    Args:
        seed: the same one gives the same stream.
        size_max: of a message in bytes; most are small.
    """

    def __init__(self, seed: int, size_max: int = 60_000) -> None:
        self._random = random.Random(seed)
        self._size_max = size_max
        self._changes: tuple[Callable[[dict[str, Any]], str | bytes], ...] = (
            self._as_it_is, self._with_a_value_changed, self._with_a_field_more, self._with_a_field_less,
            self._with_a_field_twice, self._cut, self._with_bytes_flipped, self._with_bytes_more, self._nested,
            self._spaced, self._in_another_encoding, self._repeated, self._wrapped,
        )  # fmt: skip

    def right(self) -> dict[str, Any]:
        """A message as the contract has it, of any type but `authenticate` and with a small position."""
        draw = self._random
        message: dict[str, Any] = draw.choice(
            (
                {"type": "ping"},
                {"type": "heartbeat"},
                {"type": "get_stats"},
                {"type": "unsubscribe"},
                {"type": "subscribe_client", "client_id": draw.randrange(6)},
                {"type": "subscribe_site", "site_id": draw.randrange(6)},
                {"type": "resume", "epoch": draw.choice(("", "e", "of the tests")), "seq": draw.randrange(9)},
                {"type": "received", "seq": draw.randrange(9)},
                {"type": "seen", "ids": [f"{draw.randrange(99)}" for _ in range(draw.randrange(1, 5))]},
                {"type": "refresh", "token": PLANTED},
                {"type": "authenticate", "token": PLANTED},
            )
        )
        if draw.random() < 0.3:
            message["request_id"] = draw.choice((1, "a", 2**40, "x" * 128))
        return message

    def next(self) -> str | bytes:
        """The next message: a text, or bytes for a binary frame or for a text frame that is no UTF-8."""
        drawn = self._random.random()
        if drawn < 0.03:
            return self._random.randbytes(self._random.randrange(200))
        if drawn < 0.05:
            return json.dumps(self._value(4))
        message = self._random.choice(self._changes)(self.right())
        if self._random.random() < 0.1 and isinstance(message, str):
            message = self._with_bytes_flipped_in(message.encode("utf-8", "surrogatepass"))
        return message[: self._size_max]

    def _value(self, depth: int) -> Any:
        draw = self._random
        kinds: tuple[Callable[[], Any], ...] = (
            lambda: draw.choice(_NUMBERS),
            lambda: draw.choice(_TEXTS),
            lambda: draw.choice((None, True, False)),
            lambda: draw.randrange(-5, 50),
            lambda: draw.choice((1e400, -1e400, float("nan"))),
            lambda: [self._value(depth - 1) for _ in range(draw.randrange(4))],
            lambda: [draw.randrange(9)] * draw.choice((1, 100, 101, 1_000, 1_001)),
            lambda: {draw.choice(_FIELDS): self._value(depth - 1) for _ in range(draw.randrange(4))},
        )
        return draw.choice(kinds if depth else kinds[:5])()

    def _as_it_is(self, message: dict[str, Any]) -> str:
        return json.dumps(message)

    def _with_a_value_changed(self, message: dict[str, Any]) -> str:
        message[self._random.choice(tuple(message))] = self._value(3)
        return json.dumps(message)

    def _with_a_field_more(self, message: dict[str, Any]) -> str:
        message[self._random.choice(_FIELDS)] = self._value(3)
        return json.dumps(message)

    def _with_a_field_less(self, message: dict[str, Any]) -> str:
        del message[self._random.choice(tuple(message))]
        return json.dumps(message)

    def _with_a_field_twice(self, message: dict[str, Any]) -> str:
        name = self._random.choice(tuple(message))
        return json.dumps(message)[:-1] + f", {json.dumps(name)}: {json.dumps(self._value(2))}}}"

    def _cut(self, message: dict[str, Any]) -> str:
        text = json.dumps(message)
        return text[: self._random.randrange(len(text))]

    def _with_bytes_flipped(self, message: dict[str, Any]) -> bytes:
        return self._with_bytes_flipped_in(json.dumps(message).encode())

    def _with_bytes_flipped_in(self, raw: bytes) -> bytes:
        changed = bytearray(raw)
        for _ in range(self._random.randrange(1, 4)):
            if changed:
                changed[self._random.randrange(len(changed))] = self._random.randrange(256)
        return bytes(changed)

    def _with_bytes_more(self, message: dict[str, Any]) -> bytes:
        raw = json.dumps(message).encode()
        place = self._random.randrange(len(raw) + 1)
        return raw[:place] + self._random.randbytes(self._random.randrange(1, 9)) + raw[place:]

    def _nested(self, message: dict[str, Any]) -> str:
        depth = self._random.choice((5, 100, 1_000, 5_000))
        opening, closing = self._random.choice((("[", "]"), ('{"a":', "}")))
        inner = opening * depth + "1" + closing * (depth if self._random.random() < 0.8 else depth // 2)
        return json.dumps(message)[:-1] + f', "x": {inner}}}'

    def _spaced(self, message: dict[str, Any]) -> str:
        space = self._random.choice((" ", "\n", "\t", "\ufeff", "\x00", "//", "/**/")) * self._random.randrange(1, 50)
        return space + json.dumps(message) + space

    def _in_another_encoding(self, message: dict[str, Any]) -> bytes:
        return json.dumps(message).encode(self._random.choice(("utf-16", "utf-32", "utf-16-le", "utf-8-sig")))

    def _repeated(self, message: dict[str, Any]) -> str:
        return json.dumps(message) * self._random.choice((2, 3, 50))

    def _wrapped(self, message: dict[str, Any]) -> str:
        return json.dumps([message] if self._random.random() < 0.5 else {"type": message, "message": message})
