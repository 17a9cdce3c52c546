"""Runs every chaos scenario in full and prints what was done and what was found.

    ./run python tests/chaos/full.py                      everything, about 45 minutes on two cores
    ./run python tests/chaos/full.py kills broker/2       some scenarios, or one piece of one
    ./run python tests/chaos/full.py --results runs.jsonl keep the results; a second start goes on after the last piece

A scenario is a test of this folder in several pieces, so that a machine can be shared and a failure costs little.
Each piece is a run with a seed and topics of its own. A failure says where its logs and topics are (CHAOS_KEEP, or the
temporary directory) and the command that repeats it; the exit code is 1 then. Progress goes to standard error.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SHORT_PARTS = 3
"""Each has a broker of its own."""
Result = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """A test, and how often it is run with what."""

    name: str
    test: str
    pieces: int
    parameters: dict[str, int]
    """`CHAOS_<NAME>` of each piece."""


SCENARIOS = (
    Scenario("kills", "test_kill.py::test_kills_at_random_points", 4, {"KILLS": 13}),
    Scenario("one-of-two-killed", "test_members.py::test_one_of_two_is_killed", 2, {"KILLS": 13}),
    Scenario("come-and-go", "test_members.py::test_workers_come_and_go", 2, {"CHANGES": 25}),
    Scenario("pauses", "test_pause.py::test_one_of_two_is_paused_past_its_session", 2, {"PAUSES": 13}),
    Scenario(
        "pauses-and-kills", "test_pause.py::test_the_owner_is_killed_when_the_paused_one_wakes_up", 2, {"PAUSES": 13}
    ),
    Scenario("broker", "test_broker.py::test_the_broker_is_killed_under_one_worker", 2, {"BROKER_KILLS": 4}),
    Scenario(
        "broker-two-workers", "test_broker.py::test_the_broker_is_killed_under_two_workers", 2, {"BROKER_KILLS": 4}
    ),
    Scenario("compaction-kills", "test_compaction.py::test_kills_under_compaction", 4, {"KILLS": 13}),
    Scenario("compaction-pauses", "test_compaction.py::test_pauses_under_compaction", 2, {"PAUSES": 13}),
    Scenario("everything", "test_members.py::test_everything_at_once", 2, {"CHANGES": 25}),
    Scenario("transactions-pauses", "test_transactions.py::test_paused_past_its_session_and_killed", 2, {"PAUSES": 13}),
    Scenario("transactions-kills", "test_transactions.py::test_the_worker_and_the_broker_are_killed", 2, {"KILLS": 10}),
    Scenario("transactions-come-and-go", "test_transactions.py::test_workers_come_and_go", 2, {"CHANGES": 25}),
    Scenario("large-snapshots-kills", "test_large_snapshots.py::test_killed_under_compaction", 2, {"KILLS": 13}),
    Scenario("large-snapshots-pauses", "test_large_snapshots.py::test_paused_in_the_middle", 2, {"PAUSES": 13}),
    Scenario(
        "standby",
        "test_standby.py::test_killed_and_paused_owners_are_replaced_from_copies",
        2,
        {"KILLS": 10, "PAUSES": 5},
    ),
    Scenario(
        "gateways", "test_gateways.py::test_every_client_ends_with_exactly_its_part_of_the_log", 1, {"SECONDS": 600}
    ),
    Scenario("restarts", "test_restart_time.py::test_restart_to_first_event", 1, {"RESTARTS": 10}),
)


def pieces() -> Iterator[tuple[str, Scenario]]:
    """Every piece's name, such as `kills/1`."""
    for scenario in SCENARIOS:
        for number in range(1, scenario.pieces + 1):
            yield f"{scenario.name}/{number}", scenario


def run_piece(name: str, scenario: Scenario, seed: int) -> Result:
    """Run one piece; returns its result."""
    say(f"{name} begins")
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="watchfloor-chaos-results-") as scratch:
        file = Path(scratch) / "results.jsonl"
        variables = {f"CHAOS_{key}": str(value) for key, value in scenario.parameters.items()}
        variables |= {"CHAOS": "full", "CHAOS_SEED": str(seed), "CHAOS_RESULTS": str(file)}
        command = [sys.executable, "-m", "pytest", "-q", "-s", "--tb=short", str(FOLDER / scenario.test)]
        ended = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
    result: Result = json.loads(lines[-1]) if lines else {"acts": {}, "counts": {}, "violations": 0}
    result |= {"piece": name, "seed": seed, "passed": ended.returncode == 0}
    result["seconds"] = round(time.monotonic() - started_s)
    if not result["passed"]:
        repeat = " ".join(f"{key}={value}" for key, value in variables.items() if key != "CHAOS_RESULTS")
        say(ended.stdout + ended.stderr, f"repeat: {repeat} ./run pytest tests/chaos/{scenario.test}")
    return result


