"""A WebSocket client without manners: bytes as the test wants them, and what comes back. For hostile tests only."""

import base64
import json
import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA
_SMALL, _MEDIUM = 126, 1 << 16


class RawFrame(NamedTuple):
    """A frame of the server."""

    opcode: int
    payload: bytes


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: int | None = None,
) -> bytes:
    """A client's frame.

    Args:
        opcode: 0 to 15.
        payload: what it carries.
        fin: whether it ends its message.
        rsv: the three reserved bits, 0 to 7.
        masked: as a client has to.
        length: what the header says instead of the payload's own length.
    """
    said = len(payload) if length is None else length
    bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if said < _SMALL:
        head += bytes([bit | said])
    elif said < _MEDIUM:
        head += struct.pack("!BH", bit | 126, said)
    else:
        head += struct.pack("!BQ", bit | 127, said)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    spread = mask * (len(payload) // 4 + 1)
    hidden = int.from_bytes(payload, "big") ^ int.from_bytes(spread[: len(payload)], "big")
    return head + mask + hidden.to_bytes(len(payload), "big")


class RawSocket:
    """A TCP connection to a gateway on loopback; a context manager."""

    def __init__(self, port: int, timeout_s: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard = bytearray()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes; a server that has gone already is no failure of the sender."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    @staticmethod
    def request(
        target: str = "/ws/noc/dashboard/",
        extra: Sequence[tuple[str, str]] = (),
        *,
        without: Sequence[str] = (),
        method: str = "GET",
    ) -> bytes:
        """An opening handshake."""
        headers = [
            ("Host", "127.0.0.1"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode()),
            ("Sec-WebSocket-Version", "13"),
        ]
        lines = [f"{name}: {value}" for name, value in headers if name not in without]
        lines += [f"{name}: {value}" for name, value in extra]
        return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("utf-8")

    def open(self, target: str = "/ws/noc/dashboard/", extra: Sequence[tuple[str, str]] = (), **options: Any) -> int:
        """Shake hands; the status of the answer, 0 where the server said none."""
        self.send(self.request(target, extra, **options))
        return self.answer()

    def answer(self) -> int:
        """Read an HTTP answer; its status, 0 where the connection ended without one."""
        while b"\r\n\r\n" not in self._heard:
            if not self._read():
                return 0
        head, _, rest = bytes(self._heard).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        self._heard = bytearray(rest)
        return self.status

    def say(self, **message: Any) -> None:
        """Send a JSON message as one text frame."""
        self.send(frame(TEXT, json.dumps(message).encode()))

    def frames(self, seconds: float = 5.0) -> list[RawFrame]:
        """Every frame until the server closes its side or the time is over."""
        deadline, found = time.monotonic() + seconds, []
        while (left := deadline - time.monotonic()) > 0:
            while (one := self._frame()) is not None:
                found.append(one)
                if one.opcode == CLOSE:
                    return found
            self.socket.settimeout(left)
            if not self._read():
                break
        return found

    def hear(self, seconds: float = 5.0) -> dict[str, Any]:
        """The next JSON message, pings left out."""
        deadline = time.monotonic() + seconds
        while True:
            one = self._frame()
            if one is not None and one.opcode == TEXT:
                message: dict[str, Any] = json.loads(one.payload)
                return message
            assert one is None or one.opcode in {PING, PONG}, one
            if one is None:
                self.socket.settimeout(max(0.01, deadline - time.monotonic()))
                assert self._read(), "nothing heard"

    def close_code(self, seconds: float = 5.0) -> int | None:
        """The code of the server's close frame; None where it only dropped the connection, or did nothing."""
        for one in self.frames(seconds):
            if one.opcode == CLOSE:
                return int.from_bytes(one.payload[:2], "big") if one.payload else 1005
        return None

    def dropped_after(self, seconds_max: float) -> float:
        """Read until the server ends the connection; after how many seconds.

        Raises:
            AssertionError: it did not in time.
        """
        began = time.monotonic()
        while (left := began + seconds_max - time.monotonic()) > 0:
            self.socket.settimeout(left)
            if not self._read():
                waited = time.monotonic() - began
                if waited < seconds_max:
                    return waited
        raise AssertionError(f"the connection was still there after {seconds_max:g} s")

    def _read(self) -> bool:
        try:
            data = self.socket.recv(1 << 16)
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            return False
        self._heard += data
        return bool(data)

    def _frame(self) -> RawFrame | None:
        if len(self._heard) < 2:
            return None
        length, start = self._heard[1] & 0x7F, 2
        if length == 126:
            start = 4
            length = int.from_bytes(self._heard[2:4], "big")
        elif length == 127:
            start = 10
            length = int.from_bytes(self._heard[2:10], "big")
        if len(self._heard) < start + length:
            return None
        found = RawFrame(self._heard[0] & 0x0F, bytes(self._heard[start : start + length]))
        del self._heard[: start + length]
        return found
