"""DEVICE_OFFLINE: a device that says so, or that is silent."""

from hypothesis import given
from hypothesis import strategies as st
from support.judged import Judged, at

from detectors.devices.device_offline import DeviceOffline


def device(**more: object) -> Judged:
    """One that is seen at minute 0."""
    sut = Judged(DeviceOffline())
    sut.found = sut.insert(0, **({"status": "ONLINE", "last_seen": at(0)} | more))
    return sut


def test_silence_is_reported_once_and_again_after_it_was_seen() -> None:
    sut = device()
    assert sut.wait(14) == []
    (draft,) = sut.wait(15)
    assert (draft.evidence["reason"], draft.evidence["observed_minutes"]) == ("silent", 15.0)
    sut.update(20, battery_percent=5)
    assert sut.wait(500) == []
    sut.update(501, last_seen=at(501))
    assert sut.wait(516)


def test_the_status_is_reported_when_it_turns_and_once_an_outage() -> None:
    sut = device()
    (draft,) = sut.update(5, status="OFFLINE")
    assert draft.evidence["reason"] == "status"
    assert sut.update(6, battery_percent=5, logged=False) == []
    assert sut.update(7, last_seen=at(7)) == []
    assert sut.wait(500) == []
    assert sut.update(501, status="ONLINE") == []
    assert sut.due_minutes() == 516
    assert sut.update(502, status="OFFLINE")


def test_a_status_that_follows_the_silence_is_the_same_outage() -> None:
    sut = device()
    assert sut.wait(15)
    assert sut.update(20, status="OFFLINE") == []


def test_a_device_that_reports_seldom_is_not_offline_between_its_reports() -> None:
    sut = device()
    for minute in range(30, 300, 30):
        sut.update(minute, last_seen=at(minute))
    assert sut.due_minutes() == 270 + 90


def test_an_outage_does_not_teach_the_interval() -> None:
    sut = device()
    for minute in (5, 10, 500):
        sut.update(minute, last_seen=at(minute))
    assert sut.due_minutes() == 515


def test_a_report_that_comes_late_and_one_from_the_future_do_not_move_the_time() -> None:
    sut = device()
    sut.update(10, last_seen=at(9))
    sut.update(11, last_seen=at(3))
    assert sut.due_minutes() == 9 + 27
    sut.update(12, last_seen=at(5_000))
    assert sut.due_minutes() is not None
    assert (sut.due_minutes() or 0) < 60


def test_one_that_was_never_seen_is_judged_by_its_status_alone() -> None:
    sut = device(last_seen=None)
    assert sut.due_minutes() is None
    assert sut.update(1, status="OFFLINE")


@given(st.lists(st.tuples(st.floats(0.1, 20), st.booleans()), min_size=1, max_size=20))
def test_one_outage_is_never_reported_twice(steps: list[tuple[float, bool]]) -> None:
    sut, minute, reported = device(), 0.0, 0
    for length, offline in steps:
        minute += length
        reported += len(sut.wait(minute))
        reported += len(sut.update(minute, status="OFFLINE" if offline else None, logged=False))
        if not offline:
            sut.update(minute, last_seen=at(minute))
            reported = 0
        assert reported <= 1
