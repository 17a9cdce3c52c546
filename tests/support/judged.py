"""Runs one detector over rows by hand: state, rows and times in, findings out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.rows import ROW_TYPES
from detectors.finding_draft import FindingDraft
from detectors.interface import AbsenceDetector, Detector, Event

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes after the start."""
    return START + timedelta(minutes=minutes)


@dataclass
class Judged:
    """A detector with the memory of one entity, and the row that is changed."""

    detector: Detector
    policy: Any = None
    row: Mapping[str, Any] | None = None
    state: Any = None
    found: list[FindingDraft] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policy = self.policy or self.detector.policy

    def insert(self, minutes: float, **values: Any) -> list[FindingDraft]:
        """A new row at so many minutes."""
        self.row = {"id": 1, "tenant_id": 1, "site_id": 4} | values
        return self._judge(minutes, "c", None)

    def update(self, minutes: float, *, logged: bool = True, **values: Any) -> list[FindingDraft]:
        """Change some of the row's values; `logged`: the row as it was comes with it."""
        before = dict(self.row or {})
        self.row = before | values
        return self._judge(minutes, "u", before if logged else None)

    def wait(self, minutes: float) -> list[FindingDraft]:
        """No row comes until so many minutes: what was due by then."""
        assert isinstance(self.detector, AbsenceDetector)
        due_ms = None if self.state is None else self.detector.due_ms(self.state, self.policy)
        if due_ms is None or due_ms > at(minutes).timestamp() * 1000:
            return []
        self.state, found = self.detector.expire(self.state, due_ms, self.policy)
        again_ms = None if self.state is None else self.detector.due_ms(self.state, self.policy)
        assert again_ms is None or again_ms > due_ms
        return list(found)

    def due_minutes(self) -> float | None:
        """When something is due, minutes after the start."""
        assert isinstance(self.detector, AbsenceDetector)
        due_ms = None if self.state is None else self.detector.due_ms(self.state, self.policy)
        return None if due_ms is None else (due_ms / 1000 - START.timestamp()) / 60

    def _judge(self, minutes: float, op: Any, before: Mapping[str, Any] | None) -> list[FindingDraft]:
        row_type = ROW_TYPES[self.detector.tables[0]]
        event: Event[Any] = Event(
            row_type(**(self.row or {})),
            round(at(minutes).timestamp() * 1e6),
            op,
            None if before is None else row_type(**before),
        )
        self.state, found = self.detector.judge(self.state, event, self.policy)
        return list(found)
