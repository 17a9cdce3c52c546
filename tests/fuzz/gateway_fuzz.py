"""Fuzzes a real gateway process over real sockets, and says what it saw. Starts a broker and a gateway.

    ./run python tests/fuzz/gateway_fuzz.py                              1,000,000 messages, some minutes
    ./run python tests/fuzz/gateway_fuzz.py --messages 20000 --seed 7
    NOC_TEST_KAFKA=host:port ./run python tests/fuzz/gateway_fuzz.py     on a broker that runs already

Every connection signs in, sends its share of nearly right messages (in frames as they should be, in fragments, some of them
torn) and asks in the end for a pong. The limit of messages a minute is lifted, so that all of them are looked at.
Checks: the process lives, serves a good client, wrote no trace and no token, and is no larger than after the first tenth.
"""

# ruff: noqa: E402 - a command, which has to find the tests' folder first
import argparse
import asyncio
import os
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from fuzz.fuzzed_messages import PLANTED, Fuzzer
from support.attacked_gateway import TunedGateway
from support.feed_samples import anomaly
from support.gateway_process import FeedWriter, GatewayProcess
from support.raw_socket import BINARY, CLOSE, CONTINUATION, PING, TEXT, RawSocket, frame

from common.settings.kafka import KafkaSettings

GROWTH_BYTES_MAX = 24 << 20
CONNECTIONS = 8
MESSAGES_OF_A_CONNECTION = 2_000
LIMITS = {
    "gateway": {
        "session.messages_per_minute_max": "1000000",
        "session.control_frames_per_minute_max": "1000000",
        "session.authenticate_timeout_s": "30",
    },
    "log": {"level": '"warning"'},
}
_END_S = 30.0


@dataclass
class Seen:
    """What came of the messages."""

    messages: int = 0
    read: int = 0
    """Of these, what the gateway looked at: the rest was behind a close."""
    connections: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    rss_bytes: list[int] = field(default_factory=list)
    """Of the gateway, after each tenth from the second on."""
    growth_bytes: int = 0
    seconds: float = 0.0


