"""Connections, gateways and the broker are killed: every client ends with exactly the part of the log that it may see."""

import json
import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from chaos.cluster import Cluster
from chaos.scene import chosen
from chaos.viewers import Crowd, Viewer
from confluent_kafka import Producer
from support.expected_messages import STREAM, View
from support.feed_samples import anomaly, limited, ticket
from support.gateway_process import AUTH, FeedWriter, GatewayProcess
from support.log_scan import scan
from support.waiting import happens, let_pass, until

from contracts.feed import FeedRecord, encode_record, feed_headers
from contracts.topics import partition_of, tenant_key
from gateway.access.tokens import mint_token

pytestmark = pytest.mark.timeout(1_800)
Json = dict[str, Any]
GATEWAYS = 3
TENANTS = (1, 2, 3)
CLIENTS = (1, 2, 3)
SITES = (1, 2, 3, 4)
LIMITS: dict[str, Any] = {
    "history.messages_max": 300,  # so that many resumes have to read the log
    "session.authenticate_timeout_s": 10,
    "session.heartbeat_interval_s": 2,
    "slow.timeout_s": 3,
    "slow.retry_after_s_min": 1,
    "handshake.per_address_per_s_max": 1_000,
    "drain.spread_s_max": 1,
}
CATCH_UP_S_MAX = 60.0


