"""Rows that cannot be true: nobody's fault in the field, a defect of a program or a clock."""

import random
from datetime import date
from typing import Any

from simulation.labelled.calendar import DAY_S, HOUR_S, local_s, moment
from simulation.labelled.ledger import Ledger
from simulation.labelled.world import Company, Site

_SHARE = 0.25
"""Of a site's days."""
_AFTER_S = 600.0
"""A reference may be waited for."""


class WrongRows:
    """Writes one wrong row on some days.

    Args:
        ledger: where rows and labels go.
        seed: of the life.
        companies: all of them: one's rows name another's people.
    """

    def __init__(self, ledger: Ledger, seed: int, companies: list[Company]) -> None:
        self._ledger = ledger
        self._seed = seed
        self._companies = companies

    def live(self, company: Company, site: Site, day: date) -> None:
        """A site's day."""
        chance = random.Random(f"{self._seed}/wrong/{site.id}/{day}")
        if chance.random() >= _SHARE:
            return
        at_s = local_s(day, chance.uniform(9, 15), site.zone)
        person = chance.choice(company.persons[site.id])
        kinds: dict[str, tuple[str, dict[str, Any]]] = {
            "a latitude of 95": ("location", {"latitude": 95.0, "longitude": site.longitude}),
            "the position 0, 0": ("location", {"latitude": 0.0, "longitude": 0.0}),
            "no longitude": ("location", {"latitude": site.latitude, "longitude": None}),
            "no position": ("location", {"latitude": None, "longitude": None}),
            "an accuracy below 0": ("location", {"accuracy_m": -5.0}),
            "a fix from the day after tomorrow": ("location", {"recorded_at": moment(at_s + 2 * DAY_S)}),
            "a latitude in words": ("location", {"latitude": "north"}),
            "another tenant's person": ("location", {"person_id": self._stranger(company, chance)}),
            "completed before it was started": (
                "jobneed",
                {"started_at": moment(at_s), "completed_at": moment(at_s - HOUR_S), "status": "COMPLETED"},
            ),
            "more than none scanned": ("jobneed", {"checkpoints_expected": 5, "checkpoints_scanned": -3}),
            "a status of its own": ("ticket", {"status": "FOO", "priority": "LOW"}),
            "a battery at 940 percent": ("device", {"battery_percent": 940.0, "status": "ONLINE"}),
            "a deadline in words": ("work_order", {"status": "OPEN", "due_at": "soon"}),
        }
        what = chance.choice(sorted(kinds))
        table, wrong = kinds[what]
        if person.id == wrong.get("person_id"):  # a life of one tenant has no stranger
            return
        base: dict[str, Any] = {"site_id": site.id}
        if table == "location":
            base |= {
                "person_id": person.id,
                "device_id": None,
                "latitude": site.latitude,
                "longitude": site.longitude,
                "accuracy_m": 12.0,
                "speed_mps": 0.0,
                "is_mock": False,
                "recorded_at": moment(at_s),
            }
        elif table == "jobneed":
            base |= {"person_id": person.id, "job_type": "TASK", "title": "Check the boiler", "status": "ASSIGNED"}
        row = self._ledger.insert(table, site.tenant_id, at_s + 1, **(base | wrong))
        about = [f"{table}:{row['id']}"]
        self._ledger.label("DATA_QUALITY", site.tenant_id, about, at_s + 1, what, after_s=_AFTER_S)

    def _stranger(self, company: Company, chance: random.Random) -> int:
        other = next((each for each in self._companies if each.id != company.id), company)
        site = other.sites[0]
        if other is company:
            return -1
        return chance.choice(other.persons[site.id]).id
