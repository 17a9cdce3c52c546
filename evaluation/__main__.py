"""Makes labelled scenarios and judges what the detectors find in them.

    ./run python -m evaluation generate --seed 7 --weeks 6 --out DIR
    ./run python -m evaluation evaluate DIR
    ./run python -m evaluation evaluate --seed 7 --weeks 6 --explain LATE_CHECK_IN

`evaluate` without a directory makes the scenario as it goes. docs/evaluation.md says what the files hold.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from common.logs import configure_logs
from evaluation.files import ScenarioFileError, read_changes, read_labels, read_meta, write_changes, write_labels
from evaluation.fold import run
from evaluation.report import Report, explained, judge, table
from simulation.labelled import Scenario, Span


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; the exit code: 0, 1 where a target is missed, 2 for files that cannot be read."""
    configure_logs("error", process="evaluation")  # dead letters of planted wrong rows are in the figures
    parsed = _parser().parse_args(arguments)
    try:
        return _generate(parsed) if parsed.command == "generate" else _evaluate(parsed)
    except (ScenarioFileError, OSError) as error:
        print(f"evaluation: {error}", file=sys.stderr)
        return 2


def scenario_of(arguments: argparse.Namespace) -> Scenario:
    """The scenario that the command line asks for."""
    span = Span(weeks=arguments.weeks, learning_weeks=arguments.learning_weeks)
    return Scenario(arguments.seed, span, tenants=arguments.tenants, planted=not arguments.clean)


def add_scenario_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which scenario to make."""
    parser.add_argument("--seed", type=int, default=7, help="another seed is another scenario (default 7)")
    parser.add_argument("--weeks", type=int, default=6, help="how long it is (default 6)")
    parser.add_argument("--learning-weeks", type=int, default=2, help="nothing that is learned is planted in these")
    parser.add_argument("--tenants", type=int, default=4, help="how many companies (default 4)")
    parser.add_argument("--clean", action="store_true", help="nothing wrong happens: only false alarms are left")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    generate = commands.add_parser("generate", help="write a scenario to a directory")
    add_scenario_options(generate)
    generate.add_argument("--out", "--write", type=Path, required=True, metavar="DIR")
    evaluate = commands.add_parser("evaluate", help="run a scenario through the detectors and print the table")
    add_scenario_options(evaluate)
    evaluate.add_argument("directory", type=Path, nargs="?", help="of a scenario; without one it is made from the seed")
    evaluate.add_argument("--detectors", nargs="+", metavar="NAME", help="run only these")
    evaluate.add_argument(
        "--explain", action="append", default=[], metavar="TYPE", help="print every miss and false alarm of it"
    )
    return parser


def _generate(arguments: argparse.Namespace) -> int:
    scenario = scenario_of(arguments)
    count = write_changes(arguments.out, scenario.changes())
    labels = scenario.labels
    write_labels(arguments.out, scenario.meta, labels)
    print(f"{count:,} changes and {len(labels):,} labels in {arguments.out}")
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    if arguments.directory is not None:
        meta = read_meta(arguments.directory)
        outcome = run(read_changes(arguments.directory), meta.until_s, arguments.detectors)
        labels = read_labels(arguments.directory)
    else:
        scenario = scenario_of(arguments)
        meta = scenario.meta
        outcome = run(scenario.changes(), meta.until_s, arguments.detectors)
        labels = scenario.labels
    report: Report = judge(outcome, labels, meta)
    console = Console(width=130)
    for finding_type in arguments.explain:
        for line in explained(report, finding_type):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(table(report))
    if report.unlabelled:
        console.print(f"The scenario has none of {', '.join(report.unlabelled)}, and none was found.")
    return 0 if report.met else 1


if __name__ == "__main__":
    raise SystemExit(main())
