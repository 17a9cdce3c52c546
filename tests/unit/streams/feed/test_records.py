"""Each outcome that operators shall see has its record, and identifiers depend on the outcome alone."""

from typing import Any, get_args

from support.changes import Worker, change, check_in, ticket_row

from contracts.findings import Category, FindingType, Severity
from detectors.attendance.wrong_person import WrongPerson
from detectors.finding_draft import FindingDraft
from detectors.interface import FindingDrafts
from streams.feed.records import DESCRIPTION_CHARACTERS_MAX, RECORDS
from streams.outcomes import FeedOutcome


def test_every_outcome_of_the_feed_has_a_record() -> None:
    assert set(RECORDS) == set(get_args(FeedOutcome))


class Twice(WrongPerson):
    """Says the same of one row two times."""

    name = "twice"

    def judge(self, state: None, *_: Any) -> tuple[None, FindingDrafts]:
        draft = FindingDraft(
            finding_type=FindingType.WRONG_PERSON,
            category=Category.ATTENDANCE,
            severity=Severity.LOW,
            title="",
            description="",
            evidence={},
        )
        return state, (draft, draft)


def test_two_findings_of_one_type_have_identifiers_of_their_own() -> None:
    first, again = (Worker(detectors=(Twice(),)).run([check_in()]) for _ in range(2))
    identifiers = [finding.id for finding in first[0].findings]
    assert len(set(identifiers)) == 2
    assert identifiers == [finding.id for finding in again[0].findings]


def test_a_description_is_cut_and_one_that_is_missing_is_empty() -> None:
    for text, characters in (("x" * 300, DESCRIPTION_CHARACTERS_MAX), (None, 0)):
        row = ticket_row("OPEN", description=text)
        (record,) = Worker().run([change("ticket", row, row | {"status": "NEW"})])
        assert len(record.description) == characters
