"""Shifts: who works where and when, and when they arrive, have breaks and leave."""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from simulation.world.calendar import HOUR_S, MINUTE_S, Interval, moment
from simulation.world.company import Person, Site
from simulation.world.timeline import ScheduledChange, Timeline


class Special(StrEnum):
    """What is special about a shift: something wrong, or something that only looks wrong. At most one per shift."""

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
    presence: list[Interval] = field(default_factory=list)
    """When the person is checked in, in order."""
    checks: list[ScheduledChange] = field(default_factory=list)
    """Check-ins and check-outs that can still be cancelled."""

    def is_present(self, at_s: float) -> bool:
        """Whether the person is checked in at this time."""
        return any(from_s <= at_s < until_s for from_s, until_s in self.presence)

    def left_s(self, at_s: float) -> float | None:
        """When the break began that the person has at this time; None if there is none."""
        before = [until_s for _, until_s in self.presence if until_s <= at_s]
        comes_back = bool(self.presence) and self.presence[-1][0] > at_s
        return max(before) if before and comes_back and not self.is_present(at_s) else None


@dataclass(frozen=True, slots=True)
class Breaks:
    """The breaks for which people check out and back in."""

    share: float
    """Share of the shifts that have breaks."""
    after_s: Interval
    """From a check-in to the next break, shortest and longest."""
    length_s: Interval
    number_max: int = 1
    shift_s_min: float = 0.0
    """Shorter shifts have none."""


LUNCH = Breaks(0.5, (220 * MINUTE_S, 260 * MINUTE_S), (25 * MINUTE_S, 45 * MINUTE_S), shift_s_min=7 * HOUR_S)
SHORT_BREAKS = Breaks(1.0, (75 * MINUTE_S, 140 * MINUTE_S), (13 * MINUTE_S, 20 * MINUTE_S), number_max=10)
_BACK_BEFORE_END_S = 20 * MINUTE_S


def arrival_s(rng: Random, start_s: float) -> float:
    """When somebody arrives who is on time."""
    return start_s + max(-22.0, min(8.0, rng.gauss(-5, 5))) * MINUTE_S


def departure_s(rng: Random, end_s: float) -> float:
    """When somebody leaves at the end of the shift."""
    return end_s + max(-6.0, min(22.0, rng.gauss(4, 5))) * MINUTE_S


def with_breaks(rng: Random, in_s: float, out_s: float, breaks: Breaks) -> list[Interval]:
    """The spans between arrival and departure in which somebody is checked in."""
    presence: list[Interval] = []
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
    """Write an assignment; returns its id."""
    return timeline.insert(
        "assignment",
        site.tenant_id,
        written_s,
        person_id=person.id,
        site_id=site.id,
        shift_start=moment(start_s),
        shift_end=moment(end_s),
    ).row_id
