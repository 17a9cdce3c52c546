"""Shifts: who is to work where and when, when they come, have breaks and go. Values, and how they are drawn."""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from simulation.world.calendar import HOUR_S, MINUTE_S, Span, moment
from simulation.world.company import Person, Site
from simulation.world.timeline import Entry, Timeline


class Special(StrEnum):
    """What is special about a shift: something wrong with it, or what only looks so. At most one thing a shift."""

    NOTHING = "nothing"
    LATE = "late"
    WRONG_FACE = "wrong face"
    """The face check recognises a colleague."""
    BUDDY = "buddy"
    """A colleague checks somebody in who is not there yet, with the colleague's phone."""
    ELSEWHERE = "elsewhere"
    """A check-in from some streets away."""
    NO_CHECK_OUT = "no check-out"
    CLOCK_SET_BACK = "clock set back"
    """A check-out whose time is before the check-in's."""
    LONG_DAY = "long day"
    """Of more than 14 hours."""
    LONG_WEEK = "long week"
    """One of seven days of ten hours and a half."""

    WALK_OUT = "walk out"
    DRIVE_OUT = "drive out"
    JUMP = "jump"
    """A false position tens of kilometres away."""
    FROZEN = "frozen"
    """The same position to the last digit, for hours."""
    TOO_PERFECT = "too perfect"
    """A program walks a circle, and says that it is right to the decimetre."""
    MOCKED = "mocked"
    """The phone's system says that another program gives the position."""
    QUIET = "quiet"
    FLOOD = "flood"

    EXTENDED = "extended"
    """Asked to stay on, and the planner enters it while the shift runs."""
    EARLY = "early"
    DOUBLE_TAP = "double tap"
    """Two check-ins within seconds."""
    LATE_UPLOAD = "late upload"
    """The check-in comes an hour or two later, when the phone has a network."""
    LATE_CHECK_OUT_UPLOAD = "late check-out upload"
    BORROWED_PHONE = "borrowed phone"
    FORGOTTEN_BAG = "forgotten bag"
    """Back for some minutes after the shift."""
    WAY_HOME = "way home"
    """The app goes on for ten minutes after the shift."""


@dataclass(slots=True, eq=False)
class Shift:
    """A shift of a person at a site."""

    person: Person
    site: Site
    start_s: float
    end_s: float
    phone_id: int | None
    """The phone that the person carries."""
    assignment_id: int
    special: Special = Special.NOTHING
    presence: list[Span] = field(default_factory=list)
    """When the person is checked in, in order."""
    checks: list[Entry] = field(default_factory=list)
    """Those check-ins and check-outs that may still be cancelled."""

    def is_present(self, at_s: float) -> bool:
        """Whether the person is checked in at this time."""
        return any(from_s <= at_s < until_s for from_s, until_s in self.presence)

    def left_s(self, at_s: float) -> float | None:
        """Since when the person has been away on a break at this time; None where it is none."""
        before = [until_s for _, until_s in self.presence if until_s <= at_s]
        comes_back = bool(self.presence) and self.presence[-1][0] > at_s
        return max(before) if before and comes_back and not self.is_present(at_s) else None


@dataclass(frozen=True, slots=True)
class Breaks:
    """For which breaks people check out and in again."""

    share: float
    """Of the shifts that have any."""
    after_s: Span
    """So long after a check-in the break begins, from and to."""
    length_s: Span
    number_max: int = 1
    shift_s_min: float = 0.0
    """Shorter shifts have none."""


LUNCH = Breaks(0.5, (220 * MINUTE_S, 260 * MINUTE_S), (25 * MINUTE_S, 45 * MINUTE_S), shift_s_min=7 * HOUR_S)
SHORT_BREAKS = Breaks(1.0, (75 * MINUTE_S, 140 * MINUTE_S), (13 * MINUTE_S, 20 * MINUTE_S), number_max=10)
_BACK_BEFORE_END_S = 20 * MINUTE_S


def arrival_s(rng: Random, start_s: float) -> float:
    """When somebody comes who is in time."""
    return start_s + max(-22.0, min(8.0, rng.gauss(-5, 5))) * MINUTE_S


def departure_s(rng: Random, end_s: float) -> float:
    """When somebody goes home at the end."""
    return end_s + max(-6.0, min(22.0, rng.gauss(4, 5))) * MINUTE_S


def with_breaks(rng: Random, in_s: float, out_s: float, breaks: Breaks) -> list[Span]:
    """The time between coming and going, without breaks."""
    presence: list[Span] = []
    if out_s - in_s >= breaks.shift_s_min and rng.random() < breaks.share:
        while len(presence) < breaks.number_max:
            away_s = in_s + rng.uniform(*breaks.after_s)
            back_s = away_s + rng.uniform(*breaks.length_s)
            if back_s > out_s - _BACK_BEFORE_END_S:
                break
            presence.append((in_s, away_s))
            in_s = back_s
    return [*presence, (in_s, out_s)]


def assign(timeline: Timeline, person: Person, site: Site, start_s: float, end_s: float, written_s: float) -> int:
    """Enter a shift; returns the assignment's id."""
    return timeline.insert(
        "assignment",
        site.tenant_id,
        written_s,
        person_id=person.id,
        site_id=site.id,
        shift_start=moment(start_s),
        shift_end=moment(end_s),
    ).row_id
