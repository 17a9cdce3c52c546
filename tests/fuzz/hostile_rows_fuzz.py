"""Hostile rows and policies of one tenant through the worker's fold; the tenant beside it must get the same bytes.

    ./run python tests/fuzz/hostile_rows_fuzz.py                     # 100,000 rows: some minutes
    ./run python tests/fuzz/hostile_rows_fuzz.py --rows 5000 --seed 3

Ends with 1 if the other tenant noticed; an exception that leaves the fold would have stopped the worker.
"""

# ruff: noqa: E402 - a command, which has to find the tests' folder first
import argparse
import resource
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from support.hostile_rows import HOSTILE, ORDINARY, run


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    beside = run(arguments.seed, arguments.rows, hostile=True)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    same = beside.feed[ORDINARY] == run(arguments.seed, arguments.rows, hostile=False).feed[ORDINARY]
    print(
        f"{arguments.rows} rows; the hostile tenant: {len(beside.feed.get(HOSTILE, []))} messages, "
        f"{beside.dead_letters.get(HOSTILE, 0)} dead letters; the slowest micro-batch took {beside.slowest_s:.3f} s; "
        f"peak {peak_mib} MiB; the other tenant has {'the same' if same else 'OTHER'} messages"
    )
    sys.exit(not same)


if __name__ == "__main__":
    main()
