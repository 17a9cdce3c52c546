"""The output of every benchmark: a table for people, and one JSON line for programs."""

import json
import statistics
from collections.abc import Iterable, Sequence
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

    @property
    def wanted(self) -> str:
        """The target as text; empty if there is none."""
        return "" if self.target is None else f"{'<=' if self.lower_is_better else '>='} {self.target:g}"


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, with `share` from 0 to 1; NaN if there are no values."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """The median; NaN if there are no values."""
    return statistics.median(values) if values else float("nan")


def terminal_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[str]) -> Table:
    """A table for the terminal, with numbers to the right in all columns but those of `left`."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right")
    for row in rows:
        table.add_row(*row)
    return table


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table for the documentation."""
    return [f"| {' | '.join(map(str, row))} |" for row in (columns, ["---"] * len(columns), *rows)]


def report(benchmark: str, figures: Sequence[Figure], *, notes: Sequence[str] = ()) -> bool:
    """Print the table and, as the last line, the JSON; return whether every target is met."""
    met = {None: "", True: "[green]yes[/green]", False: "[red]no[/red]"}
    rows = [(each.name, f"{each.value:,.4g}", each.wanted, met[each.met]) for each in figures]
    console = Console(width=100)
    console.print(terminal_table(benchmark, ("figure", "value", "target", "met"), rows, ["figure"]))
    for note in notes:
        console.print(note)
    body = {each.name: {"value": each.value, "target": each.target, "met": each.met} for each in figures}
    print(json.dumps({"benchmark": benchmark, "figures": body}), flush=True)
    return all(figure.met is not False for figure in figures)
