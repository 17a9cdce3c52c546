"""What the detectors find of what is wrong in a labelled scenario, and what they say that is not wrong.

    ./run python benchmarks/detection.py                      six weeks of four companies
    ./run python benchmarks/detection.py --scenario DIR       one that somebody else made (docs/evaluation.md)
    ./run python benchmarks/detection.py --publish            and put table and picture into docs/evaluation.md

Needs no broker and no database. Exits with 1 where a target is missed. Which labels were missed and what the false
alarms were: `./run python -m evaluation evaluate --explain TYPE`.
"""

import argparse
from pathlib import Path

from chart import bars
from figures import Figure, markdown_table, report
from publish import ROOT, publish_section
from rich.console import Console
from session import run_main

from common.logs import configure_logs
from evaluation.__main__ import add_scenario_options, scenario_of
from evaluation.files import read_changes, read_labels, read_meta
from evaluation.fold import run
from evaluation.report import (
    ABSENCE_DELAY_S_MAX,
    LEARNED_FALSE_PER_SITE_WEEK_MAX,
    LEARNED_RECALL_MIN,
    RULE_PRECISION_MIN,
    RULE_RECALL_MIN,
    Line,
    Report,
    judge,
    table,
)

PAGE = ROOT / "docs" / "evaluation.md"
COMMAND = "./run python benchmarks/detection.py"


def main() -> bool:
    """Run the benchmark and print its figures."""
    configure_logs("error", process="evaluation")  # dead letters of planted wrong rows are in the figures
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_scenario_options(parser)
    parser.add_argument(
        "--scenario", "--life", type=Path, metavar="DIR", help="the directory of a scenario, instead of making one"
    )
    parser.add_argument("--publish", action="store_true", help="write the table and the picture to docs/evaluation.md")
    arguments = parser.parse_args()
    judged = _judged(arguments)
    Console(width=130).print(table(judged))
    if arguments.publish:
        publish_section("detection", _title(judged), _chart(judged), [_markdown(judged)], PAGE)
    figures = [figure for line in judged.lines for figure in _figures(line)]
    lag_s = judged.timer_lag_p99_s
    if lag_s is not None:
        figures.append(Figure("absence_delay_p99_s", lag_s, ABSENCE_DELAY_S_MAX))
    figures.append(Figure("hourly_findings_while_learning", judged.early, 0))
    return report("detection", figures)


def _judged(arguments: argparse.Namespace) -> Report:
    if arguments.scenario is not None:
        meta = read_meta(arguments.scenario)
        return judge(run(read_changes(arguments.scenario), meta.until_s), read_labels(arguments.scenario), meta)
    scenario = scenario_of(arguments)
    outcome = run(scenario.changes(), scenario.meta.until_s)
    return judge(outcome, scenario.labels, scenario.meta)


def _figures(line: Line) -> list[Figure]:
    tally, name = line.tally, line.tally.finding_type.lower()
    false_per_site_week = 7 * line.false_per_site_day
    recall_min, precision_min = (LEARNED_RECALL_MIN, None) if line.learned else (RULE_RECALL_MIN, RULE_PRECISION_MIN)
    figures = [
        Figure(f"{name}_labels", tally.labels),
        Figure(f"{name}_recall", tally.recall, recall_min, lower_is_better=False),
        Figure(f"{name}_precision", tally.precision, precision_min, lower_is_better=False),
        Figure(f"{name}_false_per_site_week", false_per_site_week, LEARNED_FALSE_PER_SITE_WEEK_MAX)
        if line.learned
        else Figure(f"{name}_false_per_site_day", line.false_per_site_day),
    ]
    if line.delay_p99_s is not None:
        figures.append(Figure(f"{name}_delay_p99_s", line.delay_p99_s, ABSENCE_DELAY_S_MAX))
    return figures


def _title(judged: Report) -> str:
    return f"What the detectors find in {judged.outcome.rows:,} row changes of a labelled scenario"


def _markdown(judged: Report) -> str:
    columns = ("finding type", "labels", "recall", "precision", "false alarms", "a site and week", "delay p50 / p99, s")
    rows = []
    for line in judged.lines:
        tally, p50 = line.tally, line.delay_p50_s
        delay = "" if p50 is None else f"{p50:.1f} / {line.delay_p99_s:.1f}"
        row = (tally.finding_type, tally.labels, f"{tally.recall:.3f}", f"{tally.precision:.3f}", len(tally.false))
        rows.append((*row, f"{7 * line.false_per_site_day:.2f}", delay))
    lines = markdown_table(columns, rows)
    lag_s = judged.timer_lag_p99_s
    lines.append("")
    lines.append(f"`{COMMAND}`. Findings of hourly baselines while they learn: {judged.early}.")
    if lag_s is not None:
        lines.append(
            f"What timers found was reported {lag_s:.1f} s after its time, p99; ticks come once a second here."
        )
    return "\n".join(lines)


def _chart(judged: Report) -> str:
    lines = [line for line in judged.lines if line.tally.labels]
    panels = (
        ("recall, %", [100 * line.tally.recall for line in lines]),
        ("precision, %", [100 * line.tally.precision for line in lines]),
    )
    labels = [line.tally.finding_type.removeprefix("ANOMALY_").replace("_", " ").lower() for line in lines]
    return bars(_title(judged), labels, panels, [True] * len(lines), lambda value: f"{value:.1f}")


if __name__ == "__main__":
    run_main(main)
