"""Commits of the recorded run, and a writer of the rows of one tenant."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Commit:
    """One record of a captured topic, not yet with its position in the database's log."""

    at_us: int
    tenant: int
    table: str
    op: str = "c"
    before: Row | None = None
    after: Row | None = None
    raw: bool = False
    """Whether the record is no change: its value is `value` as it is."""
    value: bytes | None = None
    ahead_ms: int = 0
    """How much later the database's clock said it was."""
    with_last: bool = False
    """Whether it belongs to the transaction of the commit before it."""
    new_database: bool = False
    """Whether another database stands behind the topics from here on: its log has just begun."""


class TenantRows:
    """Writes rows of a tenant, one commit after the other.

    Args:
        tenant: whose.
        start: when it begins.
    """

    def __init__(self, tenant: int, start: datetime) -> None:
        self.tenant = tenant
        self.start = start
        self.at = start
        """Now."""
        self.made: list[Commit] = []
        self._number = 0

    def go_to(self, hours: float) -> None:
        """Go on so many hours after the start."""
        self.at = self.start + timedelta(hours=hours)

    def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        self.at += timedelta(seconds=seconds)

    def put(self, table: str, after: Row | None, before: Row | None = None, op: str = "", **more: Any) -> Row:
        """One commit, a millisecond after the one before it; returns the row."""
        self.wait(0.001)
        tenant = {"id": self.tenant} if table == "tenant" else {"tenant_id": self.tenant}
        before = None if before is None else tenant | before
        after = None if after is None else tenant | after
        op = op or ("d" if after is None else "u" if before is not None else "c")
        self.made.append(Commit(round(self.at.timestamp() * 1e6), self.tenant, table, op, before, after, **more))
        return after or before or {}

    def check(self, person: int | None = 901, site: int | None = 91, op: str = "", **more: Any) -> Row:
        """A check-in now, at a known site, that nobody objects to unless `more` says otherwise."""
        self._number += 1
        row = {"id": 9_000 + self._number, "site_id": site, "person_id": person, "verified_person_id": person}
        row |= {"device_id": 990, "event_type": "CHECK_IN", "occurred_at": self.at} | more
        return self.put("attendance", row, op=op)

    def fix(self, person: int = 901, **more: Any) -> Row:
        """A position of somebody's phone, at the site."""
        self._number += 1
        row = {"id": 9_000 + self._number, "site_id": 91, "person_id": person, "device_id": 991, "is_mock": False}
        row |= {"latitude": 52.5, "longitude": 13.4, "accuracy_m": 9.0, "speed_mps": 0.4, "recorded_at": self.at}
        return self.put("location", row | more)

    def shift(self, number: int, person: int, site: int = 91, op: str = "", hours: float = 8.0, **more: Any) -> Row:
        """A shift that begins now."""
        row = {"id": number, "person_id": person, "site_id": site, "shift_start": self.at}
        return self.put("assignment", row | {"shift_end": self.at + timedelta(hours=hours)} | more, op=op)

    def site(self, number: int, op: str = "", **more: Any) -> Row:
        """A site."""
        row = {"id": number, "client_id": 9, "name": f"Yard {number}", "latitude": 52.5, "longitude": 13.4}
        return self.put("site", row | {"geofence_radius_m": 150, "timezone": "Europe/Berlin"} | more, op=op)

    def ticket(self, number: int, before: Row | None = None, op: str = "", **more: Any) -> Row:
        """A new ticket, or `before` as it is changed."""
        row = before or {"id": number, "site_id": 91, "status": "NEW", "priority": "HIGH", "created_at": self.at}
        return self.put("ticket", row | more, before, op)

    def policy(self, number: int, detector: str, settings: Any, before: Row | None = None, **more: Any) -> Row:
        """Thresholds of a detector; text is taken as it is."""
        text = settings if isinstance(settings, str) else json.dumps(settings)
        return self.put("policy", {"id": number, "detector": detector, "settings": text} | more, before)
