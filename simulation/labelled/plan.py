"""What a scenario is made from: the seed, the weeks, and whether anything is wrong."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from simulation.world.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Span:
    """How long a scenario is."""

    first: date = date(2026, 3, 2)
    """A Monday. Six weeks from here hold three changes to or from daylight saving time on three continents."""
    weeks: int = 6
    learning_weeks: int = 2

    @property
    def days(self) -> list[date]:
        """Every day of it."""
        return [self.first + timedelta(days=number) for number in range(7 * self.weeks)]

    @property
    def judged_from(self) -> date:
        """The first day on which what has to be learned is planted."""
        return self.first + timedelta(days=7 * self.learning_weeks)


@dataclass(frozen=True, slots=True)
class ScenarioPlan:
    """What all parts of a scenario share."""

    seed: int
    span: Span
    is_planted: bool
    """Whether wrong things happen; what only looks wrong happens always."""
    timeline: Timeline = field(default_factory=Timeline)

    def rng(self, *what: object) -> Random:
        """Random numbers of their own for one thing, so that adding one does not change the others."""
        return Random("/".join(map(str, (self.seed, *what))))
