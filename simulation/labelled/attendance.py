"""Check-ins and check-outs of one duty, and what may be wrong with them."""

import random
from dataclasses import dataclass

from simulation.labelled.calendar import HOUR_S, MINUTE_S, moment
from simulation.labelled.ledger import Ledger
from simulation.labelled.phones import Network
from simulation.labelled.roster import Duty, Plan
from simulation.labelled.world import Person, Site, moved


@dataclass(frozen=True, slots=True)
class Presence:
    """What a duty's attendance came to."""

    spans: list[tuple[float, float]]
    """When the person was checked in; within these the phone tracks."""
    phone_from_s: float


class Gate:
    """Writes attendance rows.

    Args:
        ledger: where they go.
        chance: of the day.
    """

    def __init__(self, ledger: Ledger, chance: random.Random) -> None:
        self._ledger = ledger
        self._chance = chance

    def pass_by(
        self,
        kind: str,
        site: Site,
        person: Person,
        at_s: float,
        committed_s: float,
        device_id: int | None,
        *,
        verified: int | None = None,
        off_m: tuple[float, float] = (0.0, 0.0),
        by_phone: bool = True,
    ) -> int:
        """One row; returns its id. A terminal gives no position, a phone its own, `off_m` east and north of the site."""
        latitude = longitude = accuracy = None
        if by_phone:
            accuracy = round(self._chance.uniform(5, 25), 1)
            east = off_m[0] + self._chance.gauss(0, 0.4 * accuracy) + self._chance.uniform(-0.4, 0.4) * site.extent_m
            north = off_m[1] + self._chance.gauss(0, 0.4 * accuracy) + self._chance.uniform(-0.4, 0.4) * site.extent_m
            if self._chance.random() < 0.02:  # indoors: far off, and the phone knows it
                east, accuracy = east + 120.0, 140.0
            latitude, longitude = moved(site.latitude, site.longitude, east, north)
            latitude, longitude = round(latitude, 7), round(longitude, 7)
        row = self._ledger.insert(
            "attendance",
            site.tenant_id,
            committed_s,
            site_id=site.id,
            person_id=person.id,
            verified_person_id=verified,
            device_id=device_id,
            event_type=kind,
            occurred_at=moment(at_s),
            latitude=latitude,
            longitude=longitude,
            accuracy_m=accuracy,
        )
        return int(row["id"])

    def work(
        self, duty: Duty, planted: str, together: list[Person], others: list[Person], network: Network
    ) -> Presence:
        """The attendance of a duty with one planted thing, or with none (an empty text).

        Args:
            duty: the shift.
            planted: what is wrong with it, or only looks so.
            together: people whose shift at the site begins at the same time.
            others: everybody of the site.
            network: of the phone.
        """
        chance, site = self._chance, duty.site
        by_phone = site.kiosk_id is None
        in_s, out_s = self._times(duty, planted)
        if planted == "late upload":
            network.outages.append((in_s - 60, in_s + chance.uniform(20, 150) * MINUTE_S))
        elif planted == "late check-out upload":
            network.outages.append((out_s - 10 * MINUTE_S, out_s + chance.uniform(5, 20) * MINUTE_S))
        # A gate terminal has a cable; only what a phone recorded waits for a network.
        uploads = network if by_phone else Network(chance)
        colleagues = [each for each in together if each.id != duty.person.id and each.phone_id]
        if planted == "buddy" and colleagues:
            about = self._buddy(duty, chance.choice(colleagues), in_s)
            phone_from_s = in_s + chance.uniform(60, 80) * MINUTE_S
        else:
            helper = chance.choice(colleagues) if planted == "borrowed phone" and colleagues else duty.person
            about = self._check_in(duty, planted, helper, others, in_s, uploads)
            phone_from_s = in_s
        spans = [(in_s, out_s)] if planted == "clock set back" else self._pause(duty, in_s, out_s, uploads)
        if planted == "no check-out":
            self._ledger.label(
                "MISSING_CHECK_OUT", site.tenant_id, about, duty.end_s, "never out", before_s=0.0, after_s=3 * HOUR_S
            )
        else:
            self._check_out(duty, planted, in_s, out_s, uploads.committed_s(out_s))
        return Presence(spans, phone_from_s)

    def _check_in(
        self, duty: Duty, planted: str, helper: Person, others: list[Person], in_s: float, uploads: Network
    ) -> list[str]:
        """The check-in with what is wrong with it; returns what a finding may be about."""
        chance, site, person = self._chance, duty.site, duty.person
        device = site.kiosk_id or (duty if helper is person else helper).phone_id
        verified = None if chance.random() < 0.1 else person.id
        if planted == "wrong face":
            verified = chance.choice([each.id for each in others if each.id != person.id])
        off_m = (0.0, 0.0)
        if planted == "elsewhere":
            off_m = (chance.choice([-1, 1]) * chance.uniform(700, 1_500), chance.uniform(-300, 300))
        commit_s = uploads.committed_s(in_s)
        row_id = self.pass_by(
            "CHECK_IN",
            site,
            person,
            in_s,
            commit_s,
            device,
            verified=verified,
            off_m=off_m,
            by_phone=site.kiosk_id is None,
        )
        if planted == "double tap":
            self.pass_by(
                "CHECK_IN", site, person, in_s + 3, commit_s + 3, device, verified=verified,
                by_phone=site.kiosk_id is None,
            )  # fmt: skip
        about, label = [f"person:{person.id}", f"attendance:{row_id}"], self._ledger.label
        if planted == "late":
            label("LATE_CHECK_IN", site.tenant_id, about, commit_s, f"{(in_s - duty.start_s) / 60:.0f} min late")
        elif planted == "wrong face":
            label("WRONG_PERSON", site.tenant_id, about, commit_s, "the face check recognised a colleague")
        elif planted == "elsewhere":
            label("UNEXPECTED_LOCATION", site.tenant_id, about, commit_s, f"{abs(off_m[0]):.0f} m east or west")
        return about

    def _check_out(self, duty: Duty, planted: str, in_s: float, out_s: float, commit_s: float) -> None:
        site, person, by_phone = duty.site, duty.person, duty.site.kiosk_id is None
        device = site.kiosk_id or duty.phone_id
        says_s = in_s - self._chance.uniform(1, 3) * HOUR_S if planted == "clock set back" else out_s
        number = self.pass_by(
            "CHECK_OUT", site, person, says_s, commit_s, device, verified=person.id, by_phone=by_phone
        )
        if planted == "clock set back":
            about, label = [f"attendance:{number}"], self._ledger.label
            label("DATA_QUALITY", site.tenant_id, about, commit_s, "a check-out before its check-in")
            label(
                "MISSING_CHECK_OUT", site.tenant_id, [f"person:{person.id}"], duty.end_s, "its check-out is wrong",
                before_s=0.0, after_s=3 * HOUR_S, required=False,
            )  # fmt: skip
        if duty.plan is Plan.LONG_DAY:
            about = [f"person:{person.id}", f"attendance:{number}"]
            note = f"{(out_s - in_s) / HOUR_S:.1f} hours in a day"
            self._ledger.label("OVERTIME_VIOLATION", site.tenant_id, about, commit_s, note)
        if planted == "forgotten bag":
            again_s = duty.end_s + self._chance.uniform(35, 50) * MINUTE_S
            for kind, at_s in (("CHECK_IN", again_s), ("CHECK_OUT", again_s + 4 * MINUTE_S)):
                self.pass_by(kind, site, person, at_s, at_s + 1.5, device, verified=person.id, by_phone=by_phone)

    def _times(self, duty: Duty, planted: str) -> tuple[float, float]:
        chance = self._chance
        in_s = duty.start_s + max(-22.0, min(8.0, chance.gauss(-5, 5))) * MINUTE_S
        out_s = duty.end_s + max(-6.0, min(22.0, chance.gauss(4, 5))) * MINUTE_S
        if planted == "late":
            in_s = duty.start_s + chance.uniform(30, 90) * MINUTE_S
        elif planted == "early":
            in_s = duty.start_s - chance.uniform(30, 45) * MINUTE_S
        elif planted == "extended":  # asked to stay on, and the planner enters it while the shift runs
            longer_s = chance.uniform(1.5, 2.2) * HOUR_S
            asked_s = duty.end_s - chance.uniform(1, 2) * HOUR_S
            self._ledger.update("assignment", duty.assignment, asked_s, shift_end=moment(duty.end_s + longer_s))
            out_s += longer_s
        return in_s, out_s

    def _buddy(self, duty: Duty, helper: Person, in_s: float) -> list[str]:
        """A colleague checks in, and with the same phone somebody who is not there yet."""
        again_s = in_s + self._chance.uniform(3, 8)
        row_id = self.pass_by("CHECK_IN", duty.site, duty.person, again_s, again_s + 1.0, helper.phone_id)
        # The helper's own check-in of that day, moved to just before: the roster has them begin together.
        first = self.pass_by("CHECK_IN", duty.site, helper, in_s, in_s + 0.8, helper.phone_id, verified=helper.id)
        about = [f"person:{duty.person.id}", f"attendance:{row_id}"]
        self._ledger.label(
            "WRONG_PERSON",
            duty.site.tenant_id,
            [*about, f"device:{helper.phone_id}", f"person:{helper.id}"],
            again_s + 1.0,
            f"checked in with a colleague's phone, {again_s - in_s:.0f} s after attendance {first}",
            after_s=30.0,
        )
        self._ledger.label(
            "WRONG_PERSON",
            duty.site.tenant_id,
            [f"device:{helper.phone_id}"],
            again_s,
            "who helped checks in again, as both do",
            before_s=10 * MINUTE_S,
            after_s=10 * MINUTE_S,
            required=False,
        )
        return about

    def _pause(self, duty: Duty, in_s: float, out_s: float, uploads: Network) -> list[tuple[float, float]]:
        """Some check out for lunch."""
        if out_s - in_s < 7 * HOUR_S or self._chance.random() > 0.5:
            return [(in_s, out_s)]
        site = duty.site
        away_s = in_s + 4 * HOUR_S + self._chance.uniform(-20, 20) * MINUTE_S
        back_s = away_s + self._chance.uniform(25, 45) * MINUTE_S
        for kind, at_s in (("CHECK_OUT", away_s), ("CHECK_IN", back_s)):
            self.pass_by(
                kind,
                site,
                duty.person,
                at_s,
                uploads.committed_s(at_s),
                site.kiosk_id or duty.phone_id,
                verified=duty.person.id,
                by_phone=site.kiosk_id is None,
            )
        return [(in_s, away_s), (back_s, out_s)]
