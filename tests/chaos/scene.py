"""One run: a cluster's topics under a prefix of their own, a company's load, workers, and the final check.

Owns the order of things at the end: everything processed, workers stopped, logs verified. A failure keeps all
that it takes to understand it in one directory, see `keep`.
"""

import json
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Self

import pytest
from chaos.cluster import Cluster
from chaos.inspection import inspect
from chaos.load import Load
from chaos.logs import Logs
from chaos.random_company import TABLES, Company
from chaos.topic_reader import Reader
from chaos.verifier import Verdict
from chaos.workers import Supervisor, Worker
from support.waiting import let_pass, until

FULL = os.environ.get("CHAOS") == "full"
SESSION_S = 2.0
UNSHAKEN_SESSION_S = 4.0
"""Of several workers whose topics must hold no repeat, see `Scene.begin`."""
SETTLE_S_MAX = 240.0
_LOG_LINES = 30


long_form = pytest.mark.skipif(not FULL, reason="only with CHAOS=full")
"""A scenario that adds to the proof but not to what the short form can find: others there do the same and more."""


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
        isolation = "read_committed" if guarantee == "transactions" else "read_uncommitted"
        self.reader = Reader(cluster.address, isolation)
        self.name = name
        self.seed = seed
        self.random = random.Random(seed)
        self.workers: list[Worker] = []
        self.supervisor = Supervisor()
        self.notes: list[str] = []
        self.acts: Counter[str] = Counter()
        """What was done to the chain, by kind."""
        self.load = Load(cluster.address, name, Company(seed, int(chosen("TENANTS", 30, 40))), seed)
        self._taken: set[int] = set()
        self.measures: dict[str, list[float]] = {}
        """What was measured, by name with its unit."""
        self._kept: Path | None = None
        self._started_s = time.monotonic()
        self._journal_read: dict[int, int] = {}
        self._journalled: dict[tuple[str, int], int] = {}
        self._config = directory / "watchfloor.toml"
        self._guarantee = guarantee
        self.worker_settings: list[str] = []
        """More lines of the section `worker`, as they stand in the configuration file."""
        self.session_s = SESSION_S

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

    def begin(self, workers: int, rate: float, *, session_s: float = SESSION_S) -> list[Worker]:
        """Start workers on a founded company and let the load run.

        Args:
            workers: how many.
            rate: row changes a second.
            session_s: of the workers in the group. Where several may not leave a repeat in the topics, it must be
                longer than a busy machine can hold one of them up: that would be a pause.
        """
        self.session_s = session_s
        self._config.write_text(
            f'[kafka]\nbootstrap_servers = "{self.cluster.address}"\ntopic_prefix = "{self.name}"\n'
            f'[worker]\nguarantee = "{self._guarantee}"\n'
            f"group.session_timeout_ms = {session_s * 1e3:.0f}\ngroup.heartbeat_interval_ms = 400\n"
            + "".join(f"{line}\n" for line in self.worker_settings),
            "utf-8",
        )
        made = [self.worker() for _ in range(workers)]
        for each in made:
            each.start()
            each.wait_ready()  # one after the other: the first one makes the topics
        self.load.found()
        self.load.start(rate)
        return made

    def note(self, text: str, act: str | None = None) -> None:
        """Remember what was done when, for the report of a failure; an act is counted by its kind."""
        self.notes.append(f"{time.monotonic() - self._started_s:7.2f} s  {text}")
        if act is not None:
            self.acts[act] += 1

    def let_pass(self, least_s: float, most_s: float) -> None:
        """Go on at a random moment."""
        let_pass(self.random.uniform(least_s, most_s))

    def conclude(self, *, raw: bool) -> Verdict:
        """Finish and verify.

        Args:
            raw: the topics themselves must hold no repeat; see `verify`.

        Raises:
            AssertionError: with the first violations.
        """
        self.finish()
        partitions = len(self.reader.ends(f"{self.name}.journal"))
        verdict = inspect(self.reader, self.name, partitions, raw=raw, keep=self.kept)
        done = " ".join(f"{name}={count}" for name, count in sorted(self.acts.items()))
        print(f"{self.name}: seed {self.seed}: {done} {verdict.summary} verifier_mb={verdict.peak_mb:.0f}", flush=True)
        self._record(verdict)
        assert not verdict.violations, "\n".join(
            [f"{len(verdict.violations)} violations", *verdict.violations[:12], verdict.summary]
        )
        assert verdict.counts["events"] == self.load.sent, "not every record that was sent is in the topics"
        return verdict

    def finish(self) -> None:
        """End the load, have it all processed, restart once, say something to every tenant, and stop.

        The restart and the last rows make the recovered state show: in the numbers, in the findings that
        shifts decide, in the names that messages carry.
        """
        self.load.stop()
        self.note("load ended")
        self._revive_all()
        self.settle()
        self.note("everything is processed")
        self.stop_workers()
        self.note("workers stopped")
        self.workers[0].start()
        self.workers[0].wait_ready()
        self.note("restarted")
        self.load.burst(20)
        self.settle()
        self.stop_workers()
        self.note("stopped again")

    def keep(self) -> str:
        """Put what is needed to understand a failure into one directory; returns the report.

        Called while the run still stands: the topics that a violation has not left there are read now.
        """
        self.load.abandon()
        for worker in self.workers:
            worker.kill()
        self.kept.mkdir(parents=True, exist_ok=True)
        report = self._report()
        (self.kept / "report.txt").write_text(report, "utf-8")
        for file in (self._config, self.cluster.log, *(worker.log for worker in self.workers)):
            if file.exists():
                shutil.copy(file, self.kept)
        if not list(self.kept.glob("*.jsonl")) and self.cluster.running:
            for partition in self.reader.ends(f"{self.name}.journal"):
                Logs.read(self.reader, self.name, partition).dump(self.kept)
        return report

    @property
    def kept(self) -> Path:
        """The directory of a failure; not there before it."""
        if self._kept is None:
            place = Path(os.environ.get("CHAOS_KEEP") or tempfile.gettempdir())
            self._kept = place / f"watchfloor-chaos-{self.name}"
        return self._kept

    def stop_workers(self) -> None:
        """SIGTERM to all that run, at once."""
        for worker in self.workers:
            worker.ask_to_stop()
        for worker in self.workers:
            worker.stop()

    def settle(self) -> None:
        """Wait until the journal covers every source record."""
        ends = self.reader.ends_of([f"{self.name}.public.{table}" for table in TABLES])

        def done() -> bool:
            self._follow_journal()
            return all(self._journalled.get(place, 0) >= end for place, end in ends.items())

        until(done, "everything is processed", within_s=SETTLE_S_MAX)

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

    def _record(self, verdict: Verdict) -> None:
        """Add a line to the file that `full.py` makes its table from."""
        if results := os.environ.get("CHAOS_RESULTS"):
            line = {
                "run": self.name,
                "seed": self.seed,
                "seconds": round(time.monotonic() - self._started_s),
                "acts": self.acts,
                "counts": verdict.counts,
                "measures": self.measures,
                "violations": len(verdict.violations),
                "verifier_mb": round(verdict.peak_mb),
                "story": self.notes,
            }
            with Path(results).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def _report(self) -> str:
        parts = [
            f"{self.name}: repeat with CHAOS_SEED={self.seed}; logs and topics are in {self.kept}",
            *self.notes,
        ]
        for worker in self.workers:
            parts += [
                f"== {worker.name}: {worker.lives} lives, ended by itself {worker.exits}",
                *worker.tail(_LOG_LINES),
            ]
        return "\n".join([*parts, "== broker", *self.cluster.tail(_LOG_LINES)])
