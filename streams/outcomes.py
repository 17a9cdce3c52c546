"""The outcomes of an input: the values that handlers return and `streams.feed` writes. No behaviour.

An outcome is complete: names and sites are looked up when it is created, so that writing it needs no table.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Self, TypeAlias

import msgspec

from contracts.envelope import Change
from contracts.rows import Ticket
from detectors.finding_draft import FindingDraft
from streams.engine.model import Entry
from streams.state.detector_state import Origin
from streams.state.entities import SiteState
from streams.state.site_context import SiteContext


class FindingRaised(NamedTuple):
    """Something is wrong with a row change."""

    entry: Entry
    change: Change
    context: SiteContext
    site_id: int | None
    person_id: int | None
    person_name: str | None
    drafts: Sequence[FindingDraft]


class AbsenceFound(NamedTuple):
    """Something did not happen in time."""

    tenant_id: int
    detector: str
    due_ms: int
    """When it should have happened, Unix milliseconds of log time."""
    origin: Origin
    context: SiteContext
    person_name: str | None
    drafts: Sequence[FindingDraft]


class TicketStatusChanged(NamedTuple):
    """A ticket's row was updated and its status has changed."""

    entry: Entry
    change: Change
    before: Ticket
    after: Ticket
    site: SiteState | None


class BurstEnded(NamedTuple):
    """A burst over a tenant's rate limit is over, or has gone on for the report interval."""

    tenant_id: int
    dropped: int
    """The number of events that were not scored."""
    window_start_ms: int
    """The start of its first window, Unix milliseconds of log time."""
    limit: int
    """The number of events that are scored in each window."""


class EventClean(msgspec.Struct, frozen=True, gc=False):
    """An event was scored and nothing is wrong with it. Nearly every event is clean, so this must be cheap to create."""

    tenant_id: int
    event_id: str
    event_type: str
    site_id: int | None
    client_id: int | None
    commit_us: int


class RecordFailed(NamedTuple):
    """A record could not be read, or made a handler or a detector raise: it becomes a dead letter."""

    entry: Entry
    detector: str
    """What failed: `decode`, a detector's name, or the table of the handler."""
    reason: str
    exception_class: str

    @classmethod
    def by(cls, entry: Entry, detector: str, error: Exception) -> Self:
        """The outcome of a record that raised this exception."""
        return cls(entry, detector, str(error), type(error).__name__)


class RecordsLeftOut(NamedTuple):
    """Failed records of a tenant beyond its limit of dead letters: one dead letter stands for all of them."""

    tenant_id: int
    records: int
    offsets: Mapping[int, Sequence[tuple[int, int]]]
    """By index of their topic, ranges of offsets, both ends inclusive."""


class TimerFailed(NamedTuple):
    """A detector raised when its timer fired; there is no dead letter, because its row was judged long ago."""

    tenant_id: int
    detector: str
    exception_class: str


FeedOutcome: TypeAlias = FindingRaised | AbsenceFound | TicketStatusChanged | BurstEnded
"""Outcomes that become a message of the operators' feed."""
Outcome: TypeAlias = FeedOutcome | EventClean | RecordFailed | RecordsLeftOut | TimerFailed
Outcomes: TypeAlias = Iterable[Outcome]
NONE: tuple[Outcome, ...] = ()