class Writer:
    """Writes every tenant's feed without a pause, through whatever happens to the broker, and never twice."""

    def __init__(self, feed: FeedWriter, address: str, seed: int, rate: float) -> None:
        self._feed = feed
        self._random = random.Random(seed)
        self._rate = rate
        self._producer = Producer(
            {
                "bootstrap.servers": address,
                "enable.idempotence": True,
                "linger.ms": 2,
                "log_level": 0,
                "message.timeout.ms": 600_000,
            }
        )
        self._seq = dict.fromkeys(TENANTS, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def written(self) -> int:
        """Records of all tenants."""
        return sum(self._seq.values())

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Stop, with a last record for everybody in each tenant."""
        self._stop.set()
        self._thread.join(20)
        for tenant in TENANTS:
            self._seq[tenant] += 1
            self._send(limited(tenant, self._seq[tenant]))
        assert self._producer.flush(60) == 0

    def _run(self) -> None:
        while not self._stop.wait(1 / self._rate):
            for _ in range(self._random.choice((1, 1, 1, 20))):
                self._send(self._record())
            self._producer.poll(0)

    def _record(self) -> FeedRecord:
        draw, tenant = self._random, self._random.choice(TENANTS)
        self._seq[tenant] += 1
        seq, place = (
            self._seq[tenant],
            {"client_id": draw.choice((None, *CLIENTS)), "site_id": draw.choice((None, *SITES))},
        )
        drawn = draw.random()
        if drawn < 0.05:
            return limited(tenant, seq)
        if drawn < 0.2:
            return ticket(tenant, seq, **place)
        return anomaly(tenant, seq, draw.randrange(1, 4), person_name=f"Valerie Planted {tenant}.{seq}", **place)

    def _send(self, record: FeedRecord) -> None:
        scan.plant(record.person_name)
        key, partition = tenant_key(record.tenant_id), partition_of(record.tenant_id, self._feed.kafka.partitions)
        headers = list(feed_headers(record, 1))
        self._producer.produce(self._feed.names.anomalies, encode_record(record), key, partition, headers=headers)


class Acts:
    """What is done, drawn at random until the time is over."""

    def __init__(self, cluster: Cluster, gateways: list[GatewayProcess], crowd: Crowd, seed: int) -> None:
        self._cluster = cluster
        self._gateways = gateways
        self._crowd = crowd
        self._random = random.Random(seed)
        self.done: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        """Each kind once at least, then as they come."""
        end = time.monotonic() + seconds
        kinds = [self.cut_connections, self.kill_gateway, self.pause_clients, self.kill_broker, self.stop_gateway]
        waiting = list(kinds)
        while waiting or time.monotonic() < end:
            act = (
                waiting.pop(0) if waiting else self._random.choice([self.cut_connections, self.cut_connections, *kinds])
            )
            act()
            let_pass(self._random.uniform(0.3, 2.0))

    def cut_connections(self) -> None:
        share = self._random.choice((0.1, 0.5, 1.0)) if self.done else 1.0
        victims = [viewer for viewer in self._crowd.viewers if self._random.random() < share]
        self._crowd.call(lambda: [viewer.cut() for viewer in victims] and None)
        self.done["connections cut"] += len(victims)

    def kill_gateway(self) -> None:
        self._end_gateway(signal.SIGKILL, "kills")

    def stop_gateway(self) -> None:
        self._end_gateway(signal.SIGTERM, "stops")

    def pause_clients(self) -> None:
        victims = self._random.sample(list(self._crowd.viewers), 4)
        self._crowd.call(lambda: [viewer.reads.clear() for viewer in victims] and None)
        let_pass(self._random.uniform(1.0, 5.0))
        self._crowd.call(lambda: [viewer.reads.set() for viewer in victims] and None)
        self.done["pauses"] += len(victims)

    def kill_broker(self) -> None:
        self._cluster.kill()
        let_pass(self._random.uniform(0.0, 3.0))
        self._cluster.start()
        self.done["broker kills"] += 1

    def _end_gateway(self, how: signal.Signals, kind: str) -> None:
        gateway = self._random.choice(self._gateways)
        gateway.stop(how)
        let_pass(self._random.uniform(0.0, 2.0))
        gateway.start()
        self.done[kind] += 1


def views(draw: random.Random) -> Iterator[tuple[View, str]]:
    """Three viewers of everything a tenant has, and others that see parts."""
    for tenant in TENANTS:
        yield View(tenant, frozenset({"noc:view", "noc:view_all_clients"})), "dashboard"
        yield View(tenant, frozenset({"noc:view", "noc:view_all_clients", "noc:view_pii"})), STREAM
        for _ in range(6):
            capabilities = {
                "noc:view",
                *(name for name in ("noc:view_all_clients", "noc:view_pii") if draw.random() < 0.4),
            }
            clients = draw.choice((None, frozenset(draw.sample(CLIENTS, 2))))
            sites = draw.choice((None, frozenset(draw.sample(SITES, 3))))
            wanted = frozenset({draw.choice(sorted(sites))}) if sites and draw.random() < 0.5 else frozenset()
            yield (
                View(tenant, frozenset(capabilities), clients, sites, frozenset(), wanted),
                draw.choice(("dashboard", STREAM)),
            )


def log_of(cluster: Cluster, topic: str) -> dict[int, dict[int, Json]]:
    """Every tenant's records by seq, as the topic has them."""
    found: dict[int, dict[int, Json]] = defaultdict(dict)
    for record in cluster.reader.read(topic):
        body: Json = json.loads(record.value or b"{}")
        if "seq" in body:
            found[body["tenant_id"]].setdefault(body["seq"], body)
    for tenant, records in found.items():
        assert sorted(records) == list(range(1, len(records) + 1)), f"the log of tenant {tenant} is not dense"
    return found


def token_of(view: View, subject: str) -> str:
    return mint_token(
        AUTH, tenant_id=view.tenant, user=subject, capabilities=sorted(view.capabilities),
        clients=None if view.clients is None else sorted(view.clients),
        sites=None if view.sites is None else sorted(view.sites),
    )  # fmt: skip


def test_every_client_ends_with_exactly_its_part_of_the_log(cluster: Cluster, seed: int, tmp_path: Path) -> None:
    began = time.monotonic()
    draw = random.Random(seed)
    feed = FeedWriter(cluster.address)
    writer = Writer(feed, cluster.address, seed, chosen("RATE", 20, 40))
    with ExitStack() as parts:
        gateways = []
        for number in range(GATEWAYS):
            (tmp_path / f"{number}").mkdir()
            gateways.append(parts.enter_context(GatewayProcess(feed, tmp_path / f"{number}", **LIMITS)))
        ports = [gateway.port for gateway in gateways]
        crowd = Crowd(
            [
                Viewer(
                    view, endpoint, lambda view=view, who=f"viewer {number}": token_of(view, who), ports, seed + number
                )
                for number, (view, endpoint) in enumerate(views(draw))
            ]
        )
        with crowd:
            until(
                lambda: all(viewer.begun is not None for viewer in crowd.viewers),
                "everybody is signed in",
                within_s=CATCH_UP_S_MAX,
            )
            writer.start()
            acts = Acts(cluster, gateways, crowd, seed)
            acts.run(chosen("SECONDS", 20, 600))
            writer.finish()
            log = log_of(cluster, feed.names.anomalies)
            last = {tenant: max(records) for tenant, records in log.items()}
            waiting_s = time.monotonic()
            caught_up = happens(  # where not, what each viewer lacks says more
                lambda: all(viewer.position >= last[viewer.view.tenant] for viewer in crowd.viewers),
                within_s=CATCH_UP_S_MAX,
            )
            behind_s = time.monotonic() - waiting_s
    faults = [fault for viewer in crowd.viewers for fault in viewer.judge(log[viewer.view.tenant])]
    refusals = sum((viewer.refusals for viewer in crowd.viewers), Counter[str]())
    counts = {
        "events": writer.written,
        "messages": sum(len(viewer.had) for viewer in crowd.viewers),
        "connections": sum(len(viewer.connections) for viewer in crowd.viewers),
        "resumed": sum(message.get("recovered", False) for viewer in crowd.viewers for each in viewer.connections for message in each.heard),
    } | {f"refused {reason}": count for reason, count in refusals.items()}  # fmt: skip
    print(f"gateways: seed {seed}: {dict(acts.done)} {counts} caught up: {caught_up} in {behind_s:.2f} s", flush=True)
    if results := os.environ.get("CHAOS_RESULTS"):
        line = {
            "run": "gateways",
            "seed": seed,
            "seconds": round(time.monotonic() - began),
            "acts": acts.done,
            "counts": counts,
            "violations": len(faults),
        }
        with Path(results).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    assert faults == [], f"seed {seed}\n" + "\n".join(faults[:12])
    assert counts["messages"] > 1_000
    assert counts["resumed"] > len(crowd.viewers)
    for gateway in gateways:
        assert "Traceback" not in gateway.words(), gateway.words()[-4_000:]
