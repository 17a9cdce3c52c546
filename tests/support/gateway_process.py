"""A gateway process on a real broker, a writer of its feed, and clients."""

import json
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from pydantic import SecretStr
from support.log_scan import scan
from support.published_contract import check_heard, check_said, said_problems
from support.waiting import until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from common.kafka import librdkafka_config
from common.settings.auth import AuthSettings
from common.settings.kafka import KafkaSettings
from contracts.feed import (
    FeedRecord,
    Fence,
    ProcessedBatch,
    ProcessedEvent,
    encode_record,
    feed_headers,
)
from contracts.topics import TopicNames, partition_of, tenant_key
from deploy.embedded.config import plain_settings
from gateway.access.tokens import mint_token

SECRET = "the secret of the gateway's chain tests"
AUTH = AuthSettings(hs256_secret=SecretStr(SECRET))
READY_S = 30.0


class FeedWriter:
    """Writes a feed as a worker does, into topics under a prefix of its own, at a broker or the address of an open one."""

    def __init__(self, kafka: KafkaSettings | str) -> None:
        kafka = KafkaSettings(bootstrap_servers=kafka) if isinstance(kafka, str) else kafka
        self.kafka = kafka.model_copy(update={"topic_prefix": f"t{uuid.uuid4().hex[:8]}"})
        client = librdkafka_config(self.kafka)
        self.names = TopicNames(self.kafka.topic_prefix)
        self._admin = AdminClient(client)
        self._create(self.names.anomalies, self.names.processed, self.names.receipts, self.names.audit)
        self._producer = Producer(client | {"linger.ms": 0})
        self._batches = 0
        self._generation = 1

    def write(self, *records: FeedRecord, generation: int = 1) -> None:
        self._generation = max(self._generation, generation)
        for record in records:
            scan.plant(record.person_name)
            self._send(self.names.anomalies, record.tenant_id, encode_record(record), feed_headers(record, generation))
        self._producer.flush(10)

    def fence(self, tenant: int, generation: int) -> None:
        self._generation = max(self._generation, generation)
        fence = Fence(generation=generation, epoch="of the tests")
        self._send(self.names.anomalies, tenant, encode_record(fence), [("generation", b"%d" % generation)])
        self._producer.flush(10)

    def clean(self, tenant: int, *events: ProcessedEvent) -> None:
        self._batches += 1
        batch = ProcessedBatch(tenant_id=tenant, batch=self._batches, events=list(events))
        headers = [("generation", b"%d" % self._generation)]
        self._send(self.names.processed, tenant, encode_record(batch), headers)
        self._producer.flush(10)

    def recreate(self) -> None:
        """Delete the feed's topic and make it anew, empty."""
        name = self.names.anomalies
        self._admin.delete_topics([name])[name].result(10)
        until(lambda: name not in self._admin.list_topics(timeout=5).topics, "the topic is gone")
        self._create(name)

    def raw(self, tenant: int, value: bytes) -> None:
        self._send(self.names.anomalies, tenant, value, [])
        self._producer.flush(10)

    def written(self, topic: str, tenant: int | None = None) -> list[dict[str, Any]]:
        """Every record of a topic, as JSON; of one tenant where it is named."""
        client = librdkafka_config(self.kafka)
        consumer = Consumer(client | {"group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
        found: list[dict[str, Any]] = []
        try:
            for number in range(self.kafka.partitions):
                end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
                consumer.assign([TopicPartition(topic, number, 0)])
                offset = -1
                while offset + 1 < end:
                    record = consumer.poll(10)
                    assert record is not None, f"partition {number} of {topic} cannot be read"
                    assert record.error() is None
                    offset = record.offset() or 0
                    found.append(json.loads(record.value() or b""))
        finally:
            consumer.close()
        return [record for record in found if tenant is None or record["tenant_id"] == tenant]

    def _create(self, *names: str) -> None:
        for created in self._admin.create_topics([NewTopic(name, self.kafka.partitions, 1) for name in names]).values():
            created.result(15)

    def _send(self, topic: str, tenant: int, value: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
        partition = partition_of(tenant, self.kafka.partitions)
        self._producer.produce(topic, value, tenant_key(tenant), partition, headers=list(headers))


class GatewayProcess:
    """`watchfloor gateway`, started as production starts it."""

    def __init__(self, feed: FeedWriter, directory: Path, auth: Mapping[str, Any] | None = None, **limits: Any) -> None:
        """Args: `limits` are settings of the section `gateway`, `auth` those of `auth` in place of the secret."""
        self.feed = feed
        limits = {
            "session.authenticate_timeout_s": 2,
            "connections.queue_bytes_max": 200_000,
            "port": free_port(),
        } | limits
        self.port = int(limits["port"])
        # Of several on one port each has its own for the questions that a test asks.
        self.own_port = int(limits.get("admin.port", self.port))
        self.admin_port = int(limits.setdefault("admin.port", free_port()))
        self.log = directory / "gateway.log"
        self.config = directory / "watchfloor.toml"
        self.config.write_text(
            f"""
            [kafka]
            {_toml(plain_settings(feed.kafka))}
            [gateway]
            allowed_origins = ["https://noc.example.com"]
            {_toml(limits)}
            [auth]
            {_toml({"hs256_secret": SECRET} if auth is None else auth)}
            """,
            "utf-8",
        )
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except AssertionError:
            self.stop(signal.SIGKILL)  # or it would outlive the tests
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        scan.plant(SECRET)
        scan.read([self.log])

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.own_port}"

    @property
    def metrics(self) -> str:
        """The address of its metrics."""
        return f"http://127.0.0.1:{self.admin_port}/metrics"

    def start(self) -> None:
        arguments = [sys.executable, "-m", "watchfloor", "--config", str(self.config), "gateway"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        process = self.process
        until(lambda: self.ready() or process.poll() is not None, "the gateway is ready", within_s=READY_S)
        assert self.ready(), f"the gateway is not ready:\n{self.words()}"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(20)

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.http}/readyz", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def words(self) -> str:
        return self.log.read_text("utf-8") if self.log.exists() else ""

    def metric(self, sample: str) -> float:
        """The value of a sample; of one that is named without labels the sum over them."""
        lines = httpx.get(self.metrics, timeout=5).text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{sample} ", f"{sample}{{")))

    def token(
        self,
        tenant: int | None = 1,
        *capabilities: str,
        lifetime_s: int = 600,
        user: str = "tester",
        **limits: Sequence[int],
    ) -> str:
        return mint_token(
            AUTH,
            tenant_id=tenant,
            user=user,
            capabilities=capabilities or ("noc:view", "noc:view_all_clients"),
            lifetime_s=lifetime_s,
            **limits,
        )

    def connect(self, path: str = "/ws/noc/dashboard/", **options: Any) -> "Client":
        return Client(f"ws://127.0.0.1:{self.port}{path}", **options)

    def sign_in(
        self,
        tenant: int = 1,
        path: str = "/ws/noc/dashboard/",
        capabilities: Sequence[str] = (),
        first: Mapping[str, Any] | None = None,
        **limits: Any,
    ) -> "Client":
        """A client that has had its connection_established; it is kept as `client.established`.

        Args:
            tenant: of its token.
            path: the endpoint.
            capabilities: of its token.
            first: further fields of its first message.
            limits: `clients` and `sites` of its token.
        """
        client = self.connect(path)
        client.say(type="authenticate", token=self.token(tenant, *capabilities, **limits), **(first or {}))
        client.established = client.hear()
        assert client.established["type"] == "connection_established", client.established
        return client


class Client:
    """A WebSocket client that speaks JSON, and holds what it says and hears against the published schemas."""

    def __init__(self, address: str, **options: Any) -> None:
        self._address = address
        self._open = ExitStack()
        self.connection: ClientConnection = self._open.enter_context(connect(address, open_timeout=10, **options))
        self.established: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def say(self, **message: Any) -> None:
        check_said(message)
        self.connection.send(json.dumps(message))

    def say_wrong(self, **message: Any) -> None:
        """Say what is no message of the contract."""
        assert list(said_problems(message)), "this is a right message"
        self.connection.send(json.dumps(message))

    def hear(self, timeout_s: float = 5.0) -> dict[str, Any]:
        """The next message that is no heartbeat, which may come at any moment; raises TimeoutError where none comes."""
        deadline = time.monotonic() + timeout_s
        while True:
            message: dict[str, Any] = json.loads(self.connection.recv(max(0.0, deadline - time.monotonic())))
            check_heard(message, self._address)
            if message["type"] != "heartbeat":
                return message

    def hear_all(self, quiet_s: float = 0.5) -> list[dict[str, Any]]:
        """What comes until it is quiet."""
        heard: list[dict[str, Any]] = []
        while True:
            try:
                heard.append(self.hear(quiet_s))
            except TimeoutError:
                return heard

    def close_code(self, timeout_s: float = 10.0) -> int | None:
        """The code that the gateway closes with; messages before it are passed over."""
        deadline = time.monotonic() + timeout_s
        try:
            while time.monotonic() < deadline:
                self.connection.recv(max(0.01, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None
        raise AssertionError("the connection was not closed")


def _toml(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
