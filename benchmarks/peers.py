"""The same work on Watchfloor's engine and on other engines: speed, CPU, memory, latency at a steady rate.

    ./run python benchmarks/peers.py                                     everything, 400,000 events, 3 rounds
    ./run python benchmarks/peers.py --engines watchfloor,bare_loop --no-paced --rounds 1
    ./run python benchmarks/peers.py --long                              10 million events, after a JIT has warmed up
    ./run python benchmarks/peers.py --publish                           also write docs/figures.md and its picture

Each engine processes the same Kafka topic, which is filled once, on a broker that this command starts on loopback
and stops again; the order of the engines rotates from round to round. If an engine counts or finds anything else
than the plain fold of the work, the whole comparison fails. Kafka Streams is left out if there is no JDK (javac).
The first run downloads the peers into a separate environment in the cache directory. Takes about 20 minutes,
with --long about 45 and 12 GB of temporary files. Exits with 1 if a target is missed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chart import chart
from comparison import COLUMNS, Measured, comparison_figures, rows, table_for_docs
from engines import ENGINES, WATCHFLOOR, Engine, Tools
from figures import report, terminal_table
from measure import measure_throughput
from paced import measure_paced
from peer_tools import kafka_streams_command, peers_python
from publish import publish_section, write_results
from rich.console import Console
from session import RunFailedError, Session, open_session, run_main, say
from targets import LONG_EVENTS, SHORT_EVENTS

TABLE_WIDTH = 130


def arguments_from_command_line() -> argparse.Namespace:
    """Parse the arguments."""
    names = [engine.name for engine in ENGINES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--engines", type=_engines, metavar="NAMES", default=list(ENGINES), help=f"of {','.join(names)}"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are taken (default 3)")
    parser.add_argument("--events", type=int, help=f"default {SHORT_EVENTS:,}")
    parser.add_argument("--long", action="store_true", help=f"{LONG_EVENTS:,} events, without the slowest engines")
    parser.add_argument("--no-paced", dest="paced", action="store_false", help="leave out latencies at steady rates")
    parser.add_argument("--paced-seconds", type=float, default=20.0, help="how long each rate is measured")
    parser.add_argument("--idle-seconds", type=float, default=10.0, help="how long the idle share is measured")
    parser.add_argument("--publish", action="store_true", help="write docs/figures.md and its picture")
    parser.add_argument("--scratch", type=Path, help="directory for temporary files")
    return parser.parse_args()


def _engines(names: str) -> list[Engine]:
    known = {engine.name: engine for engine in ENGINES}
    unknown = set(names.split(",")) - known.keys()
    if unknown:
        raise argparse.ArgumentTypeError(f"no such engine: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [known[name] for name in names.split(",")]


def prepare(engines: Sequence[Engine], session: Session) -> list[Engine]:
    """Install what the engines need; leave out those that cannot run here, with a note."""
    python = peers_python() if any(engine.needs_python for engine in engines) else None
    java = None
    if any(engine.needs_jdk for engine in engines):
        java = kafka_streams_command(session.broker.class_path, session.directory / "classes")
    if java is None and any(engine.needs_jdk for engine in engines):
        session.notes.append("Kafka Streams was left out: no JDK (javac) on the PATH.")
        say(session.notes[-1])
    session.tools = Tools(python, java)
    return [engine for engine in engines if java or not engine.needs_jdk]


def run_rounds(session: Session, measured: Sequence[Measured], events: int, rounds: int) -> None:
    """Run every engine once in each round; each round begins with another engine."""
    for number in range(rounds):
        shift = number % len(measured)
        for each in [*measured[shift:], *measured[:shift]]:
            expected = session.fill(min(events, each.engine.events_max or events))
            run = measure_throughput(each.engine, session, expected)
            each.runs.append(run)
            say(
                f"round {number + 1} of {rounds}, {each.engine.name}: {run.events_per_s:,.0f} events/s, "
                f"{run.cpu_s_per_100k:.2f} CPU s per 100k, {run.peak_mib:,.0f} MiB"
            )


def run_paced(session: Session, measured: Sequence[Measured], seconds: float, idle_s: float) -> None:
    """Measure the latency of every engine at each of its rates."""
    for each in measured:
        for rate in each.engine.rates:
            result = measure_paced(each.engine, session, rate=rate, seconds=seconds, idle_s=idle_s)
            if result.missing and each.engine is WATCHFLOOR:
                raise RunFailedError(f"at {rate:,} events/s {result.missing} findings did not arrive")
            each.paced.append(result)


def main() -> bool:
    """Run the benchmark and print its figures."""
    arguments = arguments_from_command_line()
    events = arguments.events or (LONG_EVENTS if arguments.long else SHORT_EVENTS)
    engines = [engine for engine in arguments.engines if not (arguments.long and engine.events_max)]
    name = "peers-long" if arguments.long else "peers"
    title = f"{events:,} events, medians of {arguments.rounds} rounds"
    with open_session(arguments.scratch) as session:
        measured = [Measured(engine) for engine in prepare(engines, session)]
        run_rounds(session, measured, events, arguments.rounds)
        if arguments.paced and not arguments.long:
            run_paced(session, measured, arguments.paced_seconds, arguments.idle_seconds)
    say(f"picture: {write_results(name, measured, title)}")
    if arguments.publish:
        paragraphs = [table_for_docs(measured), " ".join(session.notes)]
        publish_section(name, title, chart(measured, title), paragraphs)
    Console(width=TABLE_WIDTH).print(terminal_table(title, COLUMNS, rows(measured), ["engine"]))
    return report(name, comparison_figures(measured, long=arguments.long), notes=session.notes)


if __name__ == "__main__":
    run_main(main)
