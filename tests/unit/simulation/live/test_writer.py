"""The writer without a database: it waits, says so, and stops when told."""

import socket
import time

from support.waiting import until

from simulation.live.simulation import Plan
from simulation.live.writer import CompanyWriter


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_writer_without_a_server_says_what_it_waits_for_and_stops_at_once() -> None:
    ended: list[bool] = []
    dsn = f"postgresql://postgres@127.0.0.1:{unused_port()}/watchfloor"
    writer = CompanyWriter(dsn, Plan(), on_end=lambda: ended.append(True))
    writer.start()
    until(lambda: writer.progress.waiting is not None, "it says what it waits for", within_s=10)
    assert writer.progress.waiting == "PostgreSQL does not answer"
    began = time.monotonic()
    writer.stop()
    assert time.monotonic() - began < 3
    assert ended == [True]
    assert writer.failure is None
    assert writer.progress.rows == 0
