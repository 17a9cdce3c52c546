"""What a detector is: a pure fold over the events of one entity.

**Entity.** A detector names the tables that it reads and the entity whose state it keeps: of an attendance row the
person's, the device's or the row's own. The worker keeps one state for each tenant and entity and hands the detector
its own part. Detectors of the same tables and entity share a record in the changelog, nothing else.

**State.** An immutable msgspec struct of bounded size that survives MessagePack and JSON; None before the first event.
A detector returns the same object where nothing has changed: then nothing is written.

**Time.** `Event.now_us` is the log's clock. A detector never reads another.

**Learning only.** Rows of a snapshot, and rows over the tenant's limit, go through the detectors like all others and
their findings are dropped: the state is right, and nobody is alerted.

**Absence.** An `AbsenceDetector` finds what did not happen: the worker calls `expire` once the log's clock has reached
`due_ms`, without a row. Of the detectors that share a record at most one may do so.

**Baselines.** What a detector learns over weeks is large and seldom changes, so it is kept apart from the state that
every row changes. A `BaselineDetector` is given it when its time has come, in `conclude`, which replaces `expire`: what
is known of the entity itself, and what it shares with the other entities of its site and of its tenant.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import msgspec

from contracts.rows import AnyRow
from detectors.finding_draft import FindingDraft
from detectors.policy import Policy
from detectors.shared.facts import Shift, SiteFacts

R = TypeVar("R", bound=AnyRow)


class Entity(StrEnum):
    """Whose state a detector keeps."""

    NOTHING = "nothing"
    """It keeps none: each event is judged by itself."""
    PERSON = "person"
    DEVICE = "device"
    ROW = "row"
    """The row itself, through all its changes: a ticket, a task."""
    KIND = "kind"
    """All jobs of a tenant with the same type and title."""


class Event(msgspec.Struct, Generic[R], frozen=True, gc=False):
    """One row change and what is known around it."""

    row: R
    """The row as it is now. Each value is plausible by itself: `detectors.row_quality.data_quality` has set those to
    None that were not."""
    now_us: int
    """Commit time, microseconds since 1970."""
    op: Literal["c", "u", "r"] = "c"
    before: R | None = None
    """The row as it was, for `u` where the table logs it."""
    site: SiteFacts | None = None
    """The site that the row names."""
    shifts: Sequence[Shift] = ()
    """The shifts of the person that the row names; only for attendance and location."""
    missing: tuple[str, ...] = ()
    """References that the row names and that did not arrive in time: "site", "person", "assignment"."""
    at_s: float | None = None
    """When a check was made or a fix was taken, Unix seconds, computed once for all detectors. None where nobody has
    done so, or where no calendar has the time; so always write `event.at_s or ...` with the row's own column."""


FindingDrafts: TypeAlias = Sequence[FindingDraft]
NOTHING: FindingDrafts = ()
"""What a detector returns most of the time; it allocates nothing."""


@runtime_checkable
class Detector(Protocol):
    """One detector; see the module's docstring. Stateless itself: one instance serves all tenants.

    A subclass states `name` and `tables` as class attributes, and of the others those that differ from the defaults.
    """

    name: str
    """Its module's name: what policies, settings and dead letters call it."""
    tables: tuple[str, ...]
    """The canonical tables whose rows it reads."""
    entity: Entity = Entity.NOTHING
    """Whose state it keeps."""
    state_type: type[Any] | None = None
    """The type of that state; None where it keeps none."""
    policy: Policy = Policy()
    """Its thresholds where nobody has set others."""

    def judge(self, state: Any, event: Event[Any], policy: Any) -> tuple[Any, FindingDrafts]:
        """The state after the event, and what is wrong with the event."""


@runtime_checkable
class AbsenceDetector(Detector, Protocol):
    """A detector that also finds what did not happen."""

    def due_ms(self, state: Any, policy: Any) -> int | None:
        """When there is a finding if nothing happens until then, Unix milliseconds; None: never."""

    def expire(self, state: Any, at_ms: int, policy: Any) -> tuple[Any, FindingDrafts]:
        """The time has come: the state after it, and what is missing. `due_ms` of that state is None or later."""


@runtime_checkable
class PlannedDetector(AbsenceDetector, Protocol):
    """An absence detector of persons whose times follow from their shifts, which may change while it waits."""

    def replan(self, state: Any, shifts: Sequence[Shift], policy: Any) -> Any:
        """The state by the person's shifts as they are now; the same object where nothing has moved."""


class Learned(NamedTuple):
    """What a `BaselineDetector` has learned; each part is None before there is any."""

    own: Any
    """About the entity itself."""
    site: Any
    """About all entities of the site; None where the site is not known, and then not kept."""
    tenant: Any
    """About all entities of the tenant."""


class SpanEnd(msgspec.Struct, frozen=True, gc=False):
    """The end of the time span that a `BaselineDetector` judges."""

    entity_id: int
    at_ms: int
    """The time that `due_ms` returned, Unix milliseconds."""
    site: SiteFacts | None = None
    """The site of the row that set the timer."""


@runtime_checkable
class BaselineDetector(Detector, Protocol):
    """A detector that learns what is usual, and judges a span of time when it is over."""

    own_type: type[Any]
    """The type of what it learns about one entity."""
    shared_type: type[Any]
    """The type of what it learns about all entities of a site, and of a tenant."""

    def due_ms(self, state: Any, policy: Any) -> int | None:
        """When the span is over, Unix milliseconds; None: never."""

    def conclude(self, state: Any, learned: Learned, end: SpanEnd, policy: Any) -> tuple[Any, Learned, FindingDrafts]:
        """The span is over: the state after it, what is known by now, and what is unusual.

        What did not change is the same object, else it is written. `due_ms` of the state is None or later.
        """
