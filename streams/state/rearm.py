"""That timers of a tenant have to be moved because its policies have changed, and how far that has come."""

import msgspec

REARM = "rearm"
"""The table, by tenant; also the table of its timers."""


class Rearm(msgspec.Struct, array_like=True, frozen=True):
    """A walk over the entities of a tenant in the order of tables and ids, a few at a time."""

    due_ms: int
    """When the next ones are looked at, Unix milliseconds of log time."""
    detectors: list[str]
    """The detectors whose policies have changed, ascending."""
    table: str = ""
    """The table and the entity that were looked at last."""
    entity_id: int = 0
    again: list[str] = []
    """The detectors whose policies have changed since the walk began, ascending: another walk follows."""
