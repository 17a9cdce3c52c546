"""What a detector is: a pure fold over one entity's events.

**Entity.** The detector names the tables that it reads and the entity whose memory it keeps: of an attendance row
the person's, the device's, the row's own. The worker keeps one memory a tenant and entity and hands the detector
its own part. Detectors of the same tables and entity share a record in the changelog, nothing else.

**State.** An immutable msgspec struct that survives MessagePack and JSON, of bounded size; None before the first
event. A detector returns the same object where nothing changed: then nothing is written.

**Time.** `Event.now_us` is the log's clock. A detector never reads another.

**Taught.** Rows of a snapshot, and rows over the tenant's limit, are judged like others and the judgements thrown
away: the state is right, nobody is alerted.

**Absence.** A detector with `due_ms` finds what did not happen: the worker calls `expire` once the log's clock
has reached that time, without a row. Of detectors that share a memory at most one is such.

**Baselines.** What a detector learns over weeks is large and changes seldom, so it is kept apart from the memory that
every row changes: a `BaselineDetector` is handed it when its time has come, `conclude` in the place of `expire`: the
entity's own, and what it shares with the entities of its site and of its tenant.
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
    """Whose memory a detector keeps."""

    NOTHING = "nothing"
    """It needs none: it judges each event by itself."""
    PERSON = "person"
    DEVICE = "device"
    ROW = "row"
    """The row itself, through its changes: a ticket, a task."""
    KIND = "kind"
    """All jobs of one type and title of a tenant."""


class Event(msgspec.Struct, Generic[R], frozen=True, gc=False):
    """One row change and what is known around it."""

    row: R
    """The row as it is now. Its values are plausible one by one: `detectors.row_quality.data_quality` has blanked what was not."""
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
    """References that the row names and that did not come in time: "site", "person", "assignment"."""
    at_s: float | None = None
    """When a check was made or a fix taken, Unix seconds, worked out once for all detectors. None where nobody has, or
    where no calendar has the time; so always `event.at_s or ...`, with what the row itself says."""


FindingDrafts: TypeAlias = Sequence[FindingDraft]
NOTHING: FindingDrafts = ()
"""What a detector returns most of the time; it allocates nothing."""


@runtime_checkable
class Detector(Protocol):
    """One detector; see the module's text. Stateless itself: one instance serves all tenants."""

    @property
    def name(self) -> str:
        """Its module's name, the name in policies and in dead letters."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The canonical tables whose rows it reads."""

    @property
    def entity(self) -> Entity:
        """Whose memory it keeps."""

    @property
    def state_type(self) -> type[Any] | None:
        """What it keeps; None for `Entity.NOTHING`."""

    @property
    def policy(self) -> Policy:
        """Its defaults."""

    def judge(self, state: Any, event: Event[Any], policy: Any) -> tuple[Any, FindingDrafts]:
        """The state after the event, and what is wrong."""


@runtime_checkable
class AbsenceDetector(Detector, Protocol):
    """A detector that also finds what did not happen."""

    def due_ms(self, state: Any, policy: Any) -> int | None:
        """When there is something to say if nothing happens until then, Unix milliseconds; None: never."""

    def expire(self, state: Any, at_ms: int, policy: Any) -> tuple[Any, FindingDrafts]:
        """The time has come: the state after it, and what is missing. `due_ms` of that state is None or later."""


@runtime_checkable
class PlannedDetector(AbsenceDetector, Protocol):
    """An absence detector of persons whose times follow from their shifts, which may change while it waits."""

    def replan(self, state: Any, shifts: Sequence[Shift], policy: Any) -> Any:
        """The state by the person's shifts as they are now; the same object where nothing moved."""


class Learned(NamedTuple):
    """What a `BaselineDetector` has learned; each part None before there is any."""

    own: Any
    """The entity's."""
    site: Any
    """What the entities of the site share; None where the site is not known, and then not kept."""
    tenant: Any
    """What the entities of the tenant share."""


class Closing(msgspec.Struct, frozen=True, gc=False):
    """The occasion on which a `BaselineDetector` concludes."""

    entity_id: int
    at_ms: int
    """The time that `due_ms` said, Unix milliseconds."""
    site: SiteFacts | None = None
    """The site of the row that set the timer."""


@runtime_checkable
class BaselineDetector(Detector, Protocol):
    """A detector that learns what is usual, and judges when a span of time is over."""

    @property
    def own_type(self) -> type[Any]:
        """What it learns of an entity."""

    @property
    def shared_type(self) -> type[Any]:
        """What it learns of a site's and of a tenant's entities together."""

    def due_ms(self, state: Any, policy: Any) -> int | None:
        """When the span is over, Unix milliseconds; None: never."""

    def conclude(
        self, state: Any, learned: Learned, closing: Closing, policy: Any
    ) -> tuple[Any, Learned, FindingDrafts]:
        """The time has come: the state after it, what is learned then, and what is unusual.

        What did not change is the same object, else it is written. `due_ms` of the state is None or later.
        """
