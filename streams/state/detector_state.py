"""What the detectors remember, by entity: the tables behind their states.

Detectors that read the same tables and keep state for the same kind of entity form a group. A group has one
table; its value holds each detector's state under the detector's name, so that a detector may come or go without
touching the others' states, and, where one of them finds absences, the time it waits for and the row it is about.
What a baseline has learned is kept apart, in two tables of its detector: by entity, and shared by site and tenant.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from contracts.rows import AnyRow
from detectors.interface import AbsenceDetector, BaselineDetector, Detector, Entity, PlannedDetector
from detectors.registry import DETECTORS

EntityKey = tuple[int, int]
"""(tenant id, entity id)."""

PREFIX = "memory_"
OWN_PREFIX = "baseline_"
SHARED_PREFIX = "shared_"
WHOLE_TENANT = 0
"""The id under which `SHARED_PREFIX` keeps what a tenant's entities share; no site has it."""


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The row change that set a timer, or moved it last: what its finding is about."""

    table: str
    row_id: int
    lsn: int
    commit_us: int
    site_id: int | None
    person_id: int | None


class GroupState(msgspec.Struct, omit_defaults=True):
    """One entity's states; each group's own type adds a field per detector. Changed in place, then put."""

    due_ms: int | None = None
    """When the group's timer fires, Unix milliseconds of log time."""
    origin: Origin | None = None


class DetectorGroup:
    """The detectors that share a table.

    Args:
        tables: that they read.
        entity: the kind of entity that states are kept for.
        detectors: that run, in the registry's order; at most one finds absences.
        known: all detectors that ever keep state in this table: one that is switched off keeps its field.

    Raises:
        ValueError: two detectors of it find absences, so that one time would not do.
    """

    def __init__(
        self, tables: tuple[str, ...], entity: Entity, detectors: Sequence[Detector], known: Sequence[Detector]
    ) -> None:
        self.tables = tables
        self.entity = entity
        self.detectors = tuple(detectors)
        self.name = PREFIX + "_".join((*tables, entity))
        absences = [each for each in detectors if isinstance(each, AbsenceDetector | BaselineDetector)]
        if len(absences) > 1:
            raise ValueError(f"{absences[0].name} and {absences[1].name} would share one timer")
        self.absence: AbsenceDetector | BaselineDetector | None = absences[0] if absences else None
        """The detector that waits for a time."""
        self.timed = absences[0].name if absences else ""
        """Its name."""
        self.planned = isinstance(self.absence, PlannedDetector)
        """Whether its times follow from a person's shifts."""
        self.baselines = tuple(each for each in known if isinstance(each, BaselineDetector))
        fields = [(each.name, each.state_type | None, None) for each in known if each.state_type is not None]
        self.memory_type: type[Any] = msgspec.defstruct(
            "".join(part.title() for part in self.name.split("_")), fields, bases=(GroupState,), omit_defaults=True
        )
        self.key_of = _KEYS[entity]
        self.state_names = tuple(name for name, _, _ in fields)
        self.remembers = bool(fields)
        """Whether there is anything to keep."""


def detector_groups(detectors: Sequence[Detector] = DETECTORS) -> tuple[DetectorGroup, ...]:
    """The groups of these detectors, in the order of their first member.

    Those of `Entity.NOTHING` have no states and no table.
    """
    members: dict[tuple[tuple[str, ...], Entity], list[Detector]] = {}
    for detector in detectors:
        members.setdefault((detector.tables, detector.entity), []).append(detector)
    made = []
    for (tables, entity), its in members.items():
        known = {each.name: each for each in (*DETECTORS, *its) if (each.tables, each.entity) == (tables, entity)}
        made.append(DetectorGroup(tables, entity, its, tuple(known.values())))
    return tuple(made)


def _person(row: Any) -> EntityKey | None:
    return None if row.person_id is None else (row.tenant_id, row.person_id)


def _device(row: Any) -> EntityKey | None:
    return None if row.device_id is None else (row.tenant_id, row.device_id)


@lru_cache(maxsize=65_536)
def _kind_id(job_type: str | None, title: str | None) -> int:
    """63 bits that every worker computes alike; upper and lower case and outer spaces do not matter."""
    text = f"{job_type or ''}\0{(title or '').strip().casefold()}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def _kind(row: Any) -> EntityKey | None:
    return (row.tenant_id, _kind_id(row.job_type, row.title))


def _row(row: AnyRow) -> EntityKey | None:
    return (row.tenant_id, row.id)


def _nothing(row: AnyRow) -> EntityKey | None:
    return (row.tenant_id, 0)


_KEYS: dict[Entity, Callable[[Any], EntityKey | None]] = {
    Entity.PERSON: _person,
    Entity.DEVICE: _device,
    Entity.ROW: _row,
    Entity.KIND: _kind,
    Entity.NOTHING: _nothing,
}
