"""The engine alone: events per second, CPU, memory, latency at steady rates, restarts after kill -9.

    ./run python benchmarks/throughput.py                      400,000 events, latencies and idle share
    ./run python benchmarks/throughput.py --no-paced --rounds 5
    ./run python benchmarks/throughput.py --long               10 million events: whether memory stays flat
    ./run python benchmarks/throughput.py --entities 100000    a large state: memory, kill -9, recovery

The work is that of benchmarks/peers.py, which compares other engines. Starts its own Kafka broker on loopback
and stops it; --long needs 8 GB for temporary files. Exits with 1 if a target is missed, or if a count or a
finding is wrong.
"""

import argparse
from pathlib import Path

from engines import WATCHFLOOR
from figures import Figure, report
from measure import Throughput, measure_throughput
from paced import measure_paced
from restart import measure_restarts
from session import Session, open_session, run_main, say
from targets import (
    LONG_EVENTS,
    SHORT_EVENTS,
    memory_figures,
    paced_figures,
    restart_figures,
    throughput_figures,
)

EVENTS_PER_ENTITY = 8
"""Enough events that nearly every entity has state when the engine is killed."""


def arguments_from_command_line() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help=f"{LONG_EVENTS:,} events instead of {SHORT_EVENTS:,}")
    parser.add_argument("--entities", type=int, metavar="N", help="only restarts, with N persons in the state")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are taken (default 3)")
    parser.add_argument("--no-paced", dest="paced", action="store_false", help="leave out latencies at steady rates")
    parser.add_argument("--paced-seconds", type=float, default=20.0, help="how long each rate is measured")
    parser.add_argument("--idle-seconds", type=float, default=10.0, help="how long the idle share is measured")
    parser.add_argument("--scratch", type=Path, help="directory for temporary files")
    return parser.parse_args()


def throughput(session: Session, events: int, rounds: int) -> list[Throughput]:
    """Run the engine `rounds` times over the same input."""
    expected = session.fill(events)
    runs: list[Throughput] = []
    for number in range(1, rounds + 1):
        runs.append(measure_throughput(WATCHFLOOR, session, expected))
        say(f"round {number}: {runs[-1].events_per_s:,.0f} events/s, {runs[-1].cpu_s_per_100k:.2f} CPU s per 100k")
    return runs


def paced(session: Session, seconds: float, idle_s: float) -> list[Figure]:
    """Measure the latency once at each rate."""
    measured = [
        measure_paced(WATCHFLOOR, session, rate=rate, seconds=seconds, idle_s=idle_s) for rate in WATCHFLOOR.rates
    ]
    return paced_figures(WATCHFLOOR.name, measured, targets=True)


def main() -> bool:
    """Run the benchmark and print its figures."""
    arguments = arguments_from_command_line()
    with open_session(arguments.scratch) as session:
        if arguments.entities:
            expected = session.fill(arguments.entities * EVENTS_PER_ENTITY, arguments.entities)
            restarts = measure_restarts(session, expected, arguments.rounds)
            figures = restart_figures(restarts, expected.persons)
        else:
            events = LONG_EVENTS if arguments.long else SHORT_EVENTS
            runs = throughput(session, events, arguments.rounds)
            figures = throughput_figures(WATCHFLOOR.name, runs, targets=not arguments.long)
            figures += memory_figures(WATCHFLOOR.name, runs)
            if arguments.paced and not arguments.long:
                figures += paced(session, arguments.paced_seconds, arguments.idle_seconds)
    return report("throughput", figures, notes=session.notes)


if __name__ == "__main__":
    run_main(main)
