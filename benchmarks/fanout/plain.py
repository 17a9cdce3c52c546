"""Two peers of the gateway: the simplest WebSocket servers in Python that fan out a topic.

    plain.py {naive|broadcast} BROKER TOPIC PARTITIONS PORT

`naive` awaits `send` for each viewer of the tenant, `broadcast` calls the library's function of that name. Both
read ready-made messages from the topic, have no tokens, limits, masking or resume, and take the tenant from the path.
"""

import asyncio
import json
import sys
from http import HTTPStatus

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.http11 import Request, Response

POLL_RECORDS_MAX = 2_000
TURN = 20
"""After this many records the event loop serves the sockets."""


async def pump(mode: str, broker: str, topic: str, partitions: int, viewers: dict[int, set[ServerConnection]]) -> None:
    """Read the topic and write each record to the viewers of its tenant."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=None, fetch_max_wait_ms=100)
    await consumer.start()
    consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
    await consumer.seek_to_beginning()
    while True:
        polled = await consumer.getmany(timeout_ms=500, max_records=POLL_RECORDS_MAX)
        for records in polled.values():
            for number, record in enumerate(records):
                group = viewers.get(json.loads(record.key)["tenant_id"], set())
                text = record.value.decode()
                if mode == "broadcast":
                    broadcast(group, text)
                else:
                    await asyncio.gather(*(viewer.send(text) for viewer in group), return_exceptions=True)
                if number % TURN == 0:
                    await asyncio.sleep(0)


def answer(connection: ServerConnection, request: Request) -> Response | None:
    """Answer `/readyz` as the gateway does; everything else is a WebSocket."""
    return connection.respond(HTTPStatus.OK, "ok\n") if request.path == "/readyz" else None


async def main(mode: str, broker: str, topic: str, partitions: int, port: int) -> None:
    """Serve until killed."""
    viewers: dict[int, set[ServerConnection]] = {}

    async def view(connection: ServerConnection) -> None:
        request = connection.request
        group = viewers.setdefault(int(request.path.rsplit("/", 1)[1]) if request else 0, set())
        group.add(connection)
        try:
            await connection.wait_closed()
        finally:
            group.discard(connection)

    async with serve(view, "127.0.0.1", port, compression=None, process_request=answer):
        await pump(mode, broker, topic, partitions, viewers)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
