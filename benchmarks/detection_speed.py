"""With all detectors enabled: events per second of one worker, and the cost of each detector.

    ./run python benchmarks/detection_speed.py                 the worker on its own broker, then the table
    ./run python benchmarks/detection_speed.py --no-worker     only the table, in this process, takes seconds

The stream is that of benchmarks/detection_stream.py. The worker is the real program; its speed is computed from two
readings of its metrics while it reads records that were written before it started. For the table, the calls that the
worker makes to each detector are recorded and repeated in a loop, which is possible because a detector is pure; the cost
of the loop is subtracted. Times of this process are CPU times, so that other programs on the machine matter less.
"""

import argparse
import copy
import gc
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from detection_stream import STEP_US, CompanyStream, Message
from figures import Figure, report, terminal_table
from rich.console import Console
from session import RunFailedError, Session, open_session, run_main, say
from stack import stop

from common.settings.load import load_settings
from common.settings.worker import RateLimitSettings, WorkerSettings
from contracts.topics import CAPTURED_TABLES, TopicNames, partition_of, tenant_key
from deploy.embedded.ports import choose
from detectors.interface import Detector, Event
from detectors.registry import DETECTORS
from streams.engine.model import Entry
from streams.gc_tuning import calm_garbage_collector
from streams.testing import MemoryWorker
from streams.topics import ensure_topics

EVENTS_PER_S_MIN = 60_000
BATCH_RECORDS = 5_000
REFERENCE_MAX = 10_000
"""More than the number of reference rows."""
TOPICS = TopicNames()
Call = tuple[Any, Event[Any], Any]


class _Record:
    """The part of a fetched Kafka record that the decoder reads."""

    __slots__ = ("headers", "key", "offset", "timestamp", "value")

    def __init__(self, offset: int, message: Message) -> None:
        self.offset = offset
        self.timestamp = 1 << 50  # as if it had arrived long after its commit, so that no clock seems to be ahead
        self.headers: Sequence[tuple[str, bytes]] = ()
        self.key: bytes | None = tenant_key(message.tenant_id)
        self.value: bytes | None = message.value


class Fold:
    """The worker's own decoding and scoring, without Kafka.

    Args:
        detectors: that run, or their names; None: all.
    """

    def __init__(self, detectors: Sequence[Detector] | Sequence[str] | None = None) -> None:
        settings = load_settings(environ={})
        worker = WorkerSettings(rate_limit=RateLimitSettings(max_events_per_second=10**9))
        self._worker = MemoryWorker(detectors, settings.model_copy(update={"worker": worker}), clock=time.time)
        self.decode_s = self.process_s = 0.0
        self.events = self.reported = 0

    def run(self, messages: Sequence[Message]) -> None:
        """Fold them, micro-batch by micro-batch, and take the time."""
        decode = self._worker.spec.decode
        sources = {table: index for index, table in enumerate(CAPTURED_TABLES)}
        for start in range(0, len(messages), BATCH_RECORDS):
            records = [
                (sources[each.table], _Record(start + number, each))
                for number, each in enumerate(messages[start : start + BATCH_RECORDS])
            ]
            began_s = time.process_time()
            entries: list[Entry] = [decode(source_index, record) for source_index, record in records]
            decoded_s = time.process_time()
            outputs = self._worker.process(entries).outputs
            self.process_s += time.process_time() - decoded_s
            self.decode_s += decoded_s - began_s
            self.events += len(records)
            self.reported += len(outputs.get(TOPICS.anomalies, []))
            self._worker.outputs.clear()
            for _ in self._worker.state.take_changes(1):
                pass


def keeping(judge: Any, calls: list[Call]) -> Any:
    """A detector's `judge` that also keeps what it is called with."""

    def kept(state: Any, event: Event[Any], policy: Any) -> Any:
        calls.append((state, event, policy))
        return judge(state, event, policy)

    return kept


def cost_us(judge: Any, calls: Sequence[Call]) -> float:
    """The cost of one call: the minimum of three rounds, without the loop."""

    def nothing(state: Any, _event: Event[Any], _policy: Any) -> Any:
        return state, ()

    def seconds(function: Any) -> float:
        began_s = time.process_time()
        for state, event, policy in calls:
            function(state, event, policy)
        return time.process_time() - began_s

    if not calls:
        return 0.0
    return max(0.0, min(seconds(judge) for _ in range(3)) - min(seconds(nothing) for _ in range(3))) / len(calls) * 1e6


def kept_calls(messages: Sequence[Message], reference: Sequence[Message]) -> dict[str, list[Call]]:
    """The arguments with which the worker calls each detector."""
    watched: list[Any] = [copy.copy(detector) for detector in DETECTORS]
    calls: dict[str, list[Call]] = {detector.name: [] for detector in watched}
    for detector in watched:
        detector.judge = keeping(detector.judge, calls[detector.name])
    fold = Fold(watched)
    fold.run(reference)
    fold.run(messages)
    return calls


