"""The fraud score: within 0..1, and never lower for more evidence or stronger evidence."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.attendance import Fold, place, shift

from detectors.attendance.buddy_punching import BuddyPunching
from detectors.attendance.helpers.fraud_score import saturating_score
from detectors.attendance.impossible_shifts import ImpossibleShifts
from detectors.attendance.late_check_in import LateCheckIn
from detectors.attendance.overtime import Overtime
from detectors.attendance.unauthorized_site import UnauthorizedSite
from detectors.attendance.unexpected_location import UnexpectedLocation
from detectors.attendance.wrong_person import WrongPerson
from detectors.finding_draft import FindingDraft, combined_fraud_score

M = 1 / 111_195
share = st.floats(0, 1)
amount = st.floats(0, 1e12)


@given(share, amount, amount, st.floats(1e-6, 1e9))
def test_a_score_grows_with_the_excess_and_stays_below_its_maximum(
    score_max: float, one: float, other: float, scale: float
) -> None:
    less, more = sorted((one, other))
    assert (
        0 <= saturating_score(score_max, less, scale) <= saturating_score(score_max, more, scale) <= score_max + 0.0005
    )


@given(st.lists(share, min_size=1), share)
def test_a_further_piece_of_evidence_never_lowers_the_combination(scores: list[float], further: float) -> None:
    before, after = combined_fraud_score(scores), combined_fraud_score([*scores, further])
    assert before is not None
    assert after is not None
    assert 0 <= before <= after <= 1


def found_by_all(
    *, late_s: float, outside_m: float, travel_m: float, others: int, mismatch: bool
) -> dict[str, FindingDraft]:
    """What all detectors find in one check-in of person 17 at site 4, by detector."""
    hour = 8 + late_s / 3600
    where: dict[str, Any] = {"latitude": 48 + (100 + outside_m) * M, "longitude": 11.0, "accuracy_m": 10.0}
    row = where | {"device_id": 9, "id": 100, "verified_person_id": 23 if mismatch else 17}
    sites = {4: place(4), 5: place(5, north_km=travel_m / 1000)}
    found: dict[str, FindingDraft] = {}
    for detector in (
        WrongPerson(),
        BuddyPunching(),
        UnauthorizedSite(),
        UnexpectedLocation(),
        ImpossibleShifts(),
        LateCheckIn(),
    ):
        sut = Fold(detector, shifts=[shift(8, 9)], sites=sites)
        if isinstance(detector, BuddyPunching):
            for number in range(others):
                sut.check_in(hour - 0.0005, person_id=200 + number, device_id=9)
        if isinstance(detector, ImpossibleShifts):
            sut.check_out(hour - 0.1, site_id=5)
        for draft in sut.check_in(hour, **row):
            found[detector.name] = draft
    return found


evidence = st.fixed_dictionaries(
    {
        "late_s": st.floats(0, 20_000),
        "outside_m": st.floats(0, 1e6),
        "travel_m": st.floats(1_000, 1e6),
        "others": st.integers(0, 5),
        "mismatch": st.booleans(),
    }
)


@given(evidence, st.sampled_from(["outside_m", "travel_m", "others", "mismatch"]), st.data())
def test_the_score_of_an_event_never_falls_when_one_piece_of_evidence_grows(
    given_evidence: dict[str, Any], piece: str, data: st.DataObject
) -> None:
    more: Any = {
        "outside_m": st.floats(given_evidence["outside_m"], 2e6),
        "travel_m": st.floats(given_evidence["travel_m"], 2e6),
        "others": st.integers(given_evidence["others"], 7),
        "mismatch": st.booleans().map(lambda drawn: drawn or given_evidence["mismatch"]),
    }
    stronger = given_evidence | {piece: data.draw(more[piece])}
    before, after = found_by_all(**given_evidence), found_by_all(**stronger)
    assert set(before) <= set(after)
    for name, draft in before.items():
        assert draft.fraud_score is not None
        assert 0 <= draft.fraud_score <= (after[name].fraud_score or 0)
    total = combined_fraud_score(each.fraud_score for each in before.values()) or 0.0
    assert total <= (combined_fraud_score(each.fraud_score for each in after.values()) or 0.0)


@given(st.floats(13.1, 19.9), st.floats(13.1, 19.9))
def test_longer_days_score_higher(one: float, other: float) -> None:
    def score(hours: float) -> float:
        sut = Fold(Overtime())
        sut.check_in(2)
        (draft,) = sut.check_out(2 + hours)
        return draft.fraud_score or 0.0

    less, more = sorted((one, other))
    assert 0 < score(less) <= score(more) <= 1
