"""What the detectors find of what is wrong in a labelled company life, and what they say that is not wrong.

    ./run python benchmarks/detection.py                      six weeks of four companies
    ./run python benchmarks/detection.py --life DIR           a life that somebody else made (docs/evaluation.md)
    ./run python benchmarks/detection.py --chart docs/images/detection.svg

Needs no broker and no database. Exits with 1 where a target is missed. Which labels were missed and what the false
alarms were: `./run python -m evaluation evaluate --explain TYPE`.
"""

import argparse
from pathlib import Path

from chart import bars
from figures import Figure, report
from rich.console import Console
from session import run_main

from evaluation.__main__ import add_life_options, life_of
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


def main() -> bool:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_life_options(parser)
    parser.add_argument("--life", type=Path, metavar="DIR", help="the directory of a life, instead of making one")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="write the picture there")
    arguments = parser.parse_args()
    judged = _judged(arguments)
    Console(width=130).print(table(judged))
    if arguments.chart is not None:
        arguments.chart.write_text(_chart(judged), encoding="utf-8")
    figures = [figure for line in judged.lines for figure in _figures(line)]
    lag_s = judged.timer_lag_p99_s
    if lag_s is not None:
        figures.append(Figure("absence_delay_p99_s", lag_s, ABSENCE_DELAY_S_MAX))
    figures.append(Figure("findings_while_learning", judged.early, 0))
    return report("detection", figures)


def _judged(arguments: argparse.Namespace) -> Report:
    if arguments.life is not None:
        meta = read_meta(arguments.life)
        return judge(run(read_changes(arguments.life), meta.until_s), read_labels(arguments.life), meta)
    life = life_of(arguments)
    outcome = run(life.changes(), life.meta.until_s)
    return judge(outcome, life.labels, life.meta)


def _figures(line: Line) -> list[Figure]:
    tally, name = line.tally, line.tally.finding_type.lower()
    false_per_site_week = 7 * line.false_per_site_day
    figures = [Figure(f"{name}_labels", tally.labels)]
    if line.learned:
        figures += [
            Figure(f"{name}_recall", tally.recall, LEARNED_RECALL_MIN, lower_is_better=False),
            Figure(f"{name}_precision", tally.precision, lower_is_better=False),
            Figure(f"{name}_false_per_site_week", false_per_site_week, LEARNED_FALSE_PER_SITE_WEEK_MAX),
        ]
    else:
        figures += [
            Figure(f"{name}_recall", tally.recall, RULE_RECALL_MIN, lower_is_better=False),
            Figure(f"{name}_precision", tally.precision, RULE_PRECISION_MIN, lower_is_better=False),
            Figure(f"{name}_false_per_site_day", line.false_per_site_day),
        ]
    if line.delay_p99_s is not None:
        figures.append(Figure(f"{name}_delay_p99_s", line.delay_p99_s, ABSENCE_DELAY_S_MAX))
    return figures


def _chart(judged: Report) -> str:
    lines = [line for line in judged.lines if line.tally.labels]
    panels = (
        ("recall, %", [100 * line.tally.recall for line in lines]),
        ("precision, %", [100 * line.tally.precision for line in lines]),
    )
    labels = [line.tally.finding_type.removeprefix("ANOMALY_").replace("_", " ").lower() for line in lines]
    title = f"What the detectors find in {judged.outcome.rows:,} row changes of a labelled company life"
    return bars(title, labels, panels, [True] * len(lines), lambda value: f"{value:.1f}")


if __name__ == "__main__":
    run_main(main)
