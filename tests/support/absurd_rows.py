"""Row changes as nobody would write them, and a watch over what the detectors do with them."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st
from support.changes import NOW_US, change

from contracts.envelope import Change
from contracts.rows import ROW_TYPES
from detectors.interface import AbsenceDetector, Detector, Event, FindingDrafts

STEP_US = 1_000_000
_FINDING_TYPE = re.compile(r"[A-Z]+(_[A-Z0-9]+)*")
_IDS = (1, 1, 1, 2, 2, 3, 2**63 - 1, -(2**63), 0, -5, None)
_FLOATS = (0.0, -0.0, 1.0, 90.0, -180.0, 1e-300, 1e308, -1e308, math.inf, -math.inf, -1.0, 250.0, None)
_LIKELY: dict[str, tuple[Any, ...]] = {
    "site_id": (1, 2),
    "person_id": (1,),
    "verified_person_id": (1,),
    "device_id": (1, 2),
    "latitude": (52.5, 52.5001, 52.51, 52.9, 48.1),
    "longitude": (13.4, 13.4001, 13.41),
    "accuracy_m": (5.0, 12.0, 80.0),
    "speed_mps": (0.0, 1.5, 30.0),
    "geofence_radius_m": (50.0, 200.0),
    "battery_percent": (80.0, 3.0),
    "event_type": ("CHECK_IN", "CHECK_OUT"),
    "status": ("OPEN", "COMPLETED", "ONLINE", "OFFLINE"),
    "priority": ("HIGH", "LOW"),
    "job_type": ("TASK", "TOUR"),
    "is_mock": (False, False, True),
    "checkpoints_expected": (5, 8),
    "checkpoints_scanned": (5, 6),
    "escalation_level": (0, 1, 2),
}
"""Values that may be: a row of nothing but nonsense is blanked before any detector sees much of it."""
_WORDS = (
    "", "CHECK_IN", "CHECK_OUT", "COMPLETED", "ASSIGNED", "IN_PROGRESS", "CANCELLED", "OPEN", "NEW", "RESOLVED", "CLOSED",
    "HIGH", "LOW", "CRITICAL", "OFFLINE", "ONLINE", "TASK", "TOUR", "DONE", "open", "\x00", "Ümlaut 🙂" * 50, "7", None,
)  # fmt: skip
_TIMES = (
    *(timedelta(seconds=seconds) for seconds in (0, 0, -1, -60, -600, 600, 3_600, -3_600, -7_200, -86_400, 86_400)),
    timedelta(hours=-9),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    None,
)
"""A duration counts from the row's commit."""
_SQUARE = '{"type":"Polygon","coordinates":[[[13.3,52.4],[13.5,52.4],[13.5,52.6],[13.3,52.6],[13.3,52.4]]]}'
_OTHERS: dict[str, tuple[Any, ...]] = {
    "geofence": (None, "", "{}", "[1", _SQUARE, '{"type":"Polygon","coordinates":[[]]}', '{"type":"Point"}'),
    "timezone": (None, "", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Nowhere/Land", "../etc"),
    "max_events_per_second": (None,),
}
_SCORED = ("attendance", "location", "jobneed", "ticket", "work_order", "device")
_REFERENCE = ("site", "person", "assignment", "tenant")
_SCENES = (
    (*_SCORED, *_SCORED, *_REFERENCE),
    ("attendance", "attendance", "attendance", "site", "assignment"),
    ("location", "location", "location", "site", "assignment"),
)
"""Tables that a run of changes is drawn from."""


def _values(name: str, kind: Any) -> st.SearchStrategy[Any]:
    if name in _OTHERS:
        return st.sampled_from(_OTHERS[name])
    text = str(kind)
    pool: Sequence[Any] = _IDS
    if "float" in text:
        pool = _FLOATS
    elif "datetime" in text:
        pool = _TIMES
    elif "bool" in text:
        pool = (True, False, None)
    elif "str" in text:
        pool = _WORDS
    likely = _LIKELY.get(name, ())
    return st.sampled_from((*likely * max(1, 2 * len(pool) // max(1, len(likely))), *pool))


def _row(table: str) -> st.SearchStrategy[dict[str, Any]]:
    fields = [field for field in msgspec.structs.fields(ROW_TYPES[table]) if field.name not in {"id", "tenant_id"}]
    drawn = {field.name: _values(field.name, field.type) for field in fields}
    return st.fixed_dictionaries(drawn, optional={})


_ROWS = {table: _row(table) for table in (*_SCORED, *_REFERENCE)}


@st.composite
def changes(draw: st.DrawFn, tenant: int = 1, least: int = 1, most: int = 40) -> list[Change]:
    """Committed changes of a tenant, of every table and operation, at times that go on by seconds or hours."""
    made, at_us = [], NOW_US
    before: dict[tuple[str, int], dict[str, Any]] = {}
    count, tables = draw(st.integers(least, most)), draw(st.sampled_from(_SCENES))
    for number in range(count):
        table = draw(st.sampled_from(tables))
        row_id = tenant if table == "tenant" else draw(st.sampled_from((1, 2, 3, 4, 5, 6)))
        operation = draw(st.sampled_from("cccuurd"))
        at_us += draw(st.sampled_from((0, 1, 1, 60, 600, 3_600, 40_000))) * STEP_US
        at = datetime.fromtimestamp(at_us / 1e6, UTC)
        drawn = draw(_ROWS[table]).items()
        row: dict[str, Any] = {"id": row_id, "tenant_id": tenant}
        row |= {name: at + value if isinstance(value, timedelta) else value for name, value in drawn}
        old = before.get((table, row_id), row) if operation in "ud" else None
        gone = operation == "d"
        made.append(change(table, None if gone else row, old, op=operation, lsn=1_000 + 2 * number, at_us=at_us))
        before[table, row_id] = row
    return made


class Watched:
    """A detector under watch: what it does wrong is added to `defects`, whatever the caller makes of it."""

    def __init__(self, detector: Detector, defects: list[str]) -> None:
        self.name, self.tables, self.entity = detector.name, detector.tables, detector.entity
        self.state_type, self.policy = detector.state_type, detector.policy
        self.state_bytes_max = 0
        self._detector: Any = detector
        self._defects = defects

    def judge(self, state: Any, event: Event[Any], policy: Any) -> tuple[Any, FindingDrafts]:
        """As the detector's, twice."""
        return self._watch("judge", state, (event, policy))

    def _watch(self, what: str, state: Any, arguments: tuple[Any, ...]) -> tuple[Any, FindingDrafts]:
        packed, method = msgspec.msgpack.encode(state), getattr(self._detector, what)
        try:
            after, found = method(state, *arguments)
            again, found_again = method(self._unpacked(packed), *arguments)
        except Exception as error:  # noqa: BLE001 - any at all is the defect that is looked for
            self._note(f"{what} raised {error!r}", state, arguments)
            return state, ()
        now = msgspec.msgpack.encode(after)
        if msgspec.msgpack.encode(state) != packed:
            self._note("changed its state in place", state, arguments)
        if now != msgspec.msgpack.encode(again) or list(found) != list(found_again):
            self._note("did not say the same of a state that came from MessagePack", state, arguments)
        for judgement in found:
            self._check(judgement, state, arguments)
        self.state_bytes_max = max(self.state_bytes_max, len(now))
        return (state if after is state else self._unpacked(now)), found

    def _unpacked(self, packed: bytes) -> Any:
        return msgspec.msgpack.decode(packed, type=self.state_type | None if self.state_type else None)

    def _check(self, judgement: Any, state: Any, arguments: tuple[Any, ...]) -> None:
        if not _FINDING_TYPE.fullmatch(judgement.finding_type):
            self._note(f"finding type {judgement.finding_type}", state, arguments)
        if any(isinstance(value, float) and not math.isfinite(value) for value in judgement.evidence.values()):
            self._note(f"evidence that is no number: {judgement.evidence}", state, arguments)
        if judgement.fraud_score is not None and not 0 <= judgement.fraud_score <= 1:
            self._note(f"fraud score {judgement.fraud_score}", state, arguments)

    def _note(self, what: str, state: Any, arguments: tuple[Any, ...]) -> None:
        self._defects.append(f"{self.name} {what}; state {state}, given {arguments}")


class WatchedAbsence(Watched):
    """The same of one that finds absences."""

    def due_ms(self, state: Any, policy: Any) -> int | None:
        """As the detector's."""
        try:
            due_ms = self._detector.due_ms(state, policy)
        except Exception as error:  # noqa: BLE001 - as above
            self._note(f"due_ms raised {error!r}", state, ())
            return None
        if due_ms is not None and type(due_ms) is not int:
            self._note(f"is due at {due_ms!r}", state, ())
            return None
        return due_ms

    def expire(self, state: Any, at_ms: int, policy: Any) -> tuple[Any, FindingDrafts]:
        """As the detector's, twice."""
        after, found = self._watch("expire", state, (at_ms, policy))
        due_ms = None if after is None else self.due_ms(after, policy)
        if due_ms is not None and due_ms <= at_ms:
            self._note(f"is due again at {due_ms}", state, (at_ms,))
        return after, found


def watched(detectors: Sequence[Detector], defects: list[str]) -> list[Watched]:
    """The detectors under watch."""
    return [(WatchedAbsence if isinstance(each, AbsenceDetector) else Watched)(each, defects) for each in detectors]
