"""The output of every benchmark: a table for people, and one JSON line for programs."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Args:
        name: in snake case, with the unit last, such as `commit_to_client_p50_ms`.
        value: the measured value.
        target: the required value; None if there is no requirement.
        lower_is_better: whether the value must be below the target.
    """

    name: str
    value: float
    target: float | None = None
    lower_is_better: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.target is None:
            return None
        return self.value <= self.target if self.lower_is_better else self.value >= self.target


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, with `share` from 0 to 1; NaN if there are no values."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """The median; NaN if there are no values."""
    return statistics.median(values) if values else float("nan")


def report(benchmark: str, figures: Sequence[Figure], *, notes: Sequence[str] = ()) -> bool:
    """Print the table and, as the last line, the JSON; return whether every target is met."""
    table = Table(title=benchmark)
    for column in ("figure", "value", "target", "met"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for figure in figures:
        sign = "<=" if figure.lower_is_better else ">="
        target = "" if figure.target is None else f"{sign} {figure.target:g}"
        met = "" if figure.met is None else ("[green]yes[/green]" if figure.met else "[red]no[/red]")
        table.add_row(figure.name, f"{figure.value:,.4g}", target, met)
    console = Console(width=100)
    console.print(table)
    for note in notes:
        console.print(note)
    body = {each.name: {"value": each.value, "target": each.target, "met": each.met} for each in figures}
    print(json.dumps({"benchmark": benchmark, "figures": body}), flush=True)
    return all(figure.met is not False for figure in figures)
