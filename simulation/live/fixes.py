"""The fixes of the people at work: whoever has waited longest sends the next one.

Owns the walks and receivers of one tenant. Pure: time comes in as an argument, randomness from the `Random` given.
"""

import heapq
from dataclasses import replace
from random import Random

from simulation.live.rota import Rota
from simulation.world.calendar import Interval
from simulation.world.phones import Fix, Receiver, Walk, upload
from simulation.world.shifts import Shift
from simulation.world.timeline import Timeline

_RECHECK_S = 10.0
"""How often somebody who is not at work is looked at again."""
_INTERVAL_S, _INTERVAL_S_MIN = 1.0, 0.1
"""Between the fixes that a phone keeps during an outage; less if few people have to fill a burst."""


class Fixes:
    """The fixes of one tenant.

    Args:
        start_s: the time of the opening.
    """

    def __init__(self, rota: Rota, rng: Random, timeline: Timeline, start_s: float) -> None:
        self._rota = rota
        self._rng = rng
        self._timeline = timeline
        self._tracks: dict[int, tuple[Interval, Walk, Receiver]] = {}
        """By person, for one span at work."""
        self._last_s = dict.fromkeys((person.id for person in rota.tenant.persons), start_s)
        self._waiting = [(at_s, person_id) for person_id, at_s in self._last_s.items()]
        self._planned_until_s: dict[int, float] = {}

    def waits_since(self, shift: Shift, now_s: float) -> float | None:
        """When a person sent the last fix or began work; None if none is due from this person now."""
        person_id = shift.person.id
        for from_s, until_s in shift.presence:
            if from_s <= now_s < until_s and now_s >= self._planned_until_s.get(person_id, 0.0):
                return max(from_s, self._last_s[person_id])
        return None

    def first(self, now_s: float) -> tuple[float, Shift] | None:
        """Who has waited longest, and since when; None if nobody waits."""
        while self._waiting[0][0] < now_s:
            at_s, person_id = self._waiting[0]
            shift = self._rota.shifts[person_id]
            since_s = self.waits_since(shift, now_s)
            if since_s is not None and since_s <= at_s:
                return since_s, shift
            heapq.heapreplace(self._waiting, (now_s + _RECHECK_S if since_s is None else since_s, person_id))
        return None

    def send(self, shift: Shift, now_s: float, *, is_mock: bool = False) -> None:
        """Write the next fix of somebody at work."""
        fix = self._fix(shift, now_s)
        upload(self._timeline, shift, replace(fix, is_mock=True) if is_mock else fix, now_s)

    def send_planned(self, shift: Shift, fixes: list[Fix]) -> None:
        """Write these fixes of somebody at work, and none of their own until they are over."""
        for fix in fixes:
            upload(self._timeline, shift, fix, fix.at_s)
        self._planned_until_s[shift.person.id] = self._last_s[shift.person.id] = fixes[-1].at_s

    def is_planned(self, now_s: float) -> bool:
        """Whether planned fixes are still to come, which must not be dropped with a burst."""
        return any(until_s >= now_s for until_s in self._planned_until_s.values())

    def send_backlog(self, now_s: float, number: int) -> bool:
        """Write so many fixes at once, as after an outage: one per second and person, or more.

        Returns:
            Whether they were written; not if they would be too close to each other.
        """
        waiting = [(self.waits_since(shift, now_s), shift) for shift in self._rota.shifts.values()]
        at_work = sorted(((now_s - since_s, shift) for since_s, shift in waiting if since_s is not None), key=_longest)
        # One more for each than there is room for: nobody has a part of a fix.
        interval_s = min(_INTERVAL_S, sum(waited_s for waited_s, _ in at_work) / (number + len(at_work)))
        if interval_s < _INTERVAL_S_MIN:
            return False
        for waited_s, shift in at_work:
            fixes = min(int(waited_s / interval_s), number)
            number -= fixes
            for place in reversed(range(fixes)):
                upload(self._timeline, shift, self._fix(shift, now_s - interval_s * place), now_s)
        return True

    def _fix(self, shift: Shift, at_s: float) -> Fix:
        person_id = shift.person.id
        span = next(span for span in shift.presence if span[0] <= at_s < span[1])
        track = self._tracks.get(person_id)
        if track is None or track[0] != span:
            # A new span at work begins near the middle of the site.
            walk = Walk(self._rng, shift.site.extent_m, max(span[0], at_s - _RECHECK_S))
            track = self._tracks[person_id] = (span, walk, Receiver(self._rng, is_clear=True))
        self._last_s[person_id] = at_s
        _, walk, receiver = track
        east_m, north_m, speed = walk.at(at_s)
        speed = max(0.0, speed + self._rng.gauss(0, 0.08)) if speed else 0.0
        return receiver.fix(at_s, east_m, north_m, speed)


def _longest(waiting: tuple[float, Shift]) -> tuple[float, int]:
    return -waiting[0], waiting[1].person.id
