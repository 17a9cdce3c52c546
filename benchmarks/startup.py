"""How long the stack takes until `ready:`, cold and warm, and what it uses when idle.

    ./run python benchmarks/startup.py            warm starts and the footprint
    ./run python benchmarks/startup.py --cold     also a fresh clone with empty caches, downloads included

Cold: a clone of this repository, a new virtual environment, empty package and jar caches. Warm: a later start
with an existing state directory. The footprint is measured on the last warm start, after a pause.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import Figure, median, report
from processes import cpu_share, memory_mib, process_tree
from stack import start, stop

ROOT = Path(__file__).parent.parent
IDLE_S = 30.0
SETTLE_S = 20.0


def cold_start(scratch: Path) -> float:
    """The seconds from the first command in a new clone to `ready:`."""
    clone = scratch / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    environ = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "WATCHFLOOR_VENV")}
    environ |= {
        "UV_CACHE_DIR": str(scratch / "uv"),
        "PIP_NO_CACHE_DIR": "1",
        "WATCHFLOOR_CACHE_DIR": str(scratch / "cache"),
    }
    stack, process = start([str(clone / "run"), "up", "--state-dir", str(scratch / "cold")], scratch / "cold", environ)
    stop(process)
    return stack.seconds_to_ready


def warm_starts(scratch: Path, count: int) -> tuple[list[float], dict[str, float], dict[str, float]]:
    """The seconds of each warm start; for the last one, each component's memory (MiB) and idle share of a core."""
    state_dir = scratch / "warm"
    command = [sys.executable, "-m", "watchfloor", "up", "--state-dir", str(state_dir)]
    stack, process = start(command, state_dir)
    stop(process)
    seconds: list[float] = []
    memory: dict[str, float] = {}
    idle: dict[str, float] = {}
    for index in range(count):
        stack, process = start(command, state_dir)
        seconds.append(stack.seconds_to_ready)
        if index == count - 1:
            time.sleep(SETTLE_S)
            tree = process_tree(stack.endpoints["pids"] | {"launcher": process.pid})
            tree["launcher"] = tree["launcher"][:1]
            idle = cpu_share(tree, IDLE_S)
            memory = {name: memory_mib(processes) for name, processes in tree.items()}
        stop(process)
    return seconds, memory, idle


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", action="store_true", help="also measure a cold start, with downloads")
    parser.add_argument("--warm", type=int, default=3, help="number of warm starts, of which the median is taken")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="watchfloor-startup-"))
    try:
        figures = [Figure("cold_ready_s", cold_start(scratch), 120.0)] if arguments.cold else []
        seconds, memory, idle = warm_starts(scratch, arguments.warm)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    figures += [
        Figure("warm_ready_median_s", median(seconds), 15.0),
        Figure("memory_mib", sum(memory.values()), 2_560.0),
        Figure("idle_core_share", sum(idle.values()), 0.20),
        *(Figure(f"memory_{name}_mib", value) for name, value in memory.items()),
        *(Figure(f"idle_{name}_core_share", value) for name, value in idle.items()),
    ]
    raise SystemExit(0 if report("startup", figures) else 1)


if __name__ == "__main__":
    main()
