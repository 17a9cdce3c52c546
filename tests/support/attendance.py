"""Check-ins and check-outs by hand, and a detector that folds over them: the outside of an attendance detector."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.rows import Attendance
from detectors.finding_draft import FindingDraft
from detectors.interface import AbsenceDetector, Detector, Event
from detectors.shared.facts import Shift, SiteFacts
from detectors.shared.geo import circle

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""


def at(hour: float) -> datetime:
    """So many hours after the Monday's midnight, UTC."""
    return MIDNIGHT + timedelta(hours=hour)


def shift(start: float, end: float, *, site: int = 4, number: int = 1) -> Shift:
    """A shift between two hours."""
    return Shift(number, site, at(start).timestamp(), at(end).timestamp())


def place(site: int, *, north_km: float = 0.0, radius_m: float = 100.0, timezone: str = "UTC") -> SiteFacts:
    """A round site so many kilometres north of the first one."""
    latitude = 48.0 + north_km / 111.195
    return SiteFacts(
        site_id=site,
        latitude=latitude,
        longitude=11.0,
        geofence_radius_m=radius_m,
        area=circle(latitude, 11.0, radius_m, reach_m_max=1e5),
        timezone=timezone,
    )


@dataclass
class Fold:
    """A detector, what it remembers, and what it has found."""

    detector: Detector
    policy: Any = None
    shifts: list[Shift] = field(default_factory=list)
    sites: dict[int, SiteFacts] = field(default_factory=dict)
    state: Any = None
    rows: int = 0

    def __post_init__(self) -> None:
        self.policy = self.policy or self.detector.policy

    def check_in(self, hour: float, **more: Any) -> list[FindingDraft]:
        """Somebody checks in at that hour."""
        return self.check("CHECK_IN", hour, **more)

    def check_out(self, hour: float, **more: Any) -> list[FindingDraft]:
        """Somebody checks out at that hour."""
        return self.check("CHECK_OUT", hour, **more)

    def check(
        self,
        kind: str,
        hour: float,
        *,
        uploaded: float | None = None,
        before: Attendance | None = None,
        op: Any = "c",
        missing: tuple[str, ...] = (),
        **more: Any,
    ) -> list[FindingDraft]:
        """A row is judged; `uploaded`: the hour at which it was committed, where that was later."""
        self.rows += 1
        row = self.row(kind, hour, **more)
        now_us = round(at(hour if uploaded is None else uploaded).timestamp() * 1e6)
        site = self.sites.get(row.site_id or 0)
        event = Event(row, now_us, op, before, site, self.shifts, missing)
        self.state, found = self.detector.judge(self.state, event, self.policy)
        return list(found)

    def row(self, kind: str, hour: float, **more: Any) -> Attendance:
        """A row of person 17 at site 4, unless `more` says otherwise."""
        values: dict[str, Any] = {"id": self.rows, "tenant_id": 1, "person_id": 17, "site_id": 4, "event_type": kind}
        return Attendance(**(values | {"occurred_at": at(hour)} | more))

    def wait_until(self, hour: float) -> list[FindingDraft]:
        """Nothing happens until then: what was due."""
        assert isinstance(self.detector, AbsenceDetector)
        found: list[FindingDraft] = []
        while True:
            due_ms = None if self.state is None else self.detector.due_ms(self.state, self.policy)
            if due_ms is None or due_ms > at(hour).timestamp() * 1000:
                return found
            self.state, judgements = self.detector.expire(self.state, due_ms, self.policy)
            found += judgements

    def due_hour(self) -> float | None:
        """When something is due."""
        assert isinstance(self.detector, AbsenceDetector)
        due_ms = None if self.state is None else self.detector.due_ms(self.state, self.policy)
        return None if due_ms is None else (due_ms / 1000 - MIDNIGHT.timestamp()) / 3600
