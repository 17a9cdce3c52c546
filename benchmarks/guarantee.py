"""The cost of `worker.guarantee: transactions`: the engine with each guarantee, alternating, on the same broker.

    ./run python benchmarks/guarantee.py                       400,000 events, then paced latency
    ./run python benchmarks/guarantee.py --rounds 1 --paced-seconds 10

The work is that of benchmarks/throughput.py. The latency with transactions is that of a reader of committed
records, which sees a finding when its transaction has ended. There are no targets; exits with 1 if a count
or a finding is wrong.
"""

import argparse
from pathlib import Path

from engines import LOW_RATE, TRANSACTIONAL, WATCHFLOOR, Engine
from figures import Figure, report
from measure import Throughput, measure_throughput
from paced import measure_paced
from session import Session, open_session, run_main, say
from targets import SHORT_EVENTS, paced_figures, throughput_figures

GUARANTEES = (WATCHFLOOR, TRANSACTIONAL)


def arguments_from_command_line() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=SHORT_EVENTS, help=f"default {SHORT_EVENTS:,}")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are taken (default 3)")
    parser.add_argument("--paced-seconds", type=float, default=20.0, help="how long each rate is measured; 0: never")
    parser.add_argument("--idle-seconds", type=float, default=5.0, help="how long the idle share is measured")
    parser.add_argument("--rates", type=int, nargs="+", default=[LOW_RATE], help=f"events/s (default {LOW_RATE:,})")
    parser.add_argument("--scratch", type=Path, help="directory for temporary files")
    return parser.parse_args()


def throughput(session: Session, events: int, rounds: int) -> dict[Engine, list[Throughput]]:
    """Run both guarantees alternately, `rounds` times each."""
    expected = session.fill(events)
    runs: dict[Engine, list[Throughput]] = {engine: [] for engine in GUARANTEES}
    for number in range(1, rounds + 1):
        for engine in GUARANTEES if number % 2 else reversed(GUARANTEES):
            run = measure_throughput(engine, session, expected)
            runs[engine].append(run)
            say(f"round {number}, {engine.label}: {run.events_per_s:,.0f} events/s, {run.cpu_s_per_100k:.2f} CPU s")
    return runs


def main() -> bool:
    """Run the benchmark and print its figures."""
    arguments = arguments_from_command_line()
    figures: list[Figure] = []
    with open_session(arguments.scratch) as session:
        if arguments.rounds:
            for engine, runs in throughput(session, arguments.events, arguments.rounds).items():
                figures += throughput_figures(engine.name, runs, targets=False)
        for engine in GUARANTEES if arguments.paced_seconds else ():
            measured = [
                measure_paced(
                    engine, session, rate=rate, seconds=arguments.paced_seconds, idle_s=arguments.idle_seconds
                )
                for rate in arguments.rates
            ]
            figures += paced_figures(engine.name, measured, targets=False)
    return report("guarantee", figures, notes=session.notes)


if __name__ == "__main__":
    run_main(main)