class GatewayFuzz:
    """Clients against one gateway.

    Args:
        gateway: it runs, with `LIMITS`.
        seed: of everything that is sent.
    """

    def __init__(self, gateway: GatewayProcess, seed: int) -> None:
        assert gateway.process is not None
        self._gateway = gateway
        self._process = psutil.Process(gateway.process.pid)
        self._random = random.Random(seed)
        self._seed = seed
        self._left = 0
        self.seen = Seen()

    def run(self, messages: int) -> Seen:
        """Send until the gateway has looked at so many messages.

        Raises:
            AssertionError: the gateway is not as it was.
        """
        began = time.monotonic()
        self._send(messages // 10)
        self._serves_on()
        settled = self._process.memory_info().rss
        for tenth in range(2, 11):
            self._send(messages * tenth // 10)
            self.seen.rss_bytes.append(self._process.memory_info().rss)
        self._serves_on()
        self.seen.growth_bytes = self._process.memory_info().rss - settled
        self.seen.seconds = time.monotonic() - began
        return self.seen

    def _send(self, messages: int) -> None:
        async def clients() -> None:
            await asyncio.gather(*(self._client() for _ in range(CONNECTIONS)))

        while (left := messages - self._read()) > 0:
            self._left = left
            asyncio.run(clients())

    def _read(self) -> int:
        text = httpx.get(self._gateway.metrics, timeout=10).text
        lines = [line for line in text.splitlines() if line.startswith("watchfloor_gateway_client_messages_total")]
        assert lines or not self.seen.connections, "the gateway does not count what it reads"
        self.seen.read = int(sum(float(line.rsplit(" ", 1)[1]) for line in lines))
        return self.seen.read

    async def _client(self) -> None:
        while self._left > 0:
            share = min(self._left, MESSAGES_OF_A_CONNECTION)
            self._left -= share
            sent = await self._connection(share)
            self.seen.messages += sent
            self.seen.connections += 1

    async def _connection(self, share: int) -> int:
        """One connection; how many messages it sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._gateway.port)
        path = self._random.choice(("/ws/noc/dashboard/", "/ws/noc/anomaly-stream/"))
        writer.write(RawSocket.request(path))
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        token = self._gateway.token(1)
        writer.write(frame(TEXT, f'{{"type":"authenticate","token":"{token}"}}'.encode()))
        heard = _Heard()
        listening = asyncio.create_task(heard.listen(reader))
        fuzzer, sent, torn = Fuzzer(self._random.randrange(1 << 30)), 0, False
        try:
            while sent < share and not heard.over.is_set():
                count = min(50, share - sent)
                writer.write(b"".join(self._framed(fuzzer.next()) for _ in range(count)))
                await writer.drain()
                sent += count
            torn = self._random.random() < 0.3
            if torn:
                writer.write(self._torn())
            writer.write(frame(TEXT, b'{"type":"ping","request_id":"the last one"}'))
            await writer.drain()
        except ConnectionError:
            pass
        try:
            await asyncio.wait_for(heard.over.wait(), 0.5 if torn else _END_S)
        except TimeoutError:
            # Half a frame swallows what comes behind it, and rightly waits for more.
            assert torn, f"neither a pong nor a close within {_END_S:g} s"
            heard.ending = "waiting for the rest of a frame"
        self.seen.endings[heard.ending] += 1
        listening.cancel()
        writer.transport.abort()
        return sent

    def _framed(self, message: str | bytes) -> bytes:
        """A message as one text frame, sometimes in fragments with a ping between them or as a binary one."""
        raw = message.encode("utf-8", "replace") if isinstance(message, str) else message
        opcode = TEXT
        try:
            raw.decode()
        except UnicodeDecodeError:
            # A text frame like that ends the connection; so that the rest is read too, most are sent as binary ones.
            opcode = TEXT if self._random.random() < 0.0005 else BINARY
        if self._random.random() < 0.9 or len(raw) < 2:
            return frame(opcode, raw)
        middle = self._random.randrange(1, len(raw))
        between = frame(PING, b"?") if self._random.random() < 0.5 else b""
        return frame(opcode, raw[:middle], fin=False) + between + frame(CONTINUATION, raw[middle:])

    def _torn(self) -> bytes:
        """A frame that is none."""
        draw = self._random
        whole = frame(
            draw.randrange(16), draw.randbytes(draw.randrange(200)), fin=draw.random() < 0.5, rsv=draw.choice((0, 0, 4))
        )
        kinds = (
            lambda: draw.randbytes(draw.randrange(1, 500)),
            lambda: whole[: draw.randrange(1, len(whole))],
            lambda: frame(TEXT, b"x", length=draw.choice((0, 2, 2**20, 2**63))),
            lambda: frame(TEXT, b"{}", masked=False),
            lambda: frame(CLOSE, draw.randbytes(draw.randrange(130))),
        )  # fmt: skip
        return draw.choice(kinds)()

    def _serves_on(self) -> None:
        assert self._gateway.process is not None
        assert self._gateway.process.poll() is None, self._gateway.words()[-4_000:]
        with self._gateway.sign_in(2) as good:
            good.say(type="ping", request_id="still there")
            assert good.hear()["request_id"] == "still there"
        words = self._gateway.words()
        assert "Traceback" not in words, words[words.index("Traceback") - 500 :][:4_000]
        assert PLANTED not in words


class _Heard:
    """What a connection hears: only its end is of interest."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.ending = "cut"

    async def listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                first, second = await reader.readexactly(2)
                length = second & 0x7F
                if length == 126:
                    length = int.from_bytes(await reader.readexactly(2), "big")
                elif length == 127:
                    length = int.from_bytes(await reader.readexactly(8), "big")
                payload = await reader.readexactly(length)
                if first & 0x0F == CLOSE:
                    self.ending = str(int.from_bytes(payload[:2], "big"))
                    break
                if b'"the last one"' in payload:
                    self.ending = "answered to the last"
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        self.over.set()


@contextmanager
def a_gateway(kafka_address: KafkaSettings, directory: Path) -> Iterator[GatewayProcess]:
    """A gateway for the fuzzer, with a few messages in its feed."""
    feed = FeedWriter(kafka_address)
    with TunedGateway(feed, directory, LIMITS) as gateway:
        feed.write(*(anomaly(1, seq) for seq in range(1, 6)))
        yield gateway


def main() -> int:
    """Fuzz as the command line says; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, help="default: a fresh one")
    arguments = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    with ExitStack() as parts:
        directory = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="watchfloor-fuzz-")))
        address = os.environ.get("NOC_TEST_KAFKA")
        if address is None:
            from chaos.cluster import Cluster

            broker = Cluster(directory)
            parts.callback(broker.kill)
            broker.start()
            address = broker.address
        gateway = parts.enter_context(a_gateway(address, directory))
        seen = GatewayFuzz(gateway, seed).run(arguments.messages)
    print(
        f"{seen.messages:,} messages, {seen.read:,} of them read, on {seen.connections:,} connections, {seen.seconds:.0f} s"
    )
    print(", ".join(f"{count:,} {kind}" for kind, count in seen.endings.most_common()))
    print("MiB after each tenth: " + " ".join(f"{size / 2**20:.1f}" for size in seen.rss_bytes))
    print(f"grown by {seen.growth_bytes / 1024:,.0f} KiB since the first tenth")
    return int(seen.growth_bytes > GROWTH_BYTES_MAX)


if __name__ == "__main__":
    raise SystemExit(main())
