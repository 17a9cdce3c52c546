"""Which finding is of which label.

A finding is of a label when type and tenant are the same, one of the label's entities is one that the finding is
about, and the finding's time lies within the label's tolerance. Findings are taken in the order of their times;
each takes the first label that is left. A label takes one finding; another one of the same is a false alarm.
Labels that are not required take any number, and count neither as found nor as missed. A dead letter counts as a
finding of type DATA_QUALITY about its row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from contracts.findings import FindingType
from evaluation.fold import DeadLetter, Found, Outcome
from simulation.records import Label

ROUNDING_S = 0.002
"""Times of labels are rounded to milliseconds."""


@dataclass(slots=True)
class Tally:
    """What came of one finding type."""

    finding_type: str
    hits: list[tuple[Label, Found | None]] = field(default_factory=list)
    """None stands for a dead letter."""
    misses: list[Label] = field(default_factory=list)
    false: list[Found] = field(default_factory=list)

    @property
    def labels(self) -> int:
        """How many findings there should be."""
        return len(self.hits) + len(self.misses)

    @property
    def recall(self) -> float:
        """Share of the labels that were found; 1 where there are none."""
        return len(self.hits) / self.labels if self.labels else 1.0

    @property
    def precision(self) -> float:
        """Share of the findings that are right; 1 where there are none."""
        found = len(self.hits) + len(self.false)
        return len(self.hits) / found if found else 1.0

    @property
    def delays_s(self) -> list[float]:
        """From the moment that a finding was due until it was reported, of the labels that know that moment."""
        return [
            max(0.0, found.reported_s - label.at_s) for label, found in self.hits if found is not None and label.exact
        ]


def match(outcome: Outcome, labels: Iterable[Label], *, from_s: float = 0.0) -> dict[str, Tally]:
    """A tally for every finding type that a label or a finding from then on has; what was before is left out."""
    tallies: dict[str, Tally] = {}
    index: dict[tuple[str, int, str], list[Label]] = {}
    wanted: dict[int, Label] = {}
    for label in sorted(labels, key=lambda each: each.at_s):
        if label.at_s < from_s:
            continue
        if label.required:
            tallies.setdefault(label.finding_type, Tally(label.finding_type))
            wanted[id(label)] = label
        for entity in label.entities:
            index.setdefault((label.finding_type, label.tenant_id, entity), []).append(label)
    for found in sorted(outcome.found, key=lambda each: each.at_s):
        if found.at_s < from_s:
            continue
        kind = found.finding.finding_type
        tally = tallies.setdefault(kind, Tally(kind))
        near = [
            label
            for entity in sorted(found.entities)
            for label in index.get((kind, found.tenant_id, entity), ())
            if _within(label, found.at_s)
        ]
        left = min((label for label in near if id(label) in wanted), key=lambda label: label.at_s, default=None)
        if left is not None:
            del wanted[id(left)]
            tally.hits.append((left, found))
        elif all(label.required for label in near):
            tally.false.append(found)
    _match_dead_letters(outcome.dead_letters, index, wanted, tallies)
    for label in wanted.values():
        tallies[label.finding_type].misses.append(label)
    return dict(sorted(tallies.items()))


def _within(label: Label, at_s: float) -> bool:
    return label.at_s - label.before_s - ROUNDING_S <= at_s <= label.at_s + label.after_s + ROUNDING_S


def _match_dead_letters(
    dead_letters: Sequence[DeadLetter],
    index: dict[tuple[str, int, str], list[Label]],
    wanted: dict[int, Label],
    tallies: dict[str, Tally],
) -> None:
    kind = FindingType.DATA_QUALITY
    for each in dead_letters:
        for label in index.get((kind, each.tenant_id, f"{each.table}:{each.row_id}"), ()):
            if id(label) in wanted and _within(label, each.at_s):
                del wanted[id(label)]
                tallies[kind].hits.append((label, None))
                break
