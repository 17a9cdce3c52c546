"""The bounds of every policy field, read from the types, and policies at and beyond them."""

import math
from typing import Any, NamedTuple

from hypothesis import strategies as st
from msgspec import inspect

from detectors.policy import Policy
from detectors.registry import DETECTORS


class Bounds(NamedTuple):
    """What a policy field allows."""

    detector: str
    field: str
    low: float
    low_allowed: bool
    high: float
    high_allowed: bool
    whole: bool
    """Whether it is a whole number."""

    @property
    def extremes(self) -> tuple[float, float]:
        """The lowest and the highest value that is allowed."""
        if self.whole:
            return (int(self.low), int(self.high))
        return (
            self.low if self.low_allowed else math.nextafter(self.low, math.inf),
            self.high if self.high_allowed else math.nextafter(self.high, -math.inf),
        )

    @property
    def beyond(self) -> tuple[float, ...]:
        """Values that are not allowed."""
        low, high = self.extremes
        if self.whole:
            return (int(low) - 1, int(high) + 1, 10**30, -(10**30))
        return (math.nextafter(low, -math.inf), math.nextafter(high, math.inf), 1e30, -1e30, 1e308)


def fields_of(policy: Policy) -> list[Any]:
    """The number fields of a policy's type, with their constraints; booleans have no bounds."""
    described: Any = inspect.type_info(type(policy))
    return [each for each in described.fields if not isinstance(each.type, inspect.BoolType)]


def all_bounds() -> list[Bounds]:
    """Those of every number field of every detector. Raises AssertionError for a field that has none."""
    found = []
    for detector in DETECTORS:
        for each in fields_of(detector.policy):
            kind = each.type
            assert isinstance(kind, inspect.FloatType | inspect.IntType), (detector.name, each.name, kind)
            low, high = (kind.gt if kind.ge is None else kind.ge), (kind.lt if kind.le is None else kind.le)
            assert low is not None, (detector.name, each.name, "has no lower bound")
            assert high is not None, (detector.name, each.name, "has no upper bound")
            whole = isinstance(kind, inspect.IntType)
            found.append(
                Bounds(detector.name, each.name, low, kind.ge is not None, high, kind.le is not None, whole=whole)
            )
    return found


def extreme_policies() -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    """For each detector some fields at one of their bounds."""
    by_detector: dict[str, dict[str, st.SearchStrategy[Any]]] = {each.name: {} for each in DETECTORS}
    for each in all_bounds():
        by_detector[each.detector][each.field] = st.sampled_from(each.extremes)
    return st.fixed_dictionaries(
        {name: st.fixed_dictionaries({}, optional=fields) for name, fields in by_detector.items() if fields}
    )