def table_of_costs(messages: Sequence[Message], reference: Sequence[Message]) -> list[Figure]:
    """Print the cost of each detector; return the sums."""
    calls = kept_calls(messages, reference)
    total_us, figures, rows = 0.0, [], []
    gc.collect()
    gc.freeze()
    for detector in DETECTORS:
        its = calls[detector.name]
        each_us = cost_us(detector.judge, its)
        share = len(its) / len(messages)
        total_us += each_us * share
        costs = f"{share:.2f}", f"{each_us:.2f}", f"{each_us * share:.3f}"
        rows.append((detector.name, " ".join(detector.tables), *costs))
        figures.append(Figure(f"{detector.name}_us", round(each_us, 3)))
    gc.unfreeze()
    columns = ("detector", "tables", "calls an event", "us a call", "us an event of the stream")
    Console(width=110).print(terminal_table("what each detector costs", columns, rows, columns[:2]))
    return [*figures, Figure("all_detectors_us_per_event", round(total_us, 3))]


def fold_figures(messages: Sequence[Message], reference: Sequence[Message]) -> list[Figure]:
    """The fold with all detectors and with none: what judging costs in all."""
    figures = []
    for name, detectors in (("all", None), ("no", ())):
        fold = Fold(detectors)
        fold.run(reference)
        fold.decode_s, fold.process_s, fold.events, fold.reported = 0.0, 0.0, 0, 0
        gc.collect()
        gc.freeze()
        fold.run(messages)
        gc.unfreeze()
        figures.append(Figure(f"fold_{name}_detectors_us_per_event", round(fold.process_s / fold.events * 1e6, 3)))
        if detectors is None:
            figures.append(Figure("decode_us_per_event", round(fold.decode_s / fold.events * 1e6, 3)))
            figures.append(Figure("events_with_findings", fold.reported))
    return figures


def worker_figure(session: Session, events: int) -> Figure:
    """Events per second of the real worker while it reads existing records.

    Raises:
        RunFailedError: the worker ended, or did not process all events in time.
    """
    settings = load_settings(environ={})
    settings = settings.model_copy(
        update={"kafka": settings.kafka.model_copy(update={"bootstrap_servers": session.broker.address})}
    )
    ensure_topics(settings.kafka)
    producer = Producer(
        {"bootstrap.servers": session.broker.address, "linger.ms": 20, "queue.buffering.max.messages": 10**6}
    )
    # The stream ends about now: a worker that has caught up fires timers by the wall clock, otherwise for months.
    stream = CompanyStream(1, int(time.time() * 1e6) - (events + REFERENCE_MAX) * STEP_US)
    for batch in (stream.reference(), stream.events(events)):
        for message in batch:
            partition = partition_of(message.tenant_id, settings.kafka.partitions)
            producer.produce(TOPICS.captured(message.table), message.value, tenant_key(message.tenant_id), partition)
            producer.poll(0)
        producer.flush(60)
    config, port = session.directory / "watchfloor.toml", choose([], set())
    config.write_text(
        f'[kafka]\nbootstrap_servers = "{session.broker.address}"\n'
        f"[worker]\nmetrics.port = {port}\nrate_limit.max_events_per_second = 1000000\n",
        "utf-8",
    )
    log = session.directory / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "watchfloor", "--config", str(config), "worker"],
            stdout=output,
            stderr=output,
            cwd=Path(__file__).parents[1],
            env={name: value for name, value in os.environ.items() if not name.startswith("WATCHFLOOR_")},
        )
    try:
        return Figure(
            "worker_events_per_s", round(_rate(process, port, events, log)), EVENTS_PER_S_MIN, lower_is_better=False
        )
    finally:
        stop(process)


def _rate(process: "subprocess.Popen[bytes]", port: int, events: int, log: Path) -> float:
    looks: list[tuple[float, float]] = []
    deadline_s = time.monotonic() + 120
    while not looks or looks[-1][1] < events:
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise RunFailedError(f"the worker did not finish in time:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)
        done = _processed(port)
        if done:
            looks.append((time.monotonic(), done))
    # The first tenth is left out, because it includes the start.
    first = next(look for look in looks if look[1] >= events / 10)
    return (looks[-1][1] - first[1]) / (looks[-1][0] - first[0])


def _processed(port: int) -> float:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("watchfloor_worker_events_total{"))


def main() -> bool:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000, help="events of the worker's run (default 400,000)")
    parser.add_argument("--sample", type=int, default=60_000, help="events behind the table (default 60,000)")
    parser.add_argument("--no-worker", dest="worker", action="store_false", help="print only the table")
    parser.add_argument("--scratch", type=Path, help="directory for temporary files")
    arguments = parser.parse_args()
    calm_garbage_collector()  # as in the worker
    stream = CompanyStream(1)
    reference, messages = list(stream.reference()), list(stream.events(arguments.sample))
    figures: list[Figure] = []
    notes: list[str] = []
    if arguments.worker:
        with open_session(arguments.scratch) as session:
            say("filling the topics")
            figures.append(worker_figure(session, arguments.events))
            notes = session.notes
    figures += table_of_costs(messages, reference)
    figures += fold_figures(messages, reference)
    return report("detection_speed", figures, notes=notes)


if __name__ == "__main__":
    run_main(main)
