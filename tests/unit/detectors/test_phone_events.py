"""ANOMALY_PHONE_EVENTS: a phone against its own hours of the week, hour by hour through the worker's fold.

Also of detectors/devices/helpers/phone_baseline.py and detectors/devices/helpers/phone_hours.py.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.rows import Location
from detectors.devices.phone_events import PhoneEvents, PhoneEventsPolicy
from detectors.finding_draft import FindingDraft
from detectors.interface import Event, Learned, SpanEnd
from detectors.shared.facts import SiteFacts

HOUR_MS = 3_600_000
MONDAY_HOUR = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) // 3600
WEEK = 168
SITE = SiteFacts(site_id=4, timezone="UTC")


@dataclass
class Phones:
    """Phones of one site, and what the worker would keep of them."""

    policy: PhoneEventsPolicy = field(default_factory=PhoneEventsPolicy)
    site: SiteFacts = SITE
    states: dict[int, Any] = field(default_factory=dict)
    due: dict[int, int] = field(default_factory=dict)
    own: dict[int, Any] = field(default_factory=dict)
    shared: list[Any] = field(default_factory=lambda: [None, None])
    found: list[tuple[int, int, FindingDraft]] = field(default_factory=list)
    """(device, hour of the finding, finding)"""

    def send(self, device: int, at_s: float, known_s: float | None = None) -> None:
        """One fix that was recorded at one time and came at another."""
        self.advance(round((known_s or at_s) * 1000))
        row = Location(id=1, tenant_id=1, device_id=device, recorded_at=datetime.fromtimestamp(at_s, UTC))
        event = Event(row, round((known_s or at_s) * 1e6))
        self.states[device], found = PhoneEvents().judge(self.states.get(device), event, self.policy)
        assert not found
        self.due.setdefault(device, PhoneEvents().due_ms(self.states[device], self.policy) or 0)

    def advance(self, until_ms: int) -> None:
        """Let what is due by then happen, in the order of the times."""
        while self.due and min(self.due.values()) <= until_ms:
            at_ms, device = min((at_ms, device) for device, at_ms in self.due.items())
            learned = Learned(self.own.get(device), *self.shared)
            end = SpanEnd(device, at_ms, self.site)
            state, after, found = PhoneEvents().conclude(self.states[device], learned, end, self.policy)
            self.own[device], self.shared = after.own, [after.site, after.tenant]
            self.found += [(device, at_ms // HOUR_MS, each) for each in found]
            self.states[device] = state
            if state is None:
                del self.due[device]
            else:
                self.due[device] = max(PhoneEvents().due_ms(state, self.policy) or 0, at_ms + 1)

    def live(self, hours: Iterable[int], count: Callable[[int, int], int], devices: Iterable[int] = (1, 2, 3)) -> None:
        """So many hours since that Monday, each phone with so many fixes `count(device, hour)`."""
        for hour in hours:
            sent = [
                ((MONDAY_HOUR + hour) * 3600 + 3600 * (number + 0.5) / total, device)
                for device in devices
                for total in [count(device, hour)]
                for number in range(total)
            ]
            for at_s, device in sorted(sent):
                self.send(device, at_s)
        self.advance((MONDAY_HOUR + max(hours) + 1) * HOUR_MS)

    def reported(self) -> list[tuple[int, str]]:
        """(device, finding type) of each finding."""
        return [(device, draft.finding_type.removeprefix("ANOMALY_PHONE_EVENTS_")) for device, _, draft in self.found]


def shifts(device: int, hour: int) -> int:
    """Twelve fixes an hour on weekdays, 8 to 16 o'clock."""
    return 12 if hour % WEEK < 120 and 8 <= hour % 24 < 16 else 0


def learned_phones() -> Phones:
    """Three phones after three weeks."""
    sut = Phones()
    sut.live(range(3 * WEEK), shifts)
    assert sut.found == []
    return sut


def test_a_phone_that_sends_far_less_is_reported_once_with_the_numbers() -> None:
    sut = learned_phones()
    sut.live(
        range(3 * WEEK, 3 * WEEK + 24),
        lambda device, hour: 2 if device == 1 and shifts(device, hour) else shifts(device, hour),
    )
    ((device, told_hour, draft),) = sut.found
    evidence = draft.evidence
    assert (device, evidence["observed"], evidence["expected"], evidence["hour_of_week"]) == (1, 2, 12.0, 8)
    assert (evidence["n"], evidence["threshold"], evidence["timezone"]) == (
        2,
        4.0,
        "UTC",
    )  # the first hour of all is not counted
    assert evidence["z_score"] < -4  # type: ignore[operator]
    assert told_hour == MONDAY_HOUR + 3 * WEEK + 10


def test_a_flood_is_reported() -> None:
    sut = learned_phones()
    sut.live(range(3 * WEEK, 3 * WEEK + 24), lambda device, hour: shifts(device, hour) * (4 if device == 2 else 1))
    assert sut.reported() == [(2, "ABOVE")]


