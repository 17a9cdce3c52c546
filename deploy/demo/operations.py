"""Row operations: what the simulation says and the writer does.

Owns the vocabulary between the two. Holds no connection and no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

Value = str | int | float | bool | datetime | None


class Planted(StrEnum):
    """What the simulation plants on purpose, named as it shows in the feed."""

    WRONG_PERSON = "WRONG_PERSON"
    UNAUTHORIZED_SITE = "UNAUTHORIZED_SITE"
    TICKET_UPDATED = "ticket_updated"
    RATE_LIMITED = "rate_limited"


ANOMALIES = (Planted.WRONG_PERSON, Planted.UNAUTHORIZED_SITE)
"""What `--anomaly-rate` is about; the other kinds come with the company's ordinary day."""


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row; `values` has every column that is not null."""

    table: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Update:
    """New values for the row of this id."""

    table: str
    row_id: int
    values: Mapping[str, Value]


Operation = Insert | Update


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is committed together, and what the feed will show because of it."""

    tenant_id: int
    operations: tuple[Operation, ...]
    planted: Planted | None = None
