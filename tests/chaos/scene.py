"""One run: a cluster's topics under a prefix of their own, a company's load, workers, and the final check.

Owns the order of things at the end: everything processed, workers stopped, logs read, verified; on failure
the dump and the words that make it repeatable.
"""

import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from chaos.cluster import Cluster
from chaos.company import TABLES, Company
from chaos.load import Load
from chaos.topic_reader import Reader
from chaos.verifier import Logs, Verdict, verify
from chaos.workers import Supervisor, Worker

FULL = os.environ.get("CHAOS") == "full"
SETTLE_S_MAX = 180.0
_POLL_S = 0.3


def chosen(name: str, short: float, full: float) -> float:
    """A parameter: `CHAOS_<NAME>` from the environment, or its value in the short or the full form."""
    return float(os.environ.get(f"CHAOS_{name}") or (full if FULL else short))


class Scene:
    """A run against a cluster; a context manager that leaves nothing running.

    Args:
        cluster: where.
        name: prefix of the topics; one run each.
        directory: for configuration and logs of the workers.
        seed: of the company, the load and the scene's own draws.
        guarantee: of the workers; with `transactions` everything is read committed.
    """

    def __init__(self, cluster: Cluster, name: str, directory: Path, seed: int, *, guarantee: str = "journal") -> None:
        self.cluster = cluster
        self.reader = Reader(cluster.address, committed=guarantee == "transactions")
        self.name = name
        self.seed = seed
        self.random = random.Random(seed)
        self.workers: list[Worker] = []
        self.supervisor = Supervisor()
        self.notes: list[str] = []
        self.load = Load(cluster.address, name, Company(seed, int(chosen("TENANTS", 30, 40))), seed)
        self._taken: set[int] = set()
        self._directory = directory
        self._started_s = time.monotonic()
        self._journal_read: dict[int, int] = {}
        self._journalled: dict[tuple[str, int], int] = {}
        self._config = directory / "watchfloor.toml"
        self._config.write_text(
            f'[kafka]\nbootstrap_servers = "{cluster.address}"\ntopic_prefix = "{name}"\n'
            f'[worker]\nguarantee = "{guarantee}"\nsession_timeout_ms = 2000\nheartbeat_interval_ms = 400\n',
            "utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.load.abandon()
        for worker in self.workers:
            worker.kill()

    def worker(self) -> Worker:
        """Another worker, not started."""
        made = Worker(f"{self.name}-{len(self.workers)}", self._config, self._taken)
        self.workers.append(made)
        self.supervisor.workers.append(made)
        return made

    def begin(self, workers: int, rate: float) -> list[Worker]:
        """Start workers on a founded company and let the load run."""
        made = [self.worker() for _ in range(workers)]
        for each in made:
            each.start()
            each.wait_ready()  # one after the other: the first one makes the topics
        self.load.found()
        self.load.start(rate)
        return made

    def note(self, text: str) -> None:
        """Remember what was done when, for the report of a failure."""
        self.notes.append(f"{time.monotonic() - self._started_s:7.2f} s  {text}")

    def sleep(self, least_s: float, most_s: float) -> None:
        """Let a random time pass."""
        time.sleep(self.random.uniform(least_s, most_s))

    def conclude(self, *, raw: bool) -> Verdict:
        """Finish and verify.

        Args:
            raw: the topics themselves must hold no repeat; see `verify`.

        Raises:
            AssertionError: with the first violations, the seed and the place of the dump.
        """
        logs = self.finish()
        verdict = verify(logs, raw=raw)
        print(f"{self.name}: seed {self.seed}: {verdict.summary}", flush=True)
        if verdict.violations:
            raise AssertionError(self._report(logs, verdict))
        assert verdict.counts["events"] == self.load.sent, "not every record that was sent is in the topics"
        return verdict

    def finish(self) -> Logs:
        """End the load, have it all processed, restart once, say something to every tenant, stop and read.

        The restart and the last rows make the recovered state show: in the numbers, in the findings that
        shifts decide, in the names that messages carry.
        """
        self.load.stop()
        self._revive_all()
        self.settle()
        self.stop_workers()
        self._revive_all()
        self.load.burst(20)
        self.settle()
        self.stop_workers()
        return Logs.read(self.reader, self.name)

    def stop_workers(self) -> None:
        """SIGTERM to all that run."""
        for worker in self.workers:
            worker.stop()

    def settle(self) -> None:
        """Wait until the journal covers every source record."""
        ends = {
            (f"{self.name}.public.{table}", partition): end
            for table in TABLES
            for partition, end in self.reader.ends(f"{self.name}.public.{table}").items()
        }

        def done() -> bool:
            self._follow_journal()
            return all(self._journalled.get(place, 0) >= end for place, end in ends.items())

        self.wait_for(done, "everything is processed", SETTLE_S_MAX)

    def wait_for(self, check: Callable[[], bool], what: str, seconds: float) -> None:
        """Poll; on failure say what the workers said last."""
        deadline = time.monotonic() + seconds
        while not check():
            if time.monotonic() > deadline:
                said = "\n".join(f"{worker.name}: {worker.last_line()}" for worker in self.workers)
                raise AssertionError(f"seed {self.seed}: not within {seconds:g} s: {what}\n{said}\n{self._story()}")
            time.sleep(_POLL_S)

    def _revive_all(self) -> None:
        """At least one worker runs and all that are there can work."""
        for worker in self.workers:
            worker.resume()
        if not any(worker.running for worker in self.workers):
            self.workers[0].start()
        for worker in self.workers:
            if worker.running:
                worker.wait_ready()

    def _follow_journal(self) -> None:
        for record in self.reader.read(f"{self.name}.journal", self._journal_read):
            self._journal_read[record.partition] = record.offset + 1
            for topic, (_, end) in json.loads(record.value or b"").get("spans", {}).items():
                place = (topic, record.partition)
                self._journalled[place] = max(self._journalled.get(place, 0), end)

    def _story(self) -> str:
        return "\n".join(self.notes)

    def _report(self, logs: Logs, verdict: Verdict) -> str:
        place = dump(logs, self.name)
        lines = "\n".join(verdict.violations[:12])
        return (
            f"{len(verdict.violations)} violations, repeat with CHAOS_SEED={self.seed}; the topics are in {place}\n"
            f"{lines}\n{verdict.summary}\n{self._story()}"
        )


def dump(logs: Logs, name: str) -> Path:
    """Write the topics as JSON lines, each byte a Latin-1 character; `load` reads them again."""
    place = Path(tempfile.mkdtemp(prefix=f"watchfloor-chaos-{name}-"))
    files: dict[str, list[str]] = {}
    for record in logs.all():
        fields = {name: getattr(record, name) for name in ("partition", "offset", "timestamp_ms")}
        fields |= {"key": _text(record.key), "value": _text(record.value)}
        fields["headers"] = {name: _text(value) for name, value in record.headers.items()}
        files.setdefault(record.topic, []).append(json.dumps(fields))
    for topic, lines in files.items():
        (place / f"{topic}.jsonl").write_text("\n".join(lines), "utf-8")
    return place


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
