"""Settings with some values changed, by their dotted names."""

from collections.abc import Mapping
from typing import Any, TypeVar

from common.settings.model import Section

S = TypeVar("S", bound=Section)


def changed(settings: S, values: Mapping[str, Any]) -> S:
    """A copy with `values`, such as `{"changelog.interval_ms": 1}`, checked like any settings."""
    tree = settings.model_dump()
    for dotted, value in values.items():
        *groups, name = dotted.split(".")
        group = tree
        for each in groups:
            group = group[each]
        group[name] = value
    return type(settings).model_validate(tree)
