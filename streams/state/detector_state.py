"""The states of the detectors by entity, and the tables that hold them.

Detectors that read the same tables and keep state for the same kind of entity form a group. A group has one
table. Its values hold each detector's state under the detector's name, so that adding or removing a detector does not
affect the others' states. If a detector of the group finds absences, they also hold its timer and the row it is about.
What a baseline has learned is in two other tables of its detector: by entity, and shared by site and tenant.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from detectors.interface import AbsenceDetector, BaselineDetector, Detector, Entity, PlannedDetector
from detectors.registry import DETECTORS

EntityKey = tuple[int, int]
"""(tenant id, entity id)."""

pack = msgspec.msgpack.Encoder().encode
"""Encodes a state as the changelog does; raises where that is not possible, such as for a number beyond 64 bits."""

PREFIX = "memory_"
OWN_PREFIX = "baseline_"
SHARED_PREFIX = "shared_"
WHOLE_TENANT = 0
"""The id in the `SHARED_PREFIX` tables for what all entities of a tenant share; no site has it."""


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The row change that last set a timer, which its finding is about."""

    table: str
    row_id: int
    lsn: int
    commit_us: int
    site_id: int | None
    person_id: int | None


class GroupState(msgspec.Struct, omit_defaults=True):
    """The states of an entity; the type of each group adds a field for each detector. Changed in place, then put."""

    due_ms: int | None = None
    """When the group's timer fires, Unix milliseconds of log time."""
    origin: Origin | None = None


def replace_state(states: GroupState, name: str, after: Any) -> None:
    """Store a detector's new state.

    Raises:
        Exception: it cannot be encoded; the old state still holds.
    """
    before = getattr(states, name)
    setattr(states, name, after)
    try:
        pack(after)
    except Exception:
        setattr(states, name, before)
        raise


class DetectorGroup:
    """The detectors that share a table.

    Args:
        tables: the tables that they read.
        entity: the kind of entity that states are kept for.
        detectors: the running detectors, in the registry's order; at most one finds absences.
        known: all detectors with state in this table: a detector that is switched off keeps its field.

    Raises:
        ValueError: two detectors find absences, but there is only one timer.
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
        """The detector that finds absences."""
        self.timed = absences[0].name if absences else ""
        """Its name."""
        self.planned = isinstance(self.absence, PlannedDetector)
        """Whether its times depend on a person's shifts."""
        self.baselines = tuple(each for each in known if isinstance(each, BaselineDetector))
        fields = [(each.name, each.state_type | None, None) for each in known if each.state_type is not None]
        self.memory_type: type[Any] = msgspec.defstruct(
            "".join(part.title() for part in self.name.split("_")), fields, bases=(GroupState,), omit_defaults=True
        )
        self.key_of = _KEYS[entity]
        self.state_names = tuple(name for name, _, _ in fields)
        self.remembers = bool(fields)
        """Whether there is any state."""


def detector_groups(detectors: Sequence[Detector] = DETECTORS) -> tuple[DetectorGroup, ...]:
    """The groups of these detectors, in the order of their first member.

    A group of `Entity.NOTHING` has no state and no table.
    """
    members: dict[tuple[tuple[str, ...], Entity], list[Detector]] = {}
    for detector in detectors:
        members.setdefault((detector.tables, detector.entity), []).append(detector)
    made = []
    for (tables, entity), its in members.items():
        known = {each.name: each for each in (*DETECTORS, *its) if (each.tables, each.entity) == (tables, entity)}
        made.append(DetectorGroup(tables, entity, its, tuple(known.values())))
    return tuple(made)


@lru_cache(maxsize=65_536)
def _kind_id(job_type: str | None, title: str | None) -> int:
    """63 bits that are the same in every worker; case and surrounding spaces do not matter."""
    text = f"{job_type or ''}\0{(title or '').strip().casefold()}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


_KEYS: dict[Entity, Callable[[Any], EntityKey | None]] = {
    Entity.PERSON: lambda row: None if row.person_id is None else (row.tenant_id, row.person_id),
    Entity.DEVICE: lambda row: None if row.device_id is None else (row.tenant_id, row.device_id),
    Entity.ROW: lambda row: (row.tenant_id, row.id),
    Entity.KIND: lambda row: (row.tenant_id, _kind_id(row.job_type, row.title)),
    Entity.NOTHING: lambda row: (row.tenant_id, 0),
}
