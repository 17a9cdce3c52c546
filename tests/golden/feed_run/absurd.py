"""Rows with values that nobody would write, drawn from a seed."""

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from contracts.rows import ROW_TYPES

_NUMBERS = (0.0, -0.0, 1.0, 90.0, -180.0, 1e-300, 1e308, -1.0, 250.0, 52.5, 13.4, 52.5, 13.4, None)
_IDS = (801, 801, 802, 91, 901, 901, 902, 2**63 - 1, -(2**63), 0, -5, None)
_WORDS = (
    "CHECK_IN", "CHECK_IN", "CHECK_OUT", "CHECK_OUT", "COMPLETED", "ASSIGNED", "OPEN", "NEW", "HIGH", "LOW", "OFFLINE",
    "ONLINE", "TASK", "TOUR", "", "open", "\x00", "Ümlaut 🙂" * 20, "Europe/Berlin", "Nowhere/Land", "{}", "[1", None,
)  # fmt: skip
_AWAY_S = (0, 0, -1, -60, -600, 600, 3_600, -3_600, -7_200, -86_400, 86_400, math.inf, -math.inf, None)


def absurd_row(table: str, chance: random.Random, at: datetime) -> dict[str, Any]:
    """The columns of a row of a canonical table, but for its id and tenant; `at` is its commit time."""
    row: dict[str, Any] = {}
    for field in msgspec.structs.fields(ROW_TYPES[table]):
        if field.name in {"id", "tenant_id"}:
            continue
        kind = str(field.type)
        if "float" in kind:
            row[field.name] = chance.choice(_NUMBERS)
        elif "datetime" in kind:
            row[field.name] = _moment(at, chance.choice(_AWAY_S))
        elif "bool" in kind:
            row[field.name] = chance.choice((True, False, None))
        else:
            row[field.name] = chance.choice(_IDS if "int" in kind else _WORDS)
    return row


def _moment(at: datetime, away_s: float | None) -> datetime | None:
    if away_s is None:
        return None
    if math.isinf(away_s):
        return datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) if away_s > 0 else datetime(1, 1, 1, tzinfo=UTC)
    return at + timedelta(seconds=away_s)
