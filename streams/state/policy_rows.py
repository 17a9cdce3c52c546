"""The policy rows of a tenant by where they apply, so that a site's policies cost no look at those of other sites."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from streams.state.entities import PolicyState

SAME_MAX: Final = 50
"""Rows of one tenant for the same detector, client and site; more than one for each field make no sense."""

Fields: TypeAlias = Mapping[str, Any]
_Place: TypeAlias = tuple[int | None, int | None, str]
"""Client, site and detector that a row is for."""


class PolicyRows:
    """The policy rows of one tenant; `len()` is their number."""

    __slots__ = ("_detectors", "_places", "_rows")

    def __init__(self) -> None:
        self._rows: dict[_Place, dict[int, Fields]] = {}
        self._places: dict[int, _Place] = {}
        self._detectors: dict[str, int] = {}
        """How many rows each detector has."""

    def __len__(self) -> int:
        return len(self._places)

    def has_room(self, row_id: int, policy: PolicyState, rows_max: int) -> bool:
        """Whether a row may be added or changed."""
        place, old = _place(policy), self._places.get(row_id)
        return (old is not None or len(self) < rows_max) and (old == place or len(self._rows.get(place, ())) < SAME_MAX)

    def put(self, row_id: int, policy: PolicyState) -> None:
        """Add a row, or replace it."""
        self.remove(row_id)
        place = self._places[row_id] = _place(policy)
        self._rows.setdefault(place, {})[row_id] = msgspec.json.decode(policy.settings)
        self._detectors[policy.detector] = self._detectors.get(policy.detector, 0) + 1

    def remove(self, row_id: int) -> None:
        """Remove a row, if it is there."""
        place = self._places.pop(row_id, None)
        if place is None:
            return
        rows, detector = self._rows[place], place[2]
        del rows[row_id]
        if not rows:
            del self._rows[place]
        self._detectors[detector] -= 1
        if not self._detectors[detector]:
            del self._detectors[detector]

    def at(self, client_id: int | None, site_id: int | None) -> dict[str, Sequence[Fields]]:
        """For each detector the fields that apply at a site, the tenant's first, then the client's, then the site's.

        Those of one level come in the order of the rows' ids.
        """
        made: dict[str, Sequence[Fields]] = {}
        for detector in self._detectors:
            levels: list[dict[int, Fields]] = [self._rows.get((None, None, detector), {})]
            if client_id is not None:
                levels.append(self._rows.get((client_id, None, detector), {}))
            if site_id is not None:
                of_site = self._rows.get((None, site_id, detector), {})
                if client_id is not None:
                    of_site = of_site | self._rows.get((client_id, site_id, detector), {})
                levels.append(of_site)
            layers = [rows[row_id] for rows in levels for row_id in sorted(rows)]
            if layers:
                made[detector] = layers
        return made


def _place(policy: PolicyState) -> _Place:
    return (policy.client_id, policy.site_id, policy.detector)
