"""CPU and memory of the processes of a running stack."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
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


def summed(processes: Iterable[psutil.Process], value: Callable[[psutil.Process], float]) -> float:
    """The sum of a value over the processes that have not ended."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += value(process)
    return total


def memory_mib(processes: Iterable[psutil.Process]) -> float:
    """The proportional set size in MiB, in which memory that processes share counts once."""
    return summed(processes, lambda process: process.memory_full_info().pss) / 2**20


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """User and system time so far."""
    return summed(processes, lambda process: sum(process.cpu_times()[:2]))


def cpu_share(tree: Mapping[str, list[psutil.Process]], seconds: float) -> dict[str, float]:
    """The share of one core that each component uses during some time."""
    before = {name: cpu_seconds(processes) for name, processes in tree.items()}
    time.sleep(seconds)
    return {name: (cpu_seconds(processes) - before[name]) / seconds for name, processes in tree.items()}
