"""What the evaluation says: per finding type the labels, what was found of them, and the false alarms."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.table import Table

from contracts.findings import FindingType
from evaluation.fold import Found, Outcome
from evaluation.matching import Tally, match
from simulation.records import Label, Meta

DAY_S = 86_400.0
RULE_RECALL_MIN = RULE_PRECISION_MIN = 0.95
LEARNED_RECALL_MIN = 0.85
LEARNED_FALSE_PER_SITE_WEEK_MAX = 1.0
ABSENCE_DELAY_S_MAX = 2.0
_VOLUME = "ANOMALY_"
"""What the finding types of learned volumes begin with (`contracts.findings`)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One finding type's figures."""

    tally: Tally
    learned: bool
    sites: int
    days: float
    """For which it was judged."""

    @property
    def false_per_site_day(self) -> float:
        """False alarms."""
        return len(self.tally.false) / (self.sites * self.days)

    @property
    def delay_p99_s(self) -> float | None:
        """Of those findings whose moment is known; None where there are none."""
        return _percentile(self.tally.delays_s, 0.99)

    @property
    def delay_p50_s(self) -> float | None:
        """As above."""
        return _percentile(self.tally.delays_s, 0.5)

    @property
    def met(self) -> bool:
        """Whether it holds its targets; a learned one may alert falsely once a site and week."""
        if self.learned:
            quiet = 7 * self.false_per_site_day <= LEARNED_FALSE_PER_SITE_WEEK_MAX
            return self.tally.recall >= LEARNED_RECALL_MIN and quiet
        precise = self.tally.recall >= RULE_RECALL_MIN and self.tally.precision >= RULE_PRECISION_MIN
        return precise and (self.delay_p99_s or 0.0) <= ABSENCE_DELAY_S_MAX


@dataclass(frozen=True, slots=True)
class Report:
    """The whole table."""

    lines: Sequence[Line]
    outcome: Outcome
    early: int
    """Findings of hourly baselines from before the time from which they are judged: there should be none. (A baseline
    that learns by the number of rows may have learned enough of a frequent kind by then.)"""

    @property
    def met(self) -> bool:
        """Whether every line holds its targets."""
        return all(line.met for line in self.lines)

    @property
    def unlabelled(self) -> list[str]:
        """Finding types of which the scenario has nothing, and of which nothing was found."""
        return sorted(set(FindingType) - {line.tally.finding_type for line in self.lines})

    @property
    def timer_lag_p99_s(self) -> float | None:
        """From when a timer was due until its finding was reported, over all that timers found."""
        return _percentile([each.reported_s - each.at_s for each in self.outcome.found if each.timed], 0.99)


def judge(outcome: Outcome, labels: Iterable[Label], meta: Meta) -> Report:
    """Hold what was found against what is wrong.

    Learned types are those that the scenario names, and those of volumes.
    """
    labels = list(labels)
    by_rule, by_learning = match(outcome, labels), match(outcome, labels, from_s=meta.judged_from_s)
    lines = []
    for kind in sorted({*by_rule, *by_learning}):
        learned = kind in meta.learned or kind.startswith(_VOLUME)
        tally = (by_learning if learned else by_rule).get(kind)
        if tally is not None:
            from_s = meta.judged_from_s if learned else meta.from_s
            lines.append(Line(tally, learned, meta.sites, (meta.until_s - from_s) / DAY_S))
    early = sum(
        each.finding.finding_type.startswith(_VOLUME) and each.at_s < meta.judged_from_s for each in outcome.found
    )
    return Report(lines, outcome, early)


def table(report: Report) -> Table:
    """For people."""
    made = Table(title=f"{report.outcome.rows:,} row changes")
    made.add_column("finding type", no_wrap=True)
    for column in ("labels", "found", "recall", "precision", "false", "a site and day", "delay p50/p99 s"):
        made.add_column(column, justify="right", no_wrap=True)
    made.add_column("met")
    for line in report.lines:
        tally = line.tally
        p50, p99 = line.delay_p50_s, line.delay_p99_s
        made.add_row(
            tally.finding_type,
            f"{tally.labels}",
            f"{len(tally.hits)}",
            f"{tally.recall:.3f}",
            f"{tally.precision:.3f}",
            f"{len(tally.false)}",
            f"{line.false_per_site_day:.4f}",
            "" if p50 is None else f"{p50:.1f} / {p99:.1f}",
            "[green]yes[/green]" if line.met else "[red]no[/red]",
        )
    return made


def explained(report: Report, finding_type: str) -> Iterator[str]:
    """Every miss and every false alarm of a type, a line each, in the order of the times."""
    for line in report.lines:
        if line.tally.finding_type != finding_type:
            continue
        lines = [(label.at_s, _missed(label)) for label in line.tally.misses]
        lines += [(found.at_s, _false(found)) for found in line.tally.false]
        for _, text in sorted(lines):
            yield text


def _missed(label: Label) -> str:
    return f"missed {label.finding_type} at {_at(label.at_s)} tenant {label.tenant_id} {label.entities}: {label.note}"


def _false(found: Found) -> str:
    return (
        f"false  {found.finding.finding_type} at {_at(found.at_s)} tenant {found.tenant_id} "
        f"{sorted(found.entities)}: {found.finding.evidence}"
    )


def _at(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest rank."""
    return sorted(values)[min(len(values) - 1, math.floor(share * len(values)))] if values else None
