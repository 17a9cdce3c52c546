"""The latency from the commit in PostgreSQL to the message at a WebSocket client, and the share of each hop.

    ./run python benchmarks/latency.py [--rate 200] [--seconds 30] [--state-dir DIR of a running stack]

Writes rows to every captured table at the given rate, over four tenants. For each tenant one client on the
anomaly stream and one on the dashboard record when each message arrives. The total is measured with one clock,
from the return of `commit` at the writer to the arrival of the frame at the client. The hops are computed
afterwards from the timestamps of the Kafka records (milliseconds, all processes on one machine).
"""

import argparse
import asyncio
import json
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Consumer, TopicPartition
from figures import Figure, percentile, report
from stack import Stack, running_stack
from websockets.asyncio.client import connect

from common.kafka import librdkafka_config
from common.paths import CONFIG_FILE
from common.settings.load import Settings, load_settings
from contracts.envelope import ChangeDecoder
from contracts.feed import Fence, decode_feed_record, decode_processed
from contracts.topics import CAPTURED_TABLES, TopicNames
from gateway.access.tokens import mint_token

TENANTS = (9001, 9002, 9003, 9004)
WARM_UP_S = 5.0
SETTLE_S = 3.0


class Rows:
    """Random rows of every table."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._next_id = int(time.time() * 1e6)

    def draw(self) -> tuple[str, int, str, tuple[Any, ...]]:
        """The table, the row's id, and the statement that inserts it with its values."""
        self._next_id += 1
        number, now = self._next_id, datetime.now(UTC)
        tenant = self._random.choice(TENANTS)
        table = self._random.choice(CAPTURED_TABLES)
        wrong = self._random.random() < 0.2
        rows: dict[str, dict[str, Any]] = {
            "attendance": {
                "site_id": tenant,
                "person_id": tenant,
                "verified_person_id": 0 if wrong else tenant,
                "event_type": "CHECK_OUT",
                "occurred_at": now,
            },
            "jobneed": {
                "site_id": tenant,
                "person_id": tenant,
                "job_type": "TASK",
                "title": "round",
                "status": "ASSIGNED",
            },
            "location": {"person_id": tenant, "latitude": 1.3, "longitude": 103.8, "recorded_at": now},
            "ticket": {
                "site_id": tenant,
                "ticket_no": f"T{number}",
                "status": "NEW",
                "priority": "LOW",
                "created_at": now,
            },
            "work_order": {"site_id": tenant, "status": "OPEN", "vendor": "v"},
            "device": {"site_id": tenant, "name": "d", "status": "ONLINE", "last_seen": now},
            "assignment": {
                "person_id": tenant,
                "site_id": tenant,
                "shift_start": now,
                "shift_end": now + timedelta(hours=8),
            },
            "tenant": {"name": "n"},
            "policy": {"detector": "overtime", "settings": "{}"},
        }
        columns = rows.get(table, {"name": "n"})
        names = ["id", "tenant_id", *columns]
        marks = ", ".join(["%s"] * len(names))
        # the names come from the lists above; the values are parameters
        insert = f"INSERT INTO public.{table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
        return table, number, insert, (number, tenant, *columns.values())


def write_rows(dsn: str, rate: int, seconds: float, committed: dict[str, float], stop: threading.Event) -> None:
    """Commit one row at a time at the given rate; record when each commit returned."""
    rows = Rows(7)
    with psycopg.connect(dsn) as connection:
        for tenant in TENANTS:  # the rows that events refer to, so that no event has to wait for them
            for table in ("site", "person"):
                statement = f"INSERT INTO public.{table} (id, tenant_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"  # noqa: S608
                connection.execute(statement, (tenant, tenant))
            connection.execute(
                "INSERT INTO assignment (id, tenant_id, person_id, site_id, shift_start, shift_end) "
                "VALUES (%s, %s, %s, %s, now() - interval '4 hours', now() + interval '8 hours') ON CONFLICT DO NOTHING",
                (tenant, tenant, tenant, tenant),
            )
        connection.commit()
        started_s = time.perf_counter()
        for index in range(int(rate * seconds)):
            if stop.is_set():
                return
            due_s = started_s + index / rate
            while (left_s := due_s - time.perf_counter()) > 0:
                time.sleep(left_s)
            table, number, statement, values = rows.draw()
            connection.execute(statement, values)
            connection.commit()
            committed[f"{table}:{number}"] = time.time()


async def listen(url: str, token: str, seen: dict[str, float]) -> None:
    """Record when the message of each scored event arrives."""
    async with connect(url, compression=None, max_size=2**20) as socket:
        await socket.send(json.dumps({"type": "authenticate", "token": token}))
        async for frame in socket:
            arrived_s = time.time()
            message = json.loads(frame)
            if message["type"] in ("event_processed", "anomaly_detected"):
                seen.setdefault(message["event_id"].rpartition(":")[0], arrived_s)


