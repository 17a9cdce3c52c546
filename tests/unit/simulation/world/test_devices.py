"""Devices report every few minutes, but not while they are out."""

from itertools import pairwise

from simulation.records import RowChange
from simulation.world.company import Device
from simulation.world.devices import Devices
from simulation.world.timeline import Timeline

HOUR_S = 3_600.0


def reports(*, outage: tuple[float, float] | None = None, is_marked: bool = False) -> tuple[list[RowChange], Timeline]:
    timeline = Timeline()
    timeline.insert("device", 1, 0.0, id=4, status="ONLINE", last_seen=None, battery_percent=100)
    devices = Devices(timeline, 1, 1, [Device(4, 1, "Door sensor")], 0.0)
    if outage is not None:
        devices.lose(4, outage, is_marked=is_marked)
    return [change for change in timeline.take(6 * HOUR_S) if change.op == "u"], timeline


def test_a_device_reports_about_every_five_minutes_and_its_battery_drains() -> None:
    changes, timeline = reports()
    gaps = [(after.commit_us - before.commit_us) / 1e6 for before, after in pairwise(changes)]
    assert 270 < sorted(gaps)[len(gaps) // 2] < 330
    assert {(change.after or {})["status"] for change in changes} == {"ONLINE"}
    assert all(40 <= (change.after or {})["battery_percent"] <= 100 for change in changes)
    assert timeline.labels == []


def test_a_silent_device_says_nothing() -> None:
    changes, timeline = reports(outage=(HOUR_S, 3 * HOUR_S))
    assert not [change for change in changes if HOUR_S <= change.commit_us / 1e6 < 3 * HOUR_S]
    assert [(label.finding_type, label.at_s) for label in timeline.labels] == [("DEVICE_OFFLINE", HOUR_S)]


def test_a_device_that_is_marked_says_so_first_and_is_back_afterwards() -> None:
    changes, _ = reports(outage=(HOUR_S, 3 * HOUR_S), is_marked=True)
    [offline] = [change for change in changes if (change.after or {})["status"] == "OFFLINE"]
    assert offline.commit_us == HOUR_S * 1e6
    assert (changes[-1].after or {})["status"] == "ONLINE"
