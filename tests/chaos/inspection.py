"""Verifies a whole run: a process of its own for each partition, so that memory is given back.

A full run leaves a gigabyte in the topics; one partition at a time is what a test machine has room for.
"""

import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from chaos.logs import Logs
from chaos.topic_reader import Reader
from chaos.verifier import Verdict, verify

_PROCESSES = 2


def inspect(reader: Reader, prefix: str, partitions: int, *, raw: bool, keep: Path) -> Verdict:
    """Read and verify every partition of a run.

    Args:
        reader: of the broker.
        prefix: of the run's topics.
        partitions: how many.
        raw: the topics themselves must hold no repeat; see `verify`.
        keep: a directory for the records of partitions that are not right.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork would copy librdkafka without its threads
    total = Verdict()
    with ProcessPoolExecutor(_PROCESSES, spawn, max_tasks_per_child=1) as pool:
        jobs = [
            pool.submit(_partition, reader.address, reader.isolation, prefix, number, raw, keep)
            for number in range(partitions)
        ]
        for job in jobs:
            found = job.result()
            total.violations += found.violations
            total.peak_mb = max(total.peak_mb, found.peak_mb)
            total.counts.update(found.counts)
    return total


def _partition(address: str, isolation: str, prefix: str, number: int, raw: bool, keep: Path) -> Verdict:
    """Runs in the process of its own."""
    reader = Reader(address, isolation)
    verdict = verify(Logs.read(reader, prefix, number), raw=raw)
    if verdict.violations:
        keep.mkdir(parents=True, exist_ok=True)
        Logs.read(reader, prefix, number).dump(keep)
    verdict.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return verdict
