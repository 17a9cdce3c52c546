"""WRONG_PERSON by buddy punching: several persons on one phone within seconds, but not the queue at a terminal."""

from support.attendance import Fold

from detectors.attendance.buddy_punching import BuddyPunching, BuddyPunchingPolicy
from detectors.finding_draft import FindingDraft

DAY = 24.0
SECOND = 1 / 3600


def check(sut: Fold, hour: float, person: int, **more: object) -> list[FindingDraft]:
    """A person checks in on device 9."""
    return sut.check_in(hour, person_id=person, device_id=9, **more)


def terminal(*, recognises: bool) -> Fold:
    """A device that six persons have used."""
    sut = Fold(BuddyPunching())
    for number in range(6):
        check(sut, number, number, verified_person_id=number if recognises else None)
    return sut


def test_two_persons_on_one_phone_within_seconds() -> None:
    sut = Fold(BuddyPunching())
    assert not check(sut, 8, 17)
    (draft,) = check(sut, 8 + 4 * SECOND, 23)
    assert (draft.finding_type, draft.severity) == ("WRONG_PERSON", "HIGH")
    assert draft.evidence == {
        "device_id": 9,
        "observed_person_ids": [17, 23],
        "n": 2,
        "observed_s": 4.0,
        "threshold_s": 10.0,
        "face_check_recognised_all": False,
    }


def test_each_further_person_is_reported() -> None:
    sut = Fold(BuddyPunching())
    found = [check(sut, 8 + number * SECOND, number) for number in range(6)]
    assert [len(each) for each in found] == [0, 1, 1, 1, 1, 1]
    assert found[-1][0].evidence["n"] == 6


def test_a_minute_later_the_phone_was_handed_on() -> None:
    sut = Fold(BuddyPunching())
    check(sut, 8, 17)
    assert not check(sut, 8 + 60 * SECOND, 23)


def test_one_person_may_tap_twice() -> None:
    sut = Fold(BuddyPunching())
    check(sut, 8, 17)
    assert not check(sut, 8 + 2 * SECOND, 17)


def test_the_owners_late_row_does_not_tell_it_again() -> None:
    sut = Fold(BuddyPunching())
    check(sut, 8, 17)
    assert len(check(sut, 8 + 2 * SECOND, 23)) == 1
    assert not check(sut, 8 + 5 * SECOND, 17, uploaded=12)


def test_the_order_of_the_upload_does_not_matter() -> None:
    sut = Fold(BuddyPunching())
    check(sut, 8 + 4 * SECOND, 23)
    assert len(check(sut, 8, 17, uploaded=9)) == 1


def test_people_queue_at_a_terminal() -> None:
    for recognises in (True, False):
        sut = terminal(recognises=recognises)
        for number in range(30):
            verified = number if recognises else None
            assert not check(sut, 10 + number * SECOND, number, verified_person_id=verified)


def test_a_terminal_is_still_one_after_the_week_end_and_a_phone_again_after_weeks() -> None:
    sut = terminal(recognises=True)
    check(sut, 6, 7)
    assert not check(sut, 3 * DAY, 1) + check(sut, 3 * DAY + SECOND, 2, verified_person_id=2)
    check(sut, 40 * DAY, 1)
    assert len(check(sut, 40 * DAY + SECOND, 2)) == 1


def test_on_a_terminal_that_knows_faces_two_unknown_ones_at_once_are_reported() -> None:
    sut = terminal(recognises=True)
    check(sut, 10, 21)
    assert len(check(sut, 10 + SECOND, 22)) == 1
    assert not check(sut, 10 + 8 * SECOND, 23)


def test_a_face_check_may_be_trusted_by_policy() -> None:
    sut = Fold(BuddyPunching(), BuddyPunchingPolicy(face_check_clears=True))
    check(sut, 8, 17, verified_person_id=17)
    assert not check(sut, 8 + SECOND, 23, verified_person_id=23)
    believed = Fold(BuddyPunching())
    check(believed, -24, 17)
    check(believed, 8, 17, verified_person_id=17)
    (draft,) = check(believed, 8 + SECOND, 23, verified_person_id=23)
    assert draft.fraud_score is not None
    assert draft.fraud_score <= 0.4


def test_a_row_that_comes_twice_is_judged_once() -> None:
    sut = Fold(BuddyPunching())
    check(sut, 8, 17, id=1)
    assert len(check(sut, 8 + SECOND, 23, id=2)) == 1
    state = sut.state
    assert not check(sut, 8 + SECOND, 23, id=2)
    assert sut.state is state


def test_the_first_queue_at_a_new_terminal_is_no_finding_where_faces_are_recognised() -> None:
    sut = Fold(BuddyPunching())
    for number in range(8):
        assert not check(sut, 8 + 6 * number * SECOND, number, verified_person_id=number)
    crowd = Fold(BuddyPunching())
    found = [check(crowd, 8 + number * SECOND, number, verified_person_id=number) for number in range(3)]
    assert [len(each) for each in found] == [0, 0, 1]