def test_nothing_is_reported_while_learning() -> None:
    sut = Phones()
    sut.live(range(2 * WEEK), lambda device, hour: random.Random(hour * 7 + device).choice([0, 3, 12, 90]))
    assert sut.found == []


def test_a_silent_phone_is_reported_although_it_sends_no_row_but_is_waited_for() -> None:
    sut = learned_phones()
    sut.live(range(3 * WEEK, 3 * WEEK + 24), lambda device, hour: 0 if device == 1 else shifts(device, hour))
    ((device, told_hour, _),) = sut.found
    assert (device, told_hour) == (1, MONDAY_HOUR + 3 * WEEK + 8 + 2 + PhoneEventsPolicy().late_upload_hours_max)


def test_a_phone_without_a_network_that_uploads_late_is_not_reported() -> None:
    sut = learned_phones()
    monday = 3 * WEEK
    sut.live(
        range(monday, monday + 11), lambda device, hour: 0 if device == 1 and hour % 24 >= 8 else shifts(device, hour)
    )
    back_s = (MONDAY_HOUR + monday + 11) * 3600 + 60
    for minute in range(0, 180, 5):
        sut.send(1, (MONDAY_HOUR + monday + 8) * 3600 + minute * 60, back_s)
    sut.live(range(monday + 11, monday + 30), shifts)
    assert sut.reported() == []


def test_a_holiday_of_all_is_nobodys_fault_and_is_not_learned() -> None:
    sut = learned_phones()
    sut.live(range(3 * WEEK, 3 * WEEK + 24), lambda *_: 0)
    assert sut.reported() == []
    sut.live(
        range(3 * WEEK + 24, 4 * WEEK + 12),
        lambda device, hour: 0 if device == 3 and hour >= 4 * WEEK else shifts(device, hour),
    )
    sut.advance((MONDAY_HOUR + 4 * WEEK + 30) * HOUR_MS)
    assert sut.reported() == [(3, "BELOW")]


def test_a_shift_at_an_unusual_time_is_no_flood() -> None:
    sut = learned_phones()
    sut.live(range(3 * WEEK, 3 * WEEK + 8), lambda device, _: 12 if device == 1 else 0)
    sut.live(range(3 * WEEK + 8, 3 * WEEK + 30), shifts)
    assert sut.reported() == []


def test_an_anomaly_is_not_learned_and_one_that_ended_is_reported_again() -> None:
    sut = learned_phones()

    def count(device: int, hour: int) -> int:
        return 1 if device == 1 and hour % 24 == 9 and shifts(device, hour) else shifts(device, hour)

    sut.live(range(3 * WEEK, 3 * WEEK + 72), count)
    assert sut.reported() == [(1, "BELOW")] * 3


def test_an_hour_that_fails_every_week_is_reported_every_week() -> None:
    sut = learned_phones()
    sut.live(
        range(3 * WEEK, 7 * WEEK),
        lambda device, hour: 1 if device == 1 and hour % WEEK == 33 else shifts(device, hour),
    )
    assert sut.reported() == [(1, "BELOW")] * 4


def test_new_habits_are_learned_anew_after_some_days() -> None:
    sut = learned_phones()
    sut.live(
        range(3 * WEEK, 8 * WEEK),
        lambda device, hour: 4 if device == 1 and shifts(device, hour) else shifts(device, hour),
    )
    assert len(sut.found) <= 2
    before = len(sut.found)
    sut.live(range(8 * WEEK, 8 * WEEK + 12), lambda device, hour: 0 if device == 1 else shifts(device, hour))
    sut.advance((MONDAY_HOUR + 8 * WEEK + 30) * HOUR_MS)
    assert len(sut.found) == before + 1


def test_the_hour_follows_the_sites_clock_through_a_change_of_it() -> None:
    sut = Phones(site=SiteFacts(site_id=4, timezone="Europe/Berlin"))  # clocks go forward on 29 March 2026

    def local(device: int, hour: int) -> int:
        return shifts(device, hour + 2 if hour >= 27 * 24 - 23 else hour + 1)

    sut.live(range(6 * WEEK), local)
    assert sut.reported() == []


def test_a_phone_out_of_use_is_forgotten() -> None:
    sut = learned_phones()
    sut.advance((MONDAY_HOUR + 3 * WEEK + 29 * 24) * HOUR_MS)
    assert sut.states == {1: None, 2: None, 3: None}


@pytest.mark.parametrize("op", ["u", "r"])
def test_only_new_rows_are_events(op: Any) -> None:
    row = Location(id=1, tenant_id=1, device_id=1)
    assert PhoneEvents().judge(None, Event(row, 0, op), PhoneEventsPolicy()) == (None, ())


def test_noise_alone_is_seldom_reported() -> None:
    """Poisson counts of phones in shifts that start a little early or late: at most one alarm a site and week."""
    draw = random.Random(3)
    sut = Phones()
    sut.live(
        range(9 * WEEK), lambda device, hour: sum(draw.random() < 0.9 for _ in range(shifts(device, hour))), range(8)
    )
    assert len(sut.found) <= 7
