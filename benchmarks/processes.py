"""CPU and memory of the processes of a running stack."""

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

import psutil


def process_tree(pids: Mapping[str, Any]) -> dict[str, list[psutil.Process]]:
    """The processes of each component, children included.

    Args:
        pids: the `pids` of endpoints.json: a number or a list of numbers for each component.
    """
    tree: dict[str, list[psutil.Process]] = {}
    for component, numbers in pids.items():
        roots = [psutil.Process(number) for number in (numbers if isinstance(numbers, list) else [numbers])]
        tree[component] = [each for root in roots for each in (root, *root.children(recursive=True))]
    return tree


def memory_mib(processes: Iterable[psutil.Process]) -> float:
    """The proportional set size in MiB, in which memory that processes share counts once."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 2**20


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """User and system time so far."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def cpu_share(tree: Mapping[str, list[psutil.Process]], seconds: float) -> dict[str, float]:
    """The share of one core that each component uses during some time."""
    before = {name: cpu_seconds(processes) for name, processes in tree.items()}
    time.sleep(seconds)
    return {name: (cpu_seconds(processes) - before[name]) / seconds for name, processes in tree.items()}
