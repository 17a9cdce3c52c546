"""A duty as a whole: its attendance and its phone, with at most one planted thing, and what that entails."""

import random
from datetime import date

from simulation.labelled import trips
from simulation.labelled.attendance import Gate, Presence
from simulation.labelled.calendar import HOUR_S, MINUTE_S, whole_hours
from simulation.labelled.ledger import Ledger
from simulation.labelled.phones import Fix, Network, outage, received, upload, walk
from simulation.labelled.roster import Duty, Plan
from simulation.labelled.world import Person

_PLANT_SHARE = 0.018
"""Of duties, for each kind of plant."""
_ATTENDANCE = ("late", "wrong face", "no check-out", "clock set back")
_BY_PHONE = ("elsewhere", "elsewhere", "buddy")
_TRIPS = ("walk out", "drive out", "jump", "frozen", "too perfect", "mocked")
_LEARNED = ("quiet", "flood")
_NEAR = (
    "extended",
    "double tap",
    "early",
    "late upload",
    "late check-out upload",
    "borrowed phone",
    "forgotten bag",
    "way home",
)
"""What looks wrong and is not."""


class Workday:
    """Lives the duties of one company.

    Args:
        ledger: where rows and labels go.
        seed: of the life.
        planted: whether wrong things happen; what only looks wrong happens always.
        judged_from: the first day of what has to be learned before.
    """

    def __init__(self, ledger: Ledger, seed: int, judged_from: date, *, planted: bool) -> None:
        self._ledger = ledger
        self._seed = seed
        self._judged_from = judged_from
        self._planted = planted

    def live(self, duty: Duty, day: date, together: list[Person], others: list[Person]) -> None:
        """One duty; who begins with it, and who belongs to the site."""
        chance = self._chance(duty)
        plant = self._plant(chance, duty, day)
        network = Network(chance)
        presence = Gate(self._ledger, chance).work(duty, plant, together, others, network)
        if not network.outages and plant in {"", *_NEAR} and chance.random() < 0.07:
            span = outage(chance, max(duty.start_s, presence.spans[0][0]), presence.spans[0][1])
            if span is not None and duty.site.kiosk_id is not None:
                network.outages.append(span)  # a phone that is also the terminal keeps its line
        fixes: list[Fix] = []
        for start_s, end_s in presence.spans:
            fixes += walk(chance, max(start_s, presence.phone_from_s), end_s, duty.site.extent_m)
        if plant == "way home":
            fixes += self._way_home(chance, duty, presence)
        fixes, labels = self._wrong(chance, duty, plant, presence, fixes)
        times = upload(self._ledger, duty, sorted(fixes, key=lambda fix: fix.at_s), network)
        self._label(duty, labels)
        self._uploaded_late(duty, times)
        if plant in {"late", "buddy"}:
            self._side_effects(duty, presence, "ANOMALY_PHONE_EVENTS_BELOW")
        elif plant in {"drive out", "walk out", "extended"} or duty.plan is not Plan.USUAL:
            self._side_effects(duty, presence, "ANOMALY_PHONE_EVENTS_ABOVE")

    def is_usual(self, duty: Duty, day: date) -> bool:
        """Whether nothing is planted in a duty, so that its person may have a part in another's plant."""
        return not self._plant(self._chance(duty), duty, day)

    def _chance(self, duty: Duty) -> random.Random:
        return random.Random(f"{self._seed}/duty/{duty.assignment['id']}")

    def _plant(self, chance: random.Random, duty: Duty, day: date) -> str:
        kinds = list(_NEAR)
        if self._planted and duty.plan is Plan.USUAL:
            kinds += [*_ATTENDANCE, *_TRIPS]
            if duty.site.kiosk_id is None:
                kinds += _BY_PHONE
            if day >= self._judged_from:
                kinds += 3 * [*_LEARNED]
        if duty.site.kiosk_id is not None or duty.person.phone_id == 0:
            kinds = [kind for kind in kinds if kind not in {"borrowed phone", "late upload", "late check-out upload"}]
        drawn = int(chance.random() / _PLANT_SHARE)
        plant = kinds[drawn] if drawn < len(kinds) else ""
        short = duty.end_s - duty.start_s < 7 * HOUR_S
        together = plant in {"buddy", "borrowed phone"}
        return "" if short and (plant in _LEARNED or plant in _TRIPS or together) else plant

    def _way_home(self, chance: random.Random, duty: Duty, presence: Presence) -> list[Fix]:
        """The app goes on for ten minutes after the end of the shift."""
        left_s = max(duty.end_s, presence.spans[-1][1]) + 30
        drive = [(number * 60.0, number * 60.0 * 9.0) for number in range(1, 10)]
        return [received(chance, left_s + after_s, far_m, 0.3 * far_m, 9.0) for after_s, far_m in drive]

    def _wrong(
        self, chance: random.Random, duty: Duty, plant: str, presence: Presence, fixes: list[Fix]
    ) -> tuple[list[Fix], list[tuple[str, float, float, str, bool]]]:
        """The fixes with the planted ones instead; (type, from, until, note, required) for labels."""
        start_s, end_s = max(presence.spans, key=lambda span: span[1] - span[0])
        start_s = max(start_s, presence.phone_from_s, duty.start_s) + 15 * MINUTE_S
        end_s = min(end_s, duty.end_s) - 10 * MINUTE_S
        extent_m = duty.site.extent_m
        new: list[Fix] = []
        said: list[tuple[str, bool]] = []
        match plant:
            case "walk out":
                new = trips.walk_out(chance, start_s, chance.uniform(700, 1_000), chance.uniform(25, 45) * MINUTE_S)
                said = [("GEOFENCE_VIOLATION", True), ("UNEXPECTED_MOVEMENT", False)]
            case "drive out":
                new = trips.drive_out(chance, start_s, chance.uniform(4_000, 9_000), chance.uniform(10, 30) * MINUTE_S)
                # Out and back are two movements; that the second one is told is not wrong.
                said = [("GEOFENCE_VIOLATION", True), ("UNEXPECTED_MOVEMENT", True), ("UNEXPECTED_MOVEMENT", False)]
            case "jump":
                new = trips.jump(chance, start_s)
                said = [("LOCATION_SPOOFING", True), ("GEOFENCE_VIOLATION", False), ("UNEXPECTED_MOVEMENT", False)]
            case "frozen":
                new = trips.frozen(chance, start_s, 2.5, extent_m)
                said = [("LOCATION_SPOOFING", True)]
            case "too perfect":
                new = trips.too_perfect(chance, start_s, 2.0, extent_m)
                said = [("LOCATION_SPOOFING", True)]
            case "mocked":
                new = trips.mocked(walk(chance, start_s, start_s + HOUR_S, extent_m))
                said = [("LOCATION_SPOOFING", True)]
            case "quiet" | "flood":
                return self._volume(chance, duty, plant, start_s, end_s, fixes), []
        if not new:
            return fixes, []
        first_s, last_s = new[0].at_s, new[-1].at_s
        kept = [fix for fix in fixes if not first_s - 30 <= fix.at_s <= last_s + 120]
        return kept + new, [(kind, first_s, last_s, plant, required) for kind, required in said]

    def _volume(
        self, chance: random.Random, duty: Duty, plant: str, start_s: float, end_s: float, fixes: list[Fix]
    ) -> list[Fix]:
        hours = whole_hours(start_s, end_s, duty.site.zone)[:2]
        kind = "ANOMALY_PHONE_EVENTS_BELOW" if plant == "quiet" else "ANOMALY_PHONE_EVENTS_ABOVE"
        for number, hour_s in enumerate(hours):
            inside = [fix for fix in fixes if hour_s <= fix.at_s < hour_s + HOUR_S]
            if plant == "quiet":
                lost = set(inside[1:])
                fixes = [fix for fix in fixes if fix not in lost]
            else:
                east_m, north_m = chance.uniform(-0.5, 0.5) * duty.site.extent_m, 0.0
                fixes = fixes + [received(chance, hour_s + 12.0 * fix, east_m, north_m, 0.0) for fix in range(299)]
            self._ledger.label(
                kind, duty.site.tenant_id, [f"device:{duty.phone_id}"], hour_s, f"{plant}: the hour from {hour_s:.0f}",
                before_s=0.0, after_s=4 * HOUR_S,
                required=number == 0,  # told once, or once an hour: both will do
            )  # fmt: skip
        return fixes

    def _label(self, duty: Duty, labels: list[tuple[str, float, float, str, bool]]) -> None:
        for kind, first_s, last_s, note, required in labels:
            self._ledger.label(
                kind,
                duty.site.tenant_id,
                [f"person:{duty.person.id}"],
                first_s,
                note,
                before_s=60.0,
                after_s=last_s - first_s + 10 * MINUTE_S,
                required=required,
            )

    def _uploaded_late(self, duty: Duty, times: list[tuple[float, float]]) -> None:
        """An hour whose rows came an hour late looked empty: saying so then is not wrong."""
        if not times:
            return
        late = [at_s for at_s, committed_s in times if committed_s - at_s > HOUR_S / 2]
        for hour_s in sorted({at_s // (HOUR_S / 2) * (HOUR_S / 2) for at_s in late}):
            self._maybe(duty, "ANOMALY_PHONE_EVENTS_BELOW", hour_s, "uploaded late")

    def _side_effects(self, duty: Duty, presence: Presence, kind: str) -> None:
        """Fewer or more rows than usual follow from lateness, from trips and from unusual hours."""
        half = HOUR_S / 2
        begin, end = int((duty.start_s - HOUR_S) // half), int((presence.spans[-1][1] + HOUR_S) // half)
        for number in range(begin, end + 1):
            self._maybe(duty, kind, number * half, "follows from another plant or an unusual shift")

    def _maybe(self, duty: Duty, kind: str, hour_s: float, note: str) -> None:
        self._ledger.label(
            kind, duty.site.tenant_id, [f"device:{duty.phone_id}"], hour_s, note,
            before_s=0.0, after_s=2 * HOUR_S, required=False,
        )  # fmt: skip
