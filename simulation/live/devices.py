"""Devices: they report every few minutes, their batteries drain, and now and then one goes offline.

Owns the devices of one tenant. Pure: time comes in as an argument, chance from the `Random` given.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from random import Random

from simulation.live.agenda import Agenda
from simulation.live.company import Tenant
from simulation.live.operations import Planted, Transaction, Update, Value

_INTERVAL_S = 290.0
_BATTERY_LOSS_SHARE = 0.2
_BATTERY_PERCENT_MIN = 15


class Devices:
    """The devices of one tenant."""

    def __init__(self, tenant: Tenant, rng: Random, agenda: Agenda) -> None:
        self._tenant = tenant
        self._rng = rng
        self._agenda = agenda
        self._batteries = {device.id: rng.randrange(40, 101) for device in tenant.devices}
        self._offline: set[int] = set()
        self._turn = 0

    def opening(self, now: datetime) -> None:
        """Each was seen at the opening, and reports within the interval."""
        for device in self._tenant.devices:
            first = now + timedelta(seconds=self._rng.uniform(0, _INTERVAL_S))
            self._agenda.at(first, partial(self._report, device.id))

    def report(self, now: datetime) -> Transaction:
        """The report of the next device in turn, for a moment in which nothing else happens."""
        online = [device.id for device in self._tenant.devices if device.id not in self._offline]
        self._turn = (self._turn + 1) % len(online)
        return self._seen(online[self._turn], now)

    def lose(self, spared: Collection[int], now: datetime) -> Transaction | None:
        """A device says that it goes offline, and comes back after a while.

        Args:
            spared: devices that are in somebody's hand.
            now: the time.
        """
        able = [each.id for each in self._tenant.devices if each.id not in spared and each.id not in self._offline]
        if len(able) < len(self._tenant.devices) / 4:
            return None
        device_id = self._rng.choice(able)
        self._offline.add(device_id)
        self._agenda.at(now + timedelta(seconds=self._rng.uniform(60, 240)), partial(self._return, device_id))
        row = Update("device", device_id, {"status": "OFFLINE"})
        return Transaction(self._tenant.id, (row,), (Planted.DEVICE_OFFLINE,))

    def _report(self, device_id: int, now: datetime) -> Transaction | None:
        next_s = _INTERVAL_S * self._rng.uniform(0.97, 1.03)
        self._agenda.at(now + timedelta(seconds=next_s), partial(self._report, device_id))
        return None if device_id in self._offline else self._seen(device_id, now)

    def _return(self, device_id: int, now: datetime) -> Transaction:
        self._offline.discard(device_id)
        return self._seen(device_id, now)

    def _seen(self, device_id: int, now: datetime) -> Transaction:
        battery = self._batteries[device_id] - (self._rng.random() < _BATTERY_LOSS_SHARE)
        self._batteries[device_id] = battery if battery > _BATTERY_PERCENT_MIN else 100
        values: dict[str, Value] = {"status": "ONLINE", "last_seen": now, "battery_percent": self._batteries[device_id]}
        return Transaction(self._tenant.id, (Update("device", device_id, values),))
