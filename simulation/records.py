"""Row changes in commit order, and labels that say what is wrong in them."""

from typing import Any, Literal, TypeAlias

import msgspec

Row: TypeAlias = dict[str, Any]
"""A row of a canonical table: its columns; times are timezone-aware datetimes, or ISO 8601 text in a file."""


class RowChange(msgspec.Struct, frozen=True):
    """One committed change of one row."""

    table: str
    op: Literal["c", "u", "d", "r"]
    before: Row | None
    after: Row | None
    commit_us: int
    """Commit time, microseconds since 1970; never falls from one change to the next."""


class Label(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong, and what a finding of it looks like."""

    finding_type: str
    tenant_id: int
    entities: list[str]
    """What the finding may be about, any one of these: `person:17`, `device:4`, `site:3`, `jobneed:99` (a row)."""
    at_s: float
    """When it became true and could be known, Unix seconds."""
    after_s: float
    """A finding may come so much later."""
    before_s: float = 0.0
    """Or so much earlier."""
    required: bool = True
    """False: a finding is right, none is right too: a side effect, or a matter of taste."""
    exact: bool = False
    """Whether `at_s` is the moment a finding is due, so that its delay says something."""
    note: str = ""
    """What was planted, in words."""


class Meta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """About a labelled scenario as a whole."""

    from_s: float
    until_s: float
    """After this time nothing more happens; timers fire until then."""
    judged_from_s: float
    """Findings of types that have to be learned are counted from here on."""
    learned: list[str] = []
    """Finding types that have to be learned: nothing of them is planted before `judged_from_s`."""
    sites: int
    seed: int | None = None
