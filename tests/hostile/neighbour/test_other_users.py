"""Another user of the machine on which a stack runs: reads nothing, writes nothing, configures nothing (R5).

Also of deploy/embedded/broker.py, deploy/embedded/connect_worker.py and deploy/embedded/postgres.py.
"""

import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from support.neighbour import as_neighbour
from support.stack import RunningStack

from contracts.topics import TopicNames

WAIT_S = 3.0
REFUSED = {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.BAD_REQUEST}
SIGN_INS: dict[str, dict[str, str]] = {
    "nobody": {},
    "a guessed password": {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "watchfloor",
        "sasl.password": "watchfloor",
    },
    "another user": {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ANONYMOUS",
        "sasl.password": "ANONYMOUS",
    },
    "another mechanism": {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "watchfloor",
        "sasl.password": "watchfloor",
    },
}
SECRETS = ("state.json", "watchfloor.toml", "endpoints.json", "config", "kafka", "postgres", "logs", "run", "worker")
VALIDATE = "/connector-plugins/io.debezium.connector.postgresql.PostgresConnector/config/validate"


def listening(stack: RunningStack, component: str) -> list[int]:
    """The ports on which a component of the stack listens."""
    import psutil

    connections = psutil.Process(stack.pid(component)).net_connections("inet")
    return [one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN]


@pytest.mark.parametrize("sign_in", SIGN_INS)
def test_kafka_shows_and_takes_nothing(stack: RunningStack, sign_in: str) -> None:
    ports = listening(stack, "kafka")
    assert len(ports) == 2, "the clients' listener and the controller's"

    def act() -> list[str]:
        done = []
        for port in ports:
            client = {"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0} | SIGN_INS[sign_in]
            with suppress(KafkaException):
                done += list(AdminClient(client).list_topics(timeout=WAIT_S).topics)
            producer = Producer(client | {"message.timeout.ms": int(WAIT_S * 1000)})
            delivered: list[Any] = []
            producer.produce(
                TopicNames().anomalies, b"{}", on_delivery=lambda error, _, told=delivered: told.append(error)
            )
            producer.flush(WAIT_S + 2)
            done += ["written" for error in delivered if error is None]
        return done

    assert as_neighbour(act) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/connectors"),
        ("GET", "/connectors/watchfloor/config"),
        ("GET", "/connector-plugins"),
        ("GET", "/admin/loggers"),
        ("PUT", VALIDATE),
        ("PUT", "/connectors/theirs/config"),
        ("POST", "/connectors"),
        ("DELETE", "/connectors/watchfloor"),
        # These two are for other workers of the group, who sign them with a key of their own.
        ("POST", "/connectors/watchfloor/tasks"),
        ("PUT", "/connectors/watchfloor/fence"),
    ],
)
def test_connect_answers_nobody_without_the_password(stack: RunningStack, method: str, path: str) -> None:
    url = stack.settings.connect.url + path

    def ask(auth: tuple[str, str] | None) -> int:
        body: Any = [] if path.endswith("tasks") else {"name": "theirs", "config": {}}
        try:
            with httpx.Client(trust_env=False, timeout=60) as client:
                return client.request(method, url, json=None if method == "GET" else body, auth=auth).status_code
        except httpx.RemoteProtocolError:
            return httpx.codes.UNAUTHORIZED  # it may refuse before it has read the body, and hang up

    def act() -> list[int]:
        return [ask(auth) for auth in (None, ("watchfloor", "watchfloor"), ("", ""))]

    # Once as ourselves: the neighbour's process cannot read what Python imports at the first request.
    assert set(act()) <= REFUSED
    assert set(as_neighbour(act)) <= REFUSED
    with stack.connect_client() as client:
        assert client.get("/connectors").json() == [stack.settings.connect.connector]


@contextmanager
def curious_server() -> Iterator[tuple[int, list[bytes]]]:
    """A PostgreSQL that asks everybody for the password in clear text; its port, and what it was told."""
    told: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def serve() -> None:
            try:
                while True:
                    session, _ = server.accept()
                    with session:
                        session.settimeout(3)
                        told.append(session.recv(4096))
                        session.sendall(b"N")  # no TLS; then the startup message comes
                        told.append(session.recv(4096))
                        session.sendall(b"R\x00\x00\x00\x08\x00\x00\x00\x03")
                        told.append(session.recv(4096))
            except OSError:
                return  # closed: the test is over

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], told


def test_connect_sends_the_databases_password_to_no_other_server(stack: RunningStack) -> None:
    """Not even where somebody has got Connect's own password: no configuration reads a file or moves the password."""
    password = stack.settings.source.password.get_secret_value().encode()
    with stack.connect_client() as client, curious_server() as (port, told):
        config = client.get("/connectors/watchfloor/config").raise_for_status().json()
        assert "database.password" not in config
        moved = config | {"name": "theirs", "database.hostname": "127.0.0.1", "database.port": str(port)}
        files = [path for path in (stack.state_dir / "config").iterdir() if path.is_file()]
        assert files
        guesses = [{}, *({"database.password": f"${{file:{path}:source.password}}"} for path in files)]
        for guess in guesses:
            client.put(VALIDATE, json=moved | guess)
    assert any(b"watchfloor_capture" in each for each in told), "Connect has asked the other server"
    assert not [each for each in told if password in each]


def test_files_are_closed(stack: RunningStack) -> None:
    paths = [stack.state_dir / name for name in SECRETS]
    assert [path for path in paths if not path.exists()] == []

    def act() -> list[str]:
        return [str(path) for path in paths if _opens(path)]

    assert as_neighbour(act) == []


def _opens(path: Path) -> bool:
    try:
        _ = list(path.iterdir()) if path.is_dir() else path.read_bytes()
    except PermissionError:
        return False
    return True


@pytest.mark.parametrize("user", ["watchfloor", "postgres", "watchfloor_capture"])
def test_postgresql_lets_nobody_in_without_the_password(stack: RunningStack, user: str) -> None:
    port = stack.settings.source.port

    def act() -> list[str]:
        told = []
        for password in (None, "", "watchfloor", uuid.uuid4().hex):
            for host in ("127.0.0.1", "/var/run/postgresql"):
                with (
                    suppress(psycopg.OperationalError),
                    psycopg.connect(host=host, port=port, user=user, password=password, dbname="watchfloor"),
                ):
                    told.append(f"{host} let {user} in")
        return told

    assert as_neighbour(act) == []


def test_postgresql_trusts_nobody_and_has_no_socket(stack: RunningStack) -> None:
    with stack.connection() as session:
        rules = {method for (method,) in session.execute("SELECT auth_method FROM pg_hba_file_rules")}
        sockets = session.execute("SHOW unix_socket_directories").fetchone()
    assert (rules, sockets) == ({"scram-sha-256"}, ("",))