def run_short_form() -> int:
    """Every test once in its short form, in parts beside each other: most of a run is waiting. Returns the exit code."""
    files = sorted(str(file) for file in FOLDER.glob("test_*.py"))
    parts = [
        subprocess.Popen([sys.executable, "-m", "pytest", "-q", *files[number::SHORT_PARTS]])
        for number in range(SHORT_PARTS)
    ]
    try:
        return max(part.wait() for part in parts)
    except KeyboardInterrupt:  # they got it too, and clean up
        return max(130, *(part.wait() for part in parts))


def table(results: list[Result]) -> str:
    """A line a scenario, and their sum."""
    rows = [HEADER]
    by_scenario: dict[str, list[Result]] = {}
    for result in results:
        by_scenario.setdefault(result["piece"].partition("/")[0], []).append(result)
    rows += [_row(name, runs) for name, runs in by_scenario.items()]
    rows.append(_row("all", results))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


HEADER = (
    "scenario",
    "runs",
    "kill -9",
    "in recovery or rebalance",
    "pauses",
    "starts and stops",
    "broker kills",
    "take-overs",
    "events",
    "feed messages",
    "fenced-off records",
    "violations",
)


def _row(name: str, runs: list[Result]) -> tuple[str, ...]:
    acts, counts = Counter[str](), Counter[str]()
    for run in runs:
        acts.update(run["acts"])
        counts.update(run["counts"])
    during = acts["kills while recovering"] + acts["kills while deciding"]
    messages = sum(counts[kind] for kind in ("anomaly_detected", "ticket_updated", "rate_limited"))
    fenced_off = sum(count for kind, count in counts.items() if kind.startswith("fenced_off"))
    failed = sum(not run["passed"] for run in runs)
    wrong = f"{sum(run['violations'] for run in runs)}" + (f", {failed} runs failed" if failed else "")
    numbers = (
        len(runs),
        acts["kills"] + during,
        during,
        acts["pauses"],
        acts["starts"] + acts["stops"],
        acts["broker kills"],
        counts["takeovers"],
        counts["events"],
        messages,
        fenced_off,
    )
    return (name, *(f"{number:,}" for number in numbers), wrong)


def say(*lines: str) -> None:
    """Progress."""
    sys.stderr.write("\n".join((*lines, "")))  # in one piece: several say something at a time
    sys.stderr.flush()


def arguments_from_command_line() -> argparse.Namespace:
    """Parse them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pieces", nargs="*", help="scenarios or pieces such as kills/2; default: all")
    parser.add_argument("--results", type=Path, help="JSON lines, one a piece; pieces that are in it are not run again")
    parser.add_argument("--seed", type=int, help="of the first piece, the next has the next; default: a fresh one")
    parser.add_argument(
        "--jobs", type=int, default=1, help="pieces at a time, each with a broker of its own (default 1)"
    )
    parser.add_argument("--short", action="store_true", help="the short form instead, as ./run test does it")
    parser.add_argument("--list", action="store_true", help="print the names of the pieces and end")
    parser.add_argument("--table", action="store_true", help="print the table of the results so far and end")
    return parser.parse_args()


def main() -> int:
    """Run what was asked for; returns the exit code."""
    arguments = arguments_from_command_line()
    if arguments.short:
        return run_short_form()
    wanted = arguments.pieces
    chosen = [(name, each) for name, each in pieces() if not wanted or name in wanted or each.name in wanted]
    if unknown := set(wanted) - {name for name, _ in pieces()} - {each.name for each in SCENARIOS}:
        say(f"unknown: {', '.join(sorted(unknown))}; --list shows the names")
        return 2
    if arguments.list:
        print(*(name for name, _ in chosen), sep="\n")
        return 0
    results: list[Result] = []
    if arguments.results and arguments.results.exists():
        results = [json.loads(line) for line in arguments.results.read_text("utf-8").splitlines()]
    known = {result["piece"] for result in results}
    left = [] if arguments.table else [(name, each) for name, each in chosen if name not in known]
    first_seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    with ThreadPoolExecutor(arguments.jobs) as pool:
        running = [
            pool.submit(run_piece, name, scenario, first_seed + number) for number, (name, scenario) in enumerate(left)
        ]
        for number, done in enumerate(as_completed(running), start=1):
            result = done.result()
            results.append(result)
            outcome = "ok" if result["passed"] else "FAILED"
            say(f"[{number}/{len(left)}] {result['piece']}: {outcome}, seed {result['seed']}, {result['seconds']} s")
            if arguments.results:
                with arguments.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
    print(table(results))
    return int(not all(result["passed"] for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
