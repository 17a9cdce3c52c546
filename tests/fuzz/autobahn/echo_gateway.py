"""The gateway's own sockets with an echo behind them: what Autobahn's cases are run against.

The listening socket, the handshake, the connection class, the writing side and the options of the WebSocket library are
those of `gateway.server`; only what is said differs: each message comes back as it was. Three limits are lifted, since cases
of chapter 9 are there to exceed them: the size of a message, pings a minute, fragments of a message.

    ./run python tests/fuzz/autobahn/echo_gateway.py 9001
"""

import os
import sys

os.environ["WEBSOCKETS_MAX_FRAGMENTS"] = "100000"


import uvloop
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from common.logs import configure_logs
from common.settings.auth import AuthSettings
from common.settings.gateway import GatewaySettings, SessionSettings
from common.settings.load import Settings
from gateway.kafka.kafka_clients import KafkaClients
from gateway.server import GatewayServer
from gateway.sockets.gateway_connection import GatewayConnection
from gateway.sockets.socket_sink import SocketSink, text_frame
from gateway.wiring import wire_gateway

_SECRET = "a secret that no case of the suite asks for"


class _Echo(GatewayServer):
    """Everything of a gateway but its conversation."""

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, GatewayConnection)
        sink = SocketSink(connection, self._limits.connections.close_timeout_s, self._closing, self._parts.metrics)
        try:
            while True:
                message = await connection.recv()
                text = isinstance(message, str)
                payload = message.encode() if isinstance(message, str) else message
                sink.write(text_frame(payload) if text else Frame(Opcode.BINARY, payload).serialize(mask=False))
        except ConnectionClosed:
            pass


async def serve(port: int) -> None:
    """Listen on loopback until cancelled."""
    session = SessionSettings(message_bytes_max=32 << 20, control_frames_per_minute_max=1_000_000)
    limits = GatewaySettings(port=port, session=session)
    settings = Settings(auth=AuthSettings(hs256_secret=_SECRET), gateway=limits)
    parts = wire_gateway(settings, text_frame, KafkaClients(settings.kafka))
    parts.feed.positions_known = parts.tenant_limits.known = parts.services.revocations.known = True
    gateway = _Echo(limits, parts)
    await gateway.open()
    print("listening", flush=True)
    assert gateway._server is not None
    await gateway._server.wait_closed()


if __name__ == "__main__":
    configure_logs("error", process="echo")
    uvloop.run(serve(int(sys.argv[1])))
