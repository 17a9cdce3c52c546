"""Devices that report every few minutes: updates of their row's `last_seen`, their batteries, and their outages."""

from collections.abc import Iterable
from functools import partial
from random import Random

from simulation.world.calendar import HOUR_S, Interval, moment
from simulation.world.company import Device
from simulation.world.timeline import Timeline

_INTERVAL_S = (280.0, 320.0)
_DELAY_S = (0.2, 3.0)
_LOST_SHARE = 0.003
_BATTERY_LOSS_SHARE = 0.02
_BATTERY_PERCENT_MIN = 40
"""Then it is charged."""


class Devices:
    """The devices of one tenant that report.

    Args:
        seed: of the random numbers, which each device has of its own.
        start_s: when they begin.
    """

    def __init__(
        self, timeline: Timeline, seed: int, tenant_id: int, devices: Iterable[Device], start_s: float
    ) -> None:
        self._timeline = timeline
        self._tenant_id = tenant_id
        self._rngs = {device.id: Random(f"{seed}/device/{device.id}") for device in devices}
        self._batteries = {device_id: rng.randrange(40, 101) for device_id, rng in self._rngs.items()}
        self._outages: dict[int, list[Interval]] = {device_id: [] for device_id in self._rngs}
        for device_id, rng in self._rngs.items():
            timeline.call(start_s + rng.uniform(0, _INTERVAL_S[0]), partial(self._report, device_id))

    def online(self, at_s: float) -> list[int]:
        """Those without an outage that have reported since the last one."""
        rows = self._timeline.rows("device", self._tenant_id)
        return [row["id"] for row in rows if row["status"] == "ONLINE" and not self._is_out(row["id"], at_s)]

    def lose(self, device_id: int, span: Interval, *, is_marked: bool) -> None:
        """Let a device not report for a time; `is_marked`: its row says OFFLINE."""
        self._outages[device_id].append(span)
        note = f"silent for {(span[1] - span[0]) / HOUR_S:.1f} hours"
        if is_marked:
            note = "marked OFFLINE"
            self._timeline.update("device", device_id, span[0], status="OFFLINE")
        about = [f"device:{device_id}"]
        self._timeline.label("DEVICE_OFFLINE", self._tenant_id, about, span[0], note, after_s=2 * HOUR_S)

    def report(self, device_id: int, at_s: float, delay_s: float = 0.0) -> None:
        """A device says that it is there."""
        battery, rng = self._batteries[device_id], self._rngs[device_id]
        if rng.random() < _BATTERY_LOSS_SHARE:
            battery = self._batteries[device_id] = battery - 1 if battery > _BATTERY_PERCENT_MIN else 100
        values = {"status": "ONLINE", "last_seen": moment(at_s), "battery_percent": battery}
        self._timeline.update("device", device_id, at_s + delay_s, **values)

    def _report(self, device_id: int, at_s: float) -> None:
        rng = self._rngs[device_id]
        delay_s = rng.uniform(*_DELAY_S)
        if not self._is_out(device_id, at_s + delay_s) and rng.random() >= _LOST_SHARE:
            self.report(device_id, at_s, delay_s)
        self._timeline.call(at_s + rng.uniform(*_INTERVAL_S), partial(self._report, device_id))

    def _is_out(self, device_id: int, at_s: float) -> bool:
        outages = self._outages.get(device_id, [])
        while outages and outages[0][1] <= at_s:
            del outages[0]
        return bool(outages) and outages[0][0] <= at_s