async def measure(
    stack: Stack, settings: Settings, rate: int, seconds: float
) -> tuple[dict[str, float], dict[str, float]]:
    """The commit time and the arrival times of each event."""
    committed: dict[str, float] = {}
    seen: dict[str, float] = {}
    stop = threading.Event()
    url = stack.endpoints["websocket"] + "/ws/noc/anomaly-stream/"
    listeners = [asyncio.create_task(listen(url, _token(settings, tenant), seen)) for tenant in TENANTS]
    await asyncio.sleep(1.0)
    writer = asyncio.to_thread(write_rows, stack.endpoints["postgres"], rate, WARM_UP_S + seconds, committed, stop)
    try:
        await writer
        await asyncio.sleep(SETTLE_S)
    finally:
        stop.set()
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
    cut_s = min(committed.values()) + WARM_UP_S
    return {event: at for event, at in committed.items() if at >= cut_s}, seen


def _token(settings: Settings, tenant: int) -> str:
    capabilities = ["noc:view", "noc:view_all_clients", "noc:view_pii"]
    return mint_token(settings.auth, tenant_id=tenant, user="benchmark", capabilities=capabilities, lifetime_s=3600)


def hops(stack: Stack, settings: Settings, events: dict[str, float], seen: dict[str, float]) -> dict[str, list[float]]:
    """The milliseconds of each hop for each event, from the timestamps of the records."""
    names = TopicNames(settings.kafka.topic_prefix)
    decoder = ChangeDecoder()
    captured: dict[str, tuple[float, float]] = {}
    scored: dict[str, float] = {}
    for topic, timestamp_ms, value in _records(
        stack, [*(names.captured(table) for table in CAPTURED_TABLES), names.anomalies, names.processed]
    ):
        if topic == names.processed:
            for event in decode_processed(value).events:
                scored.setdefault(event.event_id.rpartition(":")[0], timestamp_ms)
        elif topic == names.anomalies:
            record = decode_feed_record(value)
            if not isinstance(record, Fence):
                scored.setdefault(record.event_id.rpartition(":")[0], timestamp_ms)
        else:
            change = decoder.decode(topic.rpartition(".")[2], value)
            if change is not None:
                captured[f"{change.table}:{change.row.id}"] = (change.commit_us / 1e3, timestamp_ms)
    result: dict[str, list[float]] = {"commit_to_kafka": [], "kafka_to_anomaly": [], "anomaly_to_client": []}
    for name in events.keys() & captured.keys() & scored.keys() & seen.keys():
        commit_ms, kafka_ms = captured[name]
        result["commit_to_kafka"].append(kafka_ms - commit_ms)
        result["kafka_to_anomaly"].append(scored[name] - kafka_ms)
        result["anomaly_to_client"].append(seen[name] * 1e3 - scored[name])
    return result


def _records(stack: Stack, topics: list[str]) -> list[tuple[str, float, bytes]]:
    consumer = Consumer(librdkafka_config(stack.settings.kafka, group_id="benchmark", enable_auto_commit=False))
    metadata = consumer.list_topics(timeout=10).topics
    partitions = [TopicPartition(topic, number, 0) for topic in topics for number in metadata[topic].partitions]
    left = {(each.topic, each.partition): consumer.get_watermark_offsets(each, timeout=10)[1] for each in partitions}
    left = {partition: end for partition, end in left.items() if end}
    consumer.assign(partitions)
    records: list[tuple[str, float, bytes]] = []
    deadline_s = time.monotonic() + 60
    while left and time.monotonic() < deadline_s:
        for message in consumer.consume(5_000, 0.5):
            if message.error() is None and message.value() is not None:
                records.append((message.topic(), float(message.timestamp()[1]), message.value()))
            if message.offset() + 1 >= left.get((message.topic(), message.partition()), 1 << 62):
                left.pop((message.topic(), message.partition()), None)
    consumer.close()
    return records


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=200, help="rows per second over all tables")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--state-dir", type=Path, default=None, help="use the running stack of this directory")
    arguments = parser.parse_args()
    with running_stack(arguments.state_dir) as stack:
        settings = load_settings(stack.state_dir / CONFIG_FILE)
        events, seen = asyncio.run(measure(stack, settings, arguments.rate, arguments.seconds))
        shares = hops(stack, settings, events, seen)
    scored = {"attendance", "jobneed", "location", "ticket", "work_order", "device"}
    expected = {event: at for event, at in events.items() if event.partition(":")[0] in scored}
    latencies = [(seen[event] - at) * 1e3 for event, at in expected.items() if event in seen]
    figures = [
        Figure("commit_to_client_p50_ms", percentile(latencies, 0.50), 30.0),
        Figure("commit_to_client_p99_ms", percentile(latencies, 0.99), 70.0),
        Figure("messages_missing", len(expected) - len(latencies), 0),
        Figure("messages", len(latencies)),
        *(
            Figure(f"{name}_p{share}_ms", percentile(values, share / 100))
            for name, values in shares.items()
            for share in (50, 99)
        ),
    ]
    raise SystemExit(0 if report("latency", figures) else 1)


if __name__ == "__main__":
    main()
