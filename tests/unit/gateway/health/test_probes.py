"""The probes take what a real HTTP server or no server answers, in bounded time and size."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import httpx
import pytest
from support.waiting import let_pass

from common.settings.source import SourceSettings
from gateway.health.probes import ask_connect, ask_database, ask_workers
from gateway.health.report import DatabaseReading, WorkerReading

T = TypeVar("T")
METRICS = """# HELP watchfloor_worker_lag_records Source records not yet processed.
# TYPE watchfloor_worker_lag_records gauge
watchfloor_worker_lag_records{partition="0"} 3.0
watchfloor_worker_lag_records{partition="1"} 4.0
watchfloor_worker_lag_seconds{partition="0"} 0.25
watchfloor_worker_lag_seconds{partition="1"} 1.5
watchfloor_worker_partitions 2.0
watchfloor_worker_events_total{table="attendance"} 70.0
watchfloor_worker_events_total{table="ticket"} 30.0
watchfloor_worker_findings_total{finding_type="WRONG_PERSON"} 9.0
watchfloor_worker_rate_limited_total{tenant="17"} 5.0
watchfloor_worker_state_keys{table="site"} 5.0
python_info{version="3"} 1.0
"""


@contextmanager
def server(answers: dict[str, tuple[int, str | Callable[[], str]]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, ""))
            content = (body if isinstance(body, str) else body()).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}"
    finally:
        listening.shutdown()
        listening.server_close()


def asked(question: Callable[[httpx.AsyncClient], Coroutine[Any, Any, T]]) -> T:
    async def ask() -> T:
        async with httpx.AsyncClient(trust_env=False, timeout=1) as client:
            return await question(client)

    return asyncio.run(ask())


def worker(ready: int = 200, metrics: str | Callable[[], str] = METRICS) -> dict[str, Any]:
    return {"/readyz": (ready, "x"), "/metrics": (200, metrics)}


def test_two_workers_are_added_up_and_a_dead_one_is_missed() -> None:
    with server(worker()) as one, server(worker(ready=503)) as two:
        reading = asked(lambda client: ask_workers(client, [one + "/", two, "http://127.0.0.1:9"], 1.0))
    assert reading == WorkerReading(
        asked=3,
        answered=2,
        ready=1,
        partitions=2,
        lag_records=14,
        lag_seconds=1.5,
        counters={
            "dead_letters": 0,
            "events_processed": 200,
            "findings": 18,
            "messages": 0,
            "micro_batches": 0,
            "rate_limited": 10,
        },
    )


def test_a_worker_that_hangs_does_not_hide_the_other() -> None:
    def hang() -> str:
        let_pass(3)
        return METRICS

    with server(worker()) as one, server(worker(metrics=hang)) as two:
        began = time.monotonic()
        reading = asked(lambda client: ask_workers(client, [one, two], 0.3))
        assert time.monotonic() - began < 2
    assert (reading.answered, reading.partitions) == (1, 2)


@pytest.mark.parametrize("body", ["watchfloor_worker_lag_records{ x", "watchfloor_worker_partitions many\n"])
def test_a_worker_that_talks_nonsense_has_not_answered(body: str) -> None:
    with server(worker(metrics=body)) as one:
        assert asked(lambda client: ask_workers(client, [one], 1.0)).answered == 0


def test_an_answer_without_end_is_cut() -> None:
    with server(worker(metrics=METRICS + "x 1\n" * 2_000_000)) as one:
        assert asked(lambda client: ask_workers(client, [one], 5.0)).partitions == 2


def status(*tasks: str) -> str:
    return json.dumps(
        {
            "name": "watchfloor",
            "connector": {"state": "RUNNING", "worker_id": "w"},
            "tasks": [{"id": n, "state": state, "trace": "password=secret"} for n, state in enumerate(tasks)],
        }
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, status("RUNNING")), (True, True, ("RUNNING",))),
        ((200, status("FAILED", "RUNNING")), (True, True, ("FAILED", "RUNNING"))),
        ((200, status()), (True, True, ())),
        ((200, status("password=secret")), (True, True, ("UNKNOWN",))),
        ((404, "{}"), (True, False, ())),
        ((409, "{}"), (True, True, ("UNASSIGNED",))),
        ((401, "{}"), (False, False, ())),
        ((200, "<html>"), (False, False, ())),
    ],
)
def test_connect_s_tasks(answer: tuple[int, str], expected: tuple[bool, bool, tuple[str, ...]]) -> None:
    with server({"/connectors/watchfloor/status": answer}) as url:
        reading = asked(lambda client: ask_connect(client, url, "watchfloor", 1.0))
    assert (reading.answers, reading.registered, reading.tasks) == expected
    assert "secret" not in repr(reading)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://[", "nonsense"])
def test_no_connect_is_no_answer(url: str) -> None:
    assert not asked(lambda client: ask_connect(client, url, "watchfloor", 0.5)).answers


def test_no_database_is_no_answer() -> None:
    source = SourceSettings(host="127.0.0.1", port=9)
    assert asyncio.run(ask_database(source, 1.0)) == DatabaseReading(answers=False)
